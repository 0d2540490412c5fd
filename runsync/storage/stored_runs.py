"""Stored runs and steps, as the records that a source gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, tuple_

from runsync.records import Outcome, Pipeline, Result, Run, Status, Step
from runsync.storage.database import Database
from runsync.storage.default_branches import default_branches
from runsync.storage.tables import listing_pipelines, pipelines, runs, steps
from runsync.storage.upserts import VERSION_KEY

APPLICATION_KINDS = ("application", "repository", "organization", "project")
"""What the key of a listing, ``buildkite/organization/acme``, calls what owns pipelines."""
_RUN_COLUMNS = [f.name for f in fields(Run) if f.name in runs.c]
_STEP_COLUMNS = [f.name for f in fields(Step) if f.name in steps.c]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRunFilter:
    """Which stored runs are wanted: those that fit all that is not None.

    ``run_id`` is an id; one without an attempt fits all attempts of that run. ``branch`` may be
    ``""``: none; ``default_branches`` (see :func:`default_branches_of`) fit it too.
    """

    source: str | None = None
    pipeline: str | None = None
    application: str | None = None
    run_id: str | None = None
    status: str | None = None
    result: str | None = None
    branch: str | None = None
    default_branches: Mapping[int, str] | None = None
    commit: str | None = None
    source_run: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run, the name of its source, and the number of its pipeline's row."""

    source: str
    pipeline_id: int
    run: Run


def find_runs(
    database: Database,
    wanted: StoredRunFilter,
    *,
    limit: int | None = None,
    skip: int = 0,
    oldest_first: bool = False,
) -> list[StoredRun]:
    """The runs that fit, newest first unless told otherwise."""
    p, r = pipelines.c, runs.c
    order = (r.created_at, r.attempt, r.pipeline_id, r.id)
    query = (
        select(p.source, p.external_id, p.name.label("pipeline_name"), runs)
        .join(pipelines, p.id == r.pipeline_id)
        .where(*_conditions(wanted))
        .order_by(*(column if oldest_first else column.desc() for column in order))
        .limit(limit)
        .offset(skip)
    )
    return [_run(row._mapping) for row in database.rows(query)]


def branches_of(database: Database, wanted: StoredRunFilter) -> set[str]:
    """The branches of the runs that fit; ``""`` stands for none."""
    query = (
        select(func.coalesce(runs.c.branch, ""))
        .join(pipelines, pipelines.c.id == runs.c.pipeline_id)
        .where(*_conditions(wanted))
        .distinct()
    )
    return {row[0] for row in database.rows(query)}


def default_branches_of(database: Database, wanted: StoredRunFilter) -> dict[int, str]:
    """The default branches of the pipelines of the runs that fit, where known, by number."""
    query = (
        select(runs.c.pipeline_id)
        .join(pipelines, pipelines.c.id == runs.c.pipeline_id)
        .where(*_conditions(wanted))
        .distinct()
    )
    ids = {row[0] for row in database.rows(query)}
    known = default_branches(database.rows)
    return {number: name for number, name in known.items() if name and number in ids}


def steps_of(database: Database, run: StoredRun) -> list[Step]:
    """The steps of a run in their order."""
    s = steps.c
    query = (
        select(steps)
        .where(s.pipeline_id == run.pipeline_id, s.run_id == run.run.id)
        .order_by(s.position, s.id)
    )
    return [_step(row._mapping) for row in database.rows(query)]


def _conditions(wanted: StoredRunFilter) -> Iterator[ColumnElement[bool]]:
    p, r = pipelines.c, runs.c
    equal = {
        p.source: wanted.source,
        p.external_id: wanted.pipeline,
        r.status: wanted.status,
        r.result: wanted.result,
        r.commit_hash: wanted.commit,
        r.source_run_id: wanted.source_run,
        r.author: wanted.author,
    }
    yield from (column == value for column, value in equal.items() if value is not None)
    if wanted.branch is not None:
        is_named = func.coalesce(r.branch, "") == wanted.branch
        defaults = list((wanted.default_branches or {}).items())
        yield or_(is_named, tuple_(r.pipeline_id, r.branch).in_(defaults)) if defaults else is_named
    if wanted.run_id is not None:
        first = wanted.run_id
        yield or_(r.id == first, r.id.startswith(f"{first}.", autoescape=True))
    if wanted.application is not None:
        names = {wanted.application, wanted.application.lower()}
        listed = [f"/{kind}/{name}" for kind in APPLICATION_KINDS for name in names]
        of_listing = listing_pipelines.c.listing.in_(p.source + end for end in listed)
        yield r.pipeline_id.in_(
            select(listing_pipelines.c.pipeline_id)
            .join(pipelines, p.id == listing_pipelines.c.pipeline_id)
            .where(of_listing)
        )


def _run(row: Mapping[Any, Any]) -> StoredRun:
    extra = dict(row["extra"] or {})
    values = {name: row[name] for name in _RUN_COLUMNS} | _words(row)
    values |= {"version": extra.pop(VERSION_KEY, None), "extra": extra}
    run = Run(pipeline=Pipeline(row["external_id"], row["pipeline_name"]), **values)
    queued, waited = row["queued_ms"], run.queued_ms
    before = None if queued is None or waited is None else queued - waited
    return StoredRun(row["source"], row["pipeline_id"], replace(run, queued_before_ms=before))


def _step(row: Mapping[Any, Any]) -> Step:
    values = {name: row[name] for name in _STEP_COLUMNS} | _words(row)
    return Step(**values | {"extra": row["extra"] or {}})


def _words(row: Mapping[Any, Any]) -> dict[str, Any]:
    outcome = row["outcome"]
    return {
        "status": Status(row["status"]),
        "result": Result(row["result"]),
        "outcome": None if outcome is None else Outcome(outcome),
    }
