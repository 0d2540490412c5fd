"""``runsync sync``: brings runs, once or repeatedly, and says what it brought."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from runsync.cli.app_context import existing, load_config, open_database, open_sources
from runsync.cli.colour import coloured
from runsync.cli.exceptions import InterruptedHereError
from runsync.cli.options import (
    ConfigOption,
    FormatOption,
    JsonOption,
    PipelinesArgument,
    chosen,
    span,
    when,
)
from runsync.cli.output import Format, emit, warn
from runsync.cli.progress import KeptRuns, progress
from runsync.cli.resolve import chosen_pipelines, listing_names, tasks
from runsync.config import Config
from runsync.errors import (
    BugError,
    ConfigError,
    DatabaseError,
    LockedError,
    PartialError,
    RunsyncError,
    TokenRefusedError,
    UnavailableError,
)
from runsync.text import visible

if TYPE_CHECKING:
    from runsync.storage.database import Database
    from runsync.sync.engine import Options, SyncOutcome

COLUMNS = (
    "pipeline",
    "listing",
    "started_at",
    "finished_at",
    "outcome",
    "requests",
    "runs_new",
    "runs_updated",
    "steps_written",
    "error",
)
PLAN_COLUMNS = (
    "pipeline",
    "listing",
    "covered_from",
    "covered_to",
    "gaps",
    "unsettled",
    "requests",
    "plan",
)
PLAN_BRIEF = ("pipeline", "requests", "plan")
_SHOWN_PROBLEMS = 5


def sync(
    pipelines: PipelinesArgument = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="How far back: 2024-01-31, 30d; else all."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Walk all history again.")] = False,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", metavar="N", help="Requests in flight per source, 1 to 64."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another sync runs.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would ask for, and send nothing.")
    ] = False,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="SPAN", help="Stay, and sync again so often: 15m, 2h."),
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Upgrade an older database first.")
    ] = False,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring new, changed and unfinished runs with their steps into the database.

    Example: runsync sync --since 90d
    """
    from runsync.sync.engine import Options

    settings = load_config(config)
    if concurrency is not None:
        settings = replace(settings, concurrency=checked_concurrency(concurrency))
    options = Options(
        concurrency=settings.concurrency,
        since=when(since) if since is not None else settings.since,
        full=full,
        wait=wait,
    )
    pause = span(every).total_seconds() if every is not None else None
    style = chosen(format, as_json)
    chosen_pipelines(settings, [])
    if dry_run:
        _show_plan(settings, pipelines or [], options, style)
        return
    _stop_as_on_ctrl_c()

    def once() -> None:
        with closing(open_database(settings, make=True, upgrade=upgrade)) as database:
            _sync_once(settings, pipelines or [], database, options, style)

    if pause is None:
        once()
    else:
        _repeat(once, pause)


def checked_concurrency(number: int) -> int:
    """The number, if that many requests may be in flight.

    Raises:
        ConfigError: it is not from 1 to 64.
    """
    if not 1 <= number <= 64:
        raise ConfigError(f"--concurrency must be from 1 to 64, not {number}")
    return number


def _repeat(once: Callable[[], None], pause: float) -> NoReturn:
    """Syncs every ``pause`` seconds, until a signal comes; a failing round does not end that.

    Raises:
        typer.Exit: a signal came between two rounds; the exit code is the last round's.
        ConfigError, DatabaseError: the first round failed for a reason that will stay.
    """
    for number in itertools.count():
        began, code = time.monotonic(), 0
        try:
            once()
        except InterruptedHereError:
            raise
        except RunsyncError as error:
            stays = isinstance(error, (ConfigError, DatabaseError))
            if number == 0 and stays and not isinstance(error, UnavailableError):
                raise
            code = error.exit_code
            warn(f"{error}")
        try:
            time.sleep(max(0.0, pause - (time.monotonic() - began)))
        except KeyboardInterrupt:
            raise typer.Exit(code) from None
    raise AssertionError  # a count has no end


def _sync_once(
    config: Config,
    names: Sequence[str],
    database: "Database",
    options: "Options",
    format: Format | None,
) -> None:
    from runsync.sync.engine import sync as run_sync

    wanted = chosen_pipelines(config, names, database)
    with open_sources(config, [p.source for p in wanted]) as sources:
        for source in sources.values():
            _ = source.client  # a missing token is said before anything begins
        todo = tasks(sources, wanted, database)
        kept = KeptRuns()
        try:
            with progress(todo) as watch:
                outcomes = run_sync(database, todo, options, kept.and_then(watch))
        except KeyboardInterrupt:
            raise InterruptedHereError(kept.sentence()) from None
    found = listing_names((task.listing for task in todo), database)
    report([replace(one, label=found[one.listing]) for one in outcomes], format)


