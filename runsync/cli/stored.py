"""``runs list``, ``show`` and ``steps`` with ``--stored``: answered from the database alone."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import database_if_readable, load_config, open_database
from runsync.cli.resolve import (
    KnownPipeline,
    configured_applications,
    configured_pipelines,
    known_source,
    only_one,
    stored_applications,
    stored_pipelines,
)
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
    application: str | None,
    source: str | None,
    branch: str | None,
    limit: int | None,
    skip: int | None,
    sort: str | None,
    **filters: str | None,
) -> list[dict[str, Any]]:
    """The rows of stored runs, newest first unless ``sort`` says otherwise.

    Raises:
        ConfigError: no stored pipeline, application, source or branch goes by that name.
        DatabaseError: the database cannot be read.
    """
    from runsync.storage.pipelines import labels_by_id
    from runsync.storage.stored_runs import StoredRunFilter, find_runs

    with _opened(config) as (settings, database):
        own = _pipeline(settings, database, pipeline, source)
        own |= {"application": _application(settings, database, application, source)}
        own |= {"branch": branch, "default_branches": _defaults(database, branch, own)}
        wanted = StoredRunFilter(**(filters | own))
        found = find_runs(
            database,
            wanted,
            limit=limit or _LISTED,
            skip=skip or 0,
            oldest_first=sort == "creationDateAsc",
        )
        labels = labels_by_id(database.rows)
    return [run_row(one.run, one.source) | {"pipeline": labels[one.pipeline_id]} for one in found]


def live_branch(config: Config, branch: str | None, known: KnownPipeline, kind: str) -> str | None:
    """The branch to ask a service for: ``default`` is what the database knows to be that of the
    pipeline, or of all pipelines of the application; where it knows none, the word itself.

    Args:
        kind: whether ``known`` is a ``pipeline`` or an ``application``.
    """
    from runsync.reports.query_spec import DEFAULT_BRANCH
    from runsync.storage.stored_runs import StoredRunFilter, default_branches_of

    if branch != DEFAULT_BRANCH:
        return branch
    own: dict[str, Any] = {"source": known.source, kind: known.external_id}
    with database_if_readable(config) as database:
        found = default_branches_of(database, StoredRunFilter(**own)) if database else {}
    return next(iter(found.values())) if len({*found.values()}) == 1 else branch


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
) -> dict[str, Any]:
    """What chooses the runs of a pipeline, by what people call it."""
    stored = stored_pipelines(config, database)
    if source is not None:
        known_source(config, source, stored)
    if name is None:
        return {"source": source}
    one = only_one([*configured_pipelines(config), *stored], name, source)
    return {"source": one.source, "pipeline": one.external_id}


def _application(
    config: Config, database: "Database", name: str | None, source: str | None
) -> str | None:
    """The id of an application, by what people call it."""
    if name is None:
        return None
    known = [*configured_applications(config), *stored_applications(config, database)]
    return only_one(known, name, source, "application").external_id


def _defaults(
    database: "Database", branch: str | None, own: dict[str, Any]
) -> dict[int, str] | None:
    """What ``default`` means in the pipelines that were chosen, as in the reports.

    Raises:
        ConfigError: none of them has a run on that branch.
    """
    from runsync.reports.branches import check_known
    from runsync.reports.query_spec import DEFAULT_BRANCH
    from runsync.storage.stored_runs import StoredRunFilter, branches_of, default_branches_of

    if branch is None:
        return None
    of_these = StoredRunFilter(**own)
    defaults = default_branches_of(database, of_these) if branch == DEFAULT_BRANCH else {}
    if not defaults:
        check_known([branch], branches_of(database, of_these))
    return defaults


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
        names = ", ".join(f"{one.run.pipeline.name} ({id})" for (_, id), one in holders.items())
        raise ConfigError(f"run {run_id!r} is one of several: {names}; add --source or --pipeline")
    return max(found, key=lambda one: one.run.attempt)
