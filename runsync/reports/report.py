"""What a report is: the declaration that each file in ``definitions/`` makes, and how it is run.

Nothing here or in a definition imports pandas, so that ``runsync report --help`` can list them.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from runsync.errors import ConfigError
from runsync.reports.query_spec import (
    NOT_FOR_ALL,
    OF_STEPS,
    By,
    Every,
    Moment,
    PipelineWords,
    Query,
    QuerySpec,
    Words,
)
from runsync.reports.section import Section

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd
    import sqlalchemy as sa

    from runsync.reports.group_values import GroupValues
    from runsync.reports.load import Reader
    from runsync.storage.database import Database

AnyDatabase: TypeAlias = "str | sa.URL | sa.Engine | Database"
Frames: TypeAlias = "tuple[pd.DataFrame | GroupValues, ...]"

Workers: TypeAlias = int | Literal["auto"]

RUN_KEYS = ("pipeline", "source", "branch", "author", "event", "weekday", "hour")
STEP_KEYS = (*RUN_KEYS, "step", "job", "runner")


@dataclass(frozen=True, slots=True)
class Crew:
    """Who loads the parts of a long history; a short one this process always reads itself.

    The figures are the same. In this process all of them are of one moment; other processes read
    each part when its turn comes, so what a sync writes meanwhile is seen in the later parts.

    Attributes:
        workers: how many processes of this machine read parts of a long history side by side:
            1 for this one alone, ``"auto"`` for as many as are worth their start. A script needs
            ``if __name__ == "__main__":`` around what it does.
        executor: who reads them instead: any :class:`concurrent.futures.Executor` whose workers
            reach the database by its URL and have this version of runsync, such as Dask's
            ``client.get_executor()``.
    """

    workers: Workers = 1
    executor: "Executor | None" = None


ALONE = Crew()


def crew_of(workers: Workers = 1, executor: "Executor | None" = None) -> Crew:
    """The crew that a caller asks for.

    Raises:
        ConfigError: that is no number of workers, or both are given.
    """
    if workers == 1 and executor is None:
        return ALONE
    if workers != "auto" and (not isinstance(workers, int) or workers < 1):
        raise ConfigError(f"workers={workers!r} is no number of processes; write one from 1 on")
    if workers != 1 and executor is not None:
        raise ConfigError("workers and executor both say who reads; leave one away")
    return Crew(workers, executor)


class Kind(Enum):
    """What a column holds, and its dtype in a frame."""

    COUNT = "int64"
    RATE = "float64"
    NUMBER = "number"
    DURATION = "timedelta64[us]"
    TIME = "datetime64[us, UTC]"
    DAY = "datetime64[us]"
    FLAG = "bool"
    FLAG_OR_MISSING = "boolean"
    TEXT = "text"
    WEEKDAY = "weekday"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its name, what it holds, and what it counts, in words."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Rate:
    """The main figure is a rate: the column ``hits`` over the sum of the columns ``trials``."""

    column: str
    hits: str
    trials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Median:
    """The main figure is the median of what is loaded first: samples, or a frame's ``ms``."""

    column: str = "p50"


@dataclass(frozen=True, slots=True)
class NothingToCompare:
    """There is no figure that a comparison could compare."""

    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report.

    Attributes:
        name: of the function; ``command`` of its command.
        summary: one sentence, also for the list of commands; ``about`` says what else counts.
        load: reads a part of the history and reduces it to what the figures are made of, with
            its key columns: counts, samples of durations, or rows.
        figures: makes of one part, or of several merged ones, a table: the keys, then the
            figures. In which order rows come must not matter. Durations are milliseconds as
            floats, missing ones NaN.
        main: the figure that a comparison compares.
        section: what the report's section of the HTML page shows.
        order: its place among the others, in help texts and on the page.
        keys: what it can be grouped by; ``by`` is its default grouping.
        implied: keys that every row has, after those that were asked for.
        spare: columns that a narrow table drops, the least telling first; two in one text go
            together.
        whole_pipelines: whether a part must hold all that the query asks of a pipeline, where
            what comes of a run depends on others of its branch.
        reads_steps: whether those of all runs are read, also where no key is of steps.
        apart: whether a long history is finished pipeline by pipeline, where rows are of one
            each, so that memory holds what the figures of few of them are made of.
        takes: of the arguments that not all reports take those that it does: ``result``, ``busy``,
            ``prices``.
        example: options of a command that shows what it is good for.
    """

    name: str
    command: str
    title: str
    summary: str
    about: str
    columns: tuple[Column, ...]
    load: Callable[["Reader", Query], Frames]
    figures: "Callable[..., pd.DataFrame]"
    main: Rate | Median | NothingToCompare
    section: Section
    order: int
    keys: tuple[str, ...] = RUN_KEYS
    by: tuple[By, ...] = ("pipeline",)
    implied: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    whole_pipelines: bool = False
    reads_steps: bool = True
    apart: bool = False
    takes: tuple[str, ...] = ()
    example: str = "--since 30d"

    def __post_init__(self) -> None:
        """Refuses a section that the page could not show.

        Raises:
            ValueError: what is wrong with it.
        """
        problems = self.section.problems(
            {column.name for column in self.columns},
            is_rate=isinstance(self.main, Rate),
            is_compared=not isinstance(self.main, NothingToCompare),
            has_own_keys=bool(self.implied),
        )
        for problem in problems:
            raise ValueError(f"report {self.name}: {problem}")

    def check_comparable(self) -> None:
        """Refuses a comparison of what holds no figure to compare.

        Raises:
            ConfigError: there is none.
        """
        if isinstance(self.main, NothingToCompare):
            raise ConfigError(f"{self.name} has no figure that two windows could be compared by")

    def gather(self, reader: "Reader", query: Query) -> Frames:
        """What the figures are made of: loaded part by part, and merged."""
        parts = reader.parts(
            query,
            whole_pipelines=self.whole_pipelines,
            reads_steps=self.reads_steps or not OF_STEPS.isdisjoint(query.keys),
        )
        if len(parts) == 1:
            return self.load(reader, query)
        from runsync.reports.gather import gathered
        from runsync.reports.parts import merged_parts

        loaded = gathered(reader, [{self: part} for part in parts])
        return merged_parts(part for (part,) in loaded)

    def frame(self, db: AnyDatabase, spec: QuerySpec, crew: Crew = ALONE) -> "pd.DataFrame":
        """The report's frame: keys, then period and partial, then figures, in their dtypes."""
        from runsync.reports.columns import finished
        from runsync.reports.coverage_notes import Coverage
        from runsync.reports.load import open_reader
        from runsync.reports.parts import below_each_other

        with open_reader(db, crew) as reader:
            query = reader.query(spec, self)
            is_alone = crew is ALONE or (crew.workers == "auto" and reader.is_archive)
            if self.apart and "pipeline" in query.keys and is_alone:
                queries = reader.parts(query, whole_pipelines=True)
            else:
                queries = [query]
            tables = [self.figures(one, *self.gather(reader, one)) for one in queries]
            table = tables[0] if len(tables) == 1 else below_each_other(tables, query)
            return finished(table, self, query, Coverage(reader) if query.every else None)


