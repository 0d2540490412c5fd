"""``runs list``, ``show`` and ``steps`` with ``--stored``: answered from the database alone."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_database
from runsync.cli.resolve import configured_pipelines, only_one, stored_pipelines
from runsync.cli.rows import run_row, step_row
from runsync.config import Config
from runsync.errors import ConfigError

if TYPE_CHECKING:
    from runsync.records import Run
    from runsync.storage.database import Database
    from runsync.storage.stored_runs import StoredRun

StoredOption = Annotated[
    bool,
    typer.Option("--stored", help="Answer from the database: no service is asked, none limits it."),
]
_LISTED = 20


def stored_list(
    config: Path | None,
    *,
    pipeline: str | None,
    source: str | None,
    limit: int | None,
    skip: int | None,
    sort: str | None,
    **filters: str | None,
) -> list[dict[str, Any]]:
    """The rows of stored runs, newest first unless ``sort`` says otherwise.

    Raises:
        ConfigError: no stored pipeline goes by that name.
        DatabaseError: the database cannot be read.
    """
    from runsync.storage.stored_runs import StoredRunFilter, find_runs

    with _opened(config) as (settings, database):
        own = _pipeline(settings, database, pipeline, source)
        wanted = StoredRunFilter(**(filters | own))
        found = find_runs(
            database,
            wanted,
            limit=limit or _LISTED,
            skip=skip or 0,
            oldest_first=sort == "creationDateAsc",
        )
    return [run_row(one.run, one.source) for one in found]


def stored_run(
    config: Path | None, run_id: str, source: str | None, pipeline: str | None
) -> tuple[str, "Run"]:
    """A stored run, with its source's name; of several attempts the newest.

    Raises:
        ConfigError: it is not stored, or several pipelines have a run of that id.
    """
    with _opened(config) as (settings, database):
        found = _the_run(settings, database, run_id, source, pipeline)
    return found.source, found.run


def stored_steps(
    config: Path | None, run_id: str, source: str | None, pipeline: str | None
) -> list[dict[str, Any]]:
    """The rows of a stored run's steps; see :func:`stored_run`."""
    from runsync.storage.stored_runs import steps_of

    with _opened(config) as (settings, database):
        found = _the_run(settings, database, run_id, source, pipeline)
        return [step_row(found.run.id, step) for step in steps_of(database, found)]


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Config, "Database"]]:
    settings = load_config(config, needed=False)
    with closing(open_database(settings)) as database:
        yield settings, database


def _pipeline(
    config: Config, database: "Database", name: str | None, source: str | None
) -> dict[str, str | None]:
    """What chooses the runs of a pipeline, by what people call it."""
    if name is None:
        return {"source": source}
    known = [*configured_pipelines(config), *stored_pipelines(config, database)]
    one = only_one(known, name, source)
    return {"source": one.source, "pipeline": one.external_id}


def _the_run(
    config: Config, database: "Database", run_id: str, source: str | None, pipeline: str | None
) -> "StoredRun":
    from runsync.storage.stored_runs import StoredRunFilter, find_runs

    own = _pipeline(config, database, pipeline, source)
    found = find_runs(database, StoredRunFilter(run_id=run_id, **own))
    if not found:
        raise ConfigError(f"run {run_id!r} is not stored; without --stored the service is asked")
    holders = {(one.source, one.run.pipeline.external_id): one for one in found}
    if len(holders) > 1:
        names = ", ".join(f"{one.run.pipeline.name} ({one.source})" for one in holders.values())
        raise ConfigError(f"run {run_id!r} is one of several: {names}; add --source or --pipeline")
    return max(found, key=lambda one: one.run.attempt)