def report(outcomes: Sequence["SyncOutcome"], format: Format | None) -> None:
    """Says what each sync brought, and raises the error that sums them up.

    Raises:
        TokenRefusedError: nothing was synced, since the token was refused.
        LockedError: nothing was synced, since other syncs hold the locks.
        PartialError: some pipelines were not synced, or not wholly.
        BugError, DatabaseError: a sync ended so.
    """
    if format in (None, Format.TABLE):
        for outcome in outcomes:
            typer.echo(summary(replace(outcome, label=visible(outcome.label))))
    else:
        emit([_row(one) for one in outcomes], columns=COLUMNS, format=format)
    error = verdict(outcomes)
    for outcome in outcomes:
        _name_problems(outcome, error)
    if error is not None:
        raise error


def summary(outcome: "SyncOutcome") -> str:
    """One line for one listing."""
    if outcome.outcome == "locked":
        return f"{outcome.label}: another sync holds the lock"
    counts = outcome.counts
    seconds = (outcome.finished_at - outcome.started_at).total_seconds()
    return (
        f"{outcome.label}: {coloured(outcome.outcome)}, {counts.runs_new} new, "
        f"{counts.runs_updated} updated, {counts.steps_written} steps, "
        f"{outcome.requests} requests, {seconds:.1f} s"
    )


def verdict(outcomes: Sequence["SyncOutcome"]) -> RunsyncError | None:
    """The error that sums up the outcomes; None where all is well."""
    bad = [one for one in outcomes if one.outcome not in ("ok", "locked")]
    for kind in (BugError, DatabaseError):
        if worst := next((one.cause for one in bad if isinstance(one.cause, kind)), None):
            return worst
    went_well = any(one.outcome in ("ok", "partial") for one in outcomes)
    if bad and not went_well and all(isinstance(o.cause, TokenRefusedError) for o in bad):
        return TokenRefusedError(str(bad[0].cause))
    if bad:
        names = ", ".join(one.label for one in bad)
        rest = "the others are complete" if len(bad) < len(outcomes) else "what came is kept"
        return PartialError(f"not wholly synced: {names}; {rest}; the next sync goes on from here")
    if outcomes and all(one.outcome == "locked" for one in outcomes):
        return LockedError("another sync holds the lock; wait for it, or pass --wait")
    return None


def _name_problems(outcome: "SyncOutcome", error: RunsyncError | None) -> None:
    """Says what went wrong with one listing, but for what ``error`` is about to say."""
    if (
        outcome.cause is not None
        and outcome.outcome != "locked"
        and str(outcome.cause) != str(error)
    ):
        warn(f"{outcome.label}: {outcome.cause}")
    problems = _each_once(outcome.problems)
    for problem in problems[:_SHOWN_PROBLEMS]:
        warn(f"{outcome.label}: set aside: {problem}")
    if (more := len(problems) - _SHOWN_PROBLEMS) > 0:
        warn(f"{outcome.label}: and {more} more; `runsync sync --json` names them all")


def _each_once(problems: Sequence[str]) -> list[str]:
    """The problems, those of many runs that are the same but for the run's id in one."""
    alike: dict[str, list[str]] = {}
    for problem in problems:
        run = problem.removeprefix("run ").partition(":")[0] if problem.startswith("run ") else ""
        alike.setdefault(problem.replace(run, "") if run else problem, []).append(problem)
    return [
        many[0] if len(many) == 1 else f"{many[0]}, and {len(many) - 1} more runs likewise"
        for many in alike.values()
    ]


def _row(outcome: "SyncOutcome") -> dict[str, Any]:
    return {
        "pipeline": outcome.label,
        "listing": outcome.listing,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "outcome": outcome.outcome,
        "requests": outcome.requests,
        "runs_new": outcome.counts.runs_new,
        "runs_updated": outcome.counts.runs_updated,
        "steps_written": outcome.counts.steps_written,
        "error": outcome.error,
    }


def _show_plan(
    config: Config, names: Sequence[str], options: "Options", format: Format | None
) -> None:
    from runsync.sync.plan import plan

    with _database_if_there(config) as database:
        wanted = chosen_pipelines(config, names, database)
        with open_sources(config, [p.source for p in wanted]) as sources:
            rows = plan(database, tasks(sources, wanted, database), options)
    emit(rows, columns=PLAN_COLUMNS, format=format, brief=PLAN_BRIEF, prose=("plan",))


@contextmanager
def _database_if_there(config: Config) -> "Iterator[Database | None]":
    """The database where it is made already; a dry run makes none."""
    from runsync.storage import schema
    from runsync.storage.database import Database

    try:
        url = existing(config.database_url)
    except DatabaseError:
        yield None
        return
    with closing(Database(url)) as database:
        yield database if schema.current(database) else None


def _stop_as_on_ctrl_c() -> None:
    """systemd and Kubernetes stop a process with SIGTERM."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