class ReportFunction(Protocol):
    """A report as users call it: the arguments of :class:`.QuerySpec` and of :class:`.Crew`."""

    __name__: str

    def __call__(
        self,
        db: AnyDatabase,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        pipelines: PipelineWords | None = None,
        branches: Words | None = None,
        by: By | Iterable[By] | None = None,
        every: Every | None = None,
        tz: str | tzinfo | None = None,
        result: str | None = None,
        busy: bool = False,
        prices: Mapping[str, float] | None = None,
        workers: Workers = 1,
        executor: "Executor | None" = None,
    ) -> "pd.DataFrame": ...


def function_of(report: Report) -> ReportFunction:
    """The function that users call, with the signature and the help text of this report."""
    signature = inspect.signature(ReportFunction.__call__)
    parameters = dict(signature.parameters)
    del parameters["self"]
    parameters["by"] = parameters["by"].replace(default=report.by)
    for name in NOT_FOR_ALL.difference(report.takes):
        del parameters[name]
    signature = signature.replace(parameters=list(parameters.values()))

    def function(*args: Any, **named: Any) -> "pd.DataFrame":
        asked = signature.bind(*args, **named).arguments
        who = {name: asked.pop(name) for name in ("workers", "executor") if name in asked}
        crew = crew_of(**who) if who else ALONE
        return report.frame(asked.pop("db"), QuerySpec(**asked), crew)

    function.__name__ = function.__qualname__ = report.name
    function.__module__ = "runsync.reports"
    function.__doc__ = _help(report)
    function.__signature__ = signature  # type: ignore[attr-defined]
    return cast(ReportFunction, function)


def counts(**meanings: str) -> tuple[Column, ...]:
    """Columns that count something, each with what it counts."""
    return tuple(Column(name, Kind.COUNT, meaning) for name, meaning in meanings.items())


def durations(**meanings: str) -> tuple[Column, ...]:
    """Columns that hold durations, each with its meaning."""
    return tuple(Column(name, Kind.DURATION, meaning) for name, meaning in meanings.items())


def rate_with_interval(name: str, meaning: str) -> tuple[Column, ...]:
    """A rate and the ends of its interval."""
    return (
        Column(name, Kind.RATE, meaning),
        Column(f"{name}_low", Kind.RATE, "lower end of its 95% interval (Wilson)"),
        Column(f"{name}_high", Kind.RATE, "upper end of its 95% interval (Wilson)"),
    )


SPREAD = durations(
    mean="their mean",
    p50="their median",
    p90="nine of ten took no longer than this",
    p95="nineteen of twenty took no longer than this",
    max="the longest",
)


def _help(report: Report) -> str:
    arguments = (inspect.getdoc(QuerySpec) or "").partition("Attributes:")[2].strip("\n")
    arguments += "\n" + (inspect.getdoc(Crew) or "").partition("Attributes:")[2].strip("\n")
    for name in NOT_FOR_ALL.difference(report.takes):
        arguments = re.sub(rf"\n    {name}:.*(\n {{8}}.*)*", "", arguments)
    columns = "\n".join(f"    {one.name}: {one.meaning}" for one in report.columns)
    return (
        f"{report.summary}\n\n{fill(report.about, 92)}\n\nArgs:\n{arguments}\n\n"
        f"Columns, behind those of ``by``, {', '.join((*report.implied, 'period'))} and "
        f"partial:\n{columns}\n"
    )
