"""``runsync demo``: all of it in under a minute, against a simulated service."""

import re
import shlex
import shutil
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runsync.cli.app_context import open_database, open_sources
from runsync.cli.output import note
from runsync.cli.progress import progress
from runsync.cli.resolve import chosen_pipelines, tasks
from runsync.config import Config, load
from runsync.errors import ConfigError, PartialError

if TYPE_CHECKING:
    from runsync.simulator import Simulator
    from runsync.sync.engine import SyncOutcome

FOLDER = Path("runsync-demo")
_OURS = ("runsync.toml", "runsync.db", "runsync.db-wal", "runsync.db-shm", "report.html")
_PIPELINES, _DAYS, _PER_HOUR = 3, 120, 20.0
_LATER = timedelta(hours=1)

CONFIG = """\
# Written by `runsync demo`. The simulated service behind it is gone when the demo ends;
# what it brought stays in runsync.db.
database_url = "sqlite:///runsync.db"

[sources.wercker]
base_url = "{url}"

[[pipelines]]
application_id = "{application}"
"""

NEXT = """
What to try next:
  {runsync} status --config {config}
  {runsync} report pass-rates --every week --config {config}
  {runsync} report step-durations --by pipeline --by branch --since 30d --config {config}
  {runsync} query "SELECT * FROM v_daily_pass_rates ORDER BY day DESC LIMIT 7" --config {config}
For your own history: `{runsync} init`, fill in runsync.toml, `{runsync} sync`."""


def demo(
    runs: Annotated[
        int, typer.Option("--runs", min=30, max=20000, help="How many runs to simulate.")
    ] = 600,
    seed: Annotated[int, typer.Option("--seed", help="Which history.")] = 1,
) -> None:
    """Sync a simulated service's history into runsync-demo/ and report on it.

    Example: runsync demo --runs 300
    """
    from runsync.simulator import Clock, Scenario, Simulator

    config = _folder() / "runsync.toml"
    scenario = Scenario(
        seed=seed,
        runs=runs,
        pipelines=_PIPELINES,
        days=_DAYS,
        arrivals_per_hour=_PER_HOUR,
        has_incidents=True,
    )
    # It ends now, so that no report tells of what is still to come.
    clock = Clock.running(datetime.now(UTC) - _LATER)
    with Simulator(scenario.build(clock)) as simulator:
        world = simulator.world
        config.write_text(
            CONFIG.format(url=simulator.url, application=world.application_id), encoding="utf-8"
        )
        config.chmod(0o600)
        note(f"A simulated Wercker answers on {simulator.url}; it holds {runs} runs.")
        settings = load(config)
        _bring(settings, simulator, "the first sync")
        clock.advance(_LATER)
        _bring(settings, simulator, "an hour later, what is new")
    _report(config)
    note(NEXT.format(config=config, runsync=_as_typed()))


def _folder() -> Path:
    """The demo's folder, without what an earlier demo left in it."""
    if FOLDER.exists() and not FOLDER.is_dir():
        raise ConfigError(f"{FOLDER} is not a folder; move it, or work in another folder")
    _check_untouched(FOLDER / "runsync.toml")
    try:
        FOLDER.mkdir(exist_ok=True)
        for name in _OURS:
            (FOLDER / name).unlink(missing_ok=True)
        shutil.rmtree(FOLDER / "runsync.db.locks", ignore_errors=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write {FOLDER} here ({error.strerror}); choose a folder that you may write to"
        ) from None
    return FOLDER


def _check_untouched(config: Path) -> None:
    """Raises ConfigError where the folder holds what somebody has made of it since."""
    form = re.escape(CONFIG.format(url="URL", application="ID"))
    written = form.replace("URL", r"http://[\w.:]+").replace("ID", "[0-9a-f]{24}")
    try:
        found = config.read_text(encoding="utf-8") if config.exists() else None
    except (OSError, UnicodeDecodeError):
        found = ""
    is_ours = re.fullmatch(written, found) if found is not None else not _has_data(config.parent)
    if not is_ours:
        raise ConfigError(
            f"{config} is not as the demo wrote it, and stays as it is; "
            "move the folder, or work in another one"
        )


def _has_data(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OURS)


def _as_typed() -> str:
    """How runsync was called, where a bare ``runsync`` would not find it."""
    called = Path(sys.argv[0])
    if called.name != "runsync" or not called.is_file():
        return "runsync"
    found = shutil.which("runsync")
    return "runsync" if found and Path(found).samefile(called) else shlex.quote(str(called))


def _bring(config: Config, simulator: "Simulator", what: str) -> None:
    from runsync.sync.engine import Options, sync

    simulator.reset_log()
    began = time.monotonic()
    with closing(open_database(config, make=True)) as database, open_sources(config) as sources:
        todo = tasks(sources, chosen_pipelines(config, []))
        with progress(todo) as watch:
            outcomes = sync(database, todo, Options(concurrency=config.concurrency), watch)
    _say(outcomes, what, simulator.request_count, time.monotonic() - began)


def _say(outcomes: list["SyncOutcome"], what: str, requests: int, seconds: float) -> None:
    for outcome in outcomes:
        if outcome.outcome != "ok":
            raise PartialError(f"the demo's sync ended {outcome.outcome}: {outcome.error}")
    new = sum(one.counts.runs_new for one in outcomes)
    updated = sum(one.counts.runs_updated for one in outcomes)
    steps = sum(one.counts.steps_written for one in outcomes)
    note(
        f"Synced ({what}): {new} new runs, {updated} updated, {steps} steps, "
        f"with {requests} requests in {seconds:.1f} s."
    )


def _report(config: Path) -> None:
    """The three reports and the page, by the commands that a user would type."""
    from runsync.cli import run

    page = config.with_name("report.html")
    titles = {
        "pass-rates": "Pass rates: of the runs that passed or failed, how many passed",
        "step-durations": "Step durations: finished steps that ran",
        "aborts": "Aborts: how many runs were aborted, and where",
    }
    for command, title in titles.items():
        note(f"\n{title}  (runsync report {command})")
        _must(run(["report", command, "--config", str(config)]))
    note("\nAll reports with charts, on one page:")
    _must(run(["report", "html", "--config", str(config), "--output", str(page)]))


def _must(code: int) -> None:
    if code:
        raise typer.Exit(code)
