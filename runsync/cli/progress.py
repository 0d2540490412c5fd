"""Progress on a terminal: a bar for each listing, with counts, rate and time left."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runsync.sync.engine import Progress, Task, Watch

_MOST_BARS = 12


class KeptRuns:
    """Counts the runs that a sync has written, for who interrupts it."""

    def __init__(self) -> None:
        self._runs: dict[str, int] = {}

    def and_then(self, watch: "Watch | None") -> "Watch":
        """Counts, and tells ``watch`` too."""

        def both(step: "Progress") -> None:
            self._runs[step.listing] = step.runs
            if watch is not None:
                watch(step)

        return both

    def sentence(self) -> str:
        """What stays, and how to go on."""
        runs = sum(self._runs.values())
        what = f"the {runs:,} runs that were read are kept" if runs else "what was stored is kept"
        return f"interrupted; {what}: run `runsync sync` again, and it goes on from there"


@contextmanager
def progress(tasks: Sequence["Task"]) -> Iterator["Watch | None"]:
    """What a sync is to tell of its progress; None where nobody watches (no terminal)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from runsync.sync.engine import Progress as Step
    from runsync.text import visible

    bars = Progress(
        TextColumn("{task.fields[label]}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[reached]}"),
        TextColumn("{task.fields[runs]} runs"),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
    labels = [visible(task.title, limit=30) for task in tasks]
    ids = {
        task.listing.key: bars.add_task("", total=None, label=label, runs=0, rate=0.0, reached="")
        for task, label in list(zip(tasks, labels, strict=True))[:_MOST_BARS]
    }

    def watch(step: Step) -> None:
        bar = ids.get(step.listing)
        if bar is None:
            return
        elapsed = bars.tasks[bar].elapsed or 0.0
        bars.update(
            bar,
            total=None if step.depth is None else 1.0,
            completed=step.depth or 0.0,
            runs=f"{step.runs:,}",
            rate=step.runs / elapsed if elapsed else 0.0,
        )
        if step.reached:
            bars.update(bar, reached=f"down to {step.reached:%Y-%m-%d}")

    with bars:
        yield watch


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """What shows how far a long command has come, in place of what it showed before; it shows
    nothing without a terminal, and in the end the line is empty again."""
    is_watched = sys.stderr.isatty()

    def show(text: str) -> None:
        if is_watched:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    yield show
    show("")
