"""CircleCI: the workflows of a project, by API v2, on circleci.com or a CircleCI server.

A workflow's name within a project is our pipeline, a workflow of one of CircleCI's pipelines our
run, a job our step. ``repository`` is a project's slug, ``gh/acme/shop``, for all its workflows;
``id`` has a workflow's name behind it.

The listing is one of origins (CircleCI's pipelines, see ``payloads.py``), and tells no workflows:
each origin takes a request for those, and each workflow one for its jobs. A re-run is a new
workflow in an old origin, which nothing announces, so origins are looked at again (``walk.py``).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import STOPS, ForbiddenError, NotFoundError, SourceError
from runsync.http.client import checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Step
from runsync.sources.base import Cursor, Listed, Listing, Page, ResumePoint
from runsync.sources.circleci import payloads, walk
from runsync.sources.circleci.live import LiveAPI
from runsync.sources.circleci.payloads import RETENTION, Origin, Project
from runsync.sources.default_branch import DefaultBranch
from runsync.sources.fields import (
    BadRowError,
    check_any_read,
    check_one,
    distinct,
    or_problem,
    read_steps,
)
from runsync.sources.steps import not_shown, unended

# A workflow's name, as far as an id can hold it.
_NAME = re.compile(r"(?!\.{1,2}$)[^\x00-\x20/?#\x7f](?:[^\x00-\x1f?#\x7f]{0,198}[^\s/?#])?")
_MANY = 5
Row = Origin | Problem
Items = list[Listed | Problem | Cursor]


class CircleCI(LiveAPI):
    """One CircleCI."""

    recheck = RETENTION
    run_ids_are_unique = True
    # An origin takes a request of its own for its workflows, which most often are few.
    page_runs = 1

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        project = Project.parse(value)
        name = project.workflow if project else None
        is_named = name is not None and _NAME.fullmatch(name) is not None
        if not project or kind != ("id" if is_named else "repository") or (name and not is_named):
            what = f'{kind} of CircleCI\'s; write `repository = "gh/org/repo"` (bb/… or circleci/…'
            raise self.bad_name(value, f'{what} as well), or `id = "gh/org/repo/workflow"`')
        if name is None:
            return Listing(f"{self.name}/project/{project.slug}", project.slug)
        one = project.pipeline(name, self._config.base_url)
        key = f"{self.name}/workflow/{one.external_id}"
        return Listing(key, one.external_id, wanted.name, (one,))

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        return walk.recheck_since(memory, now)

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        project = self._project(listing.ref)
        branch = DefaultBranch(memory, partial(self._default_branch, project))
        show, find = partial(self._show, project), partial(self._find, project)
        book = walk.Book(memory if resume_point is None else {})
        name = self.listing_name(listing)
        for part in walk.walk(show, find, name=name):
            rows, known = book.cut(_below(part.rows, resume_point), part.as_of)
            rows = [*find(book.begin(part)), *rows]
            default = branch.at(part.as_of) if rows else None
            ask = partial(self._runs_of, project, default, book)
            found = self.client.each(ask, rows)
            check_any_read([some[0] for some in found], name, _MANY)
            items: Items = [item for some in found for item in some]
            items += [known.cursor] if known else []
            if items or part.at_start:
                yield Page(tuple(items), part.as_of, at_start=part.at_start)
            if known:
                return

    def _find(self, project: Project, numbers: Sequence[int]) -> list[Row]:
        """The origins of these numbers, but for those that CircleCI does not know."""

        def find(number: int) -> Row | None:
            with suppress(NotFoundError):
                raw = self.client.get(project.path("pipeline", number)).data
                row = or_problem(partial(payloads.read_origin, raw))
                is_other = isinstance(row, Origin) and row.number != number
                return Problem(f"pipeline {number}: another one came") if is_other else row
            return None

        return [row for row in self.client.each(find, numbers) if row]

    def complete(self, run: Run) -> RunWithSteps:
        path = checked_path("api", "v2", "workflow", run.id)
        try:
            rows, as_of = self._all(f"{path}/job")
        except NotFoundError:
            # That proves nothing, unless the run is not found either.
            as_of = self.client.get(path).as_of
            is_old = as_of - (run.finished_at or run.created_at) >= RETENTION
            what = "CircleCI has forgotten its jobs" if is_old else "its jobs are not found"
            problem = Problem(f"run {run.id}: {what}, though the run is there")
            # What is that old does not come back: it is set aside.
            return RunWithSteps(run, (), as_of, (problem,), steps_read=is_old)
        check_one(distinct(rows, "project_slug"), "jobs of more than one project are shown")
        steps, problems = read_steps(rows, partial(self._step, run), f"run {run.id}")
        steps = payloads.in_order(steps)
        shown = {step.id for step in steps}
        problems = problems or not_shown(run, payloads.awaited(run, steps), shown, "job")
        problems = problems or unended(run, steps, "job")
        return RunWithSteps(payloads.with_steps(run, steps), steps, as_of, problems)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        with self.reading():
            origin_id = self._workflow(run_id).needed_uuid("pipeline_id")
            project = self._project_of(pipeline, run_id)
            try:
                path = checked_path("api", "v2", "pipeline", origin_id)
                origin = payloads.read_origin(self.client.get(path).data)
                (found, _), _ = self._workflows(origin.id)
            except NotFoundError as error:
                what = f"run {run_id} is there, but not its pipeline"
                raise SourceError(f"{what}: {error}") from error
            if run_id not in found:
                raise BadRowError(f"run {run_id} is there, but its pipeline does not show it")
            own, url = pipeline.default_branch, self.client.base_url
            run = payloads.read_run(origin, project, found[run_id], url, own)
        return self.complete(run)

    def _runs_of(self, project: Project, branch: str | None, book: walk.Book, row: Row) -> Items:
        """The runs of an origin, in its place in the listing."""
        if isinstance(row, Problem):
            return [row]
        try:
            (found, bad), as_of = self._workflows(row.id)
        except NotFoundError:
            with suppress(NotFoundError):
                self.client.get(checked_path("api", "v2", "pipeline", row.id))
                return [_problem(row, "its workflows are not found, though it is there")]
            return [row.cursor]
        except STOPS:
            raise
        except (ForbiddenError, SourceError) as error:
            return [_problem(row, str(error))]
        is_old, url = as_of - row.at >= RETENTION, self.client.base_url
        items: Items = [_problem(row, why) for raw, why in bad if _is_hole(raw, project, is_old)]
        for one in (one for one in found.values() if project.has(one.name)):
            run = or_problem(partial(payloads.read_run, row, project, one, url, branch))
            if isinstance(run, Problem):
                items.append(_problem(row, run.what))
            else:
                book.note_rerun(row, run.created_at)
                items.append(Listed(row.cursor, run))
        return items or [row.cursor]

    def _step(self, run: Run, raw: object, _place: int) -> Step:
        """A step, with what only its job's detail tells where that is wanted; a job that never ran
        has none."""
        step = payloads.read_step(raw)
        number = payloads.job_number(step)
        if not self.has_details or number is None or step.started_at is None:
            return step
        project = self._project(run.pipeline.external_id)
        try:
            return payloads.read_details(self.client.get(project.path("job", number)).data, step)
        except NotFoundError as error:
            raise BadRowError(f"job {step.id}: its detail is not found") from error


def _problem(origin: Origin, why: str) -> Problem:
    return Problem(f"pipeline {origin.number}: {why}")


def _below(rows: Sequence[Row], start: ResumePoint | None) -> list[Row]:
    """What may stand at or below a place, which may be a time alone."""
    if start is None:
        return [*rows]
    at, number = start.cursor.at, start.cursor.id
    return [r for r in rows if isinstance(r, Problem) or r.at <= at or r.cursor.id <= number]


def _is_hole(raw: object, project: Project, is_old: bool) -> bool:
    """Whether a row that cannot be read may be a run of the wanted workflow. Of an old one CircleCI
    may show only that there was one."""
    if not isinstance(raw, dict):
        return True
    name, is_forgotten = raw.get("name"), is_old and raw.get("id") is None
    return not is_forgotten and (not isinstance(name, str) or project.has(name))
