"""CircleCI: the workflows of a project, by API v2, on circleci.com or a CircleCI server.

A workflow's name within a project is our pipeline, a workflow of one of CircleCI's pipelines our
run, a job our step. ``repository`` is a project's slug, ``gh/acme/shop``, for all its workflows;
``id`` has a workflow's name behind it.

The listing is one of origins (CircleCI's pipelines, see ``payloads.py``), and tells no workflows:
each origin takes a request for those, and each workflow one for its jobs. A re-run is a new
workflow in an old origin, which nothing announces, so origins are looked at again (``walk.py``).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import (
    CancelledError,
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    SourceError,
)
from runsync.http.client import checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Step
from runsync.sources.base import Cursor, Listed, Listing, Page, ResumePoint
from runsync.sources.circleci import walk
from runsync.sources.circleci.live import LiveAPI
from runsync.sources.circleci.payloads import (
    RETENTION,
    Origin,
    Project,
    awaited,
    in_order,
    job_number,
    read_details,
    read_run,
    read_step,
    with_steps,
)
from runsync.sources.default_branch import DefaultBranch
from runsync.sources.fields import BadRowError, check_one, distinct, read_steps
from runsync.sources.steps import not_shown, unended

# A workflow's name, as far as an id can hold it.
_NAME = re.compile(r"(?!\.{1,2}$)[^\x00-\x20/?#\x7f](?:[^\x00-\x1f?#\x7f]{0,198}[^\s/?#])?")
_MANY = 5
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
            raise ConfigError(
                f"{kind} {value!r} of source {self.name!r} is none of CircleCI's; write "
                '`repository = "gh/org/repo"` (bb/… or circleci/… as well), or '
                '`id = "gh/org/repo/workflow"` for one workflow'
            )
        if name is None:
            return Listing(f"{self.name}/project/{project.slug}", project.slug)
        own = project.pipeline(name, self._config.base_url)
        ref = own.external_id
        return Listing(f"{self.name}/workflow/{ref}", ref, wanted.name, (own,))

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        return walk.recheck_since(memory, now)

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        project = self._project(listing.ref)
        branch = DefaultBranch(memory, partial(self._default_branch, project))
        show, find = partial(self._show, project), partial(self._find, project)
        book = walk.Book(memory if resume_point is None else {})
        start = resume_point.cursor if resume_point else None
        for part in walk.walk(show, find, name=f"{self.name}: the listing {listing.key}"):
            rows = [r for r in part.rows if start is None or _is_at_or_below(r, start)]
            rows, known = book.cut(rows, part.as_of)
            rows = [*(row for row in find(book.begin(part)) if row), *rows]
            default = branch.at(part.as_of) if rows else None
            ask = partial(self._runs_of, project, default, book)
            found = self.client.each(ask, rows)
            self._check_failures(found)
            items: Items = [item for some in found for item in some]
            items += [known.cursor] if known else []
            if items or part.at_start:
                yield Page(tuple(items), part.as_of, at_start=part.at_start)
            if known:
                return

    def _check_failures(self, found: list[Items]) -> None:
        """Gives up where nothing of a page can be read: then it is not the pipelines' fault."""
        problems = [item for some in found for item in some if isinstance(item, Problem)]
        if len(found) >= _MANY and len(problems) == sum(map(len, found)):
            raise SourceError(
                f"{self.name}: {len(found)} pipelines in a row could not be read; the last: "
                f"{problems[-1].what}"
            )

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
        steps = in_order(steps)
        shown = {step.id for step in steps}
        problems = problems or not_shown(run, awaited(run, steps), shown, "job")
        problems = problems or unended(run, steps, "job")
        return RunWithSteps(with_steps(run, steps), steps, as_of, problems)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        with self.reading():
            workflow = self._workflow(run_id)
            own = self._own(pipeline, workflow)
            return self.complete(self._run(workflow.needed_uuid("pipeline_id"), run_id, own))

    def _run(self, origin_id: str, run_id: str, own: Pipeline) -> Run:
        """A run by the id of its origin and its own."""
        project = self._project(own.external_id)
        try:
            origin = self._origin(origin_id)
            (found, _), _ = self._workflows(origin.id)
            if run_id not in found:
                raise BadRowError(f"run {run_id} is there, but its pipeline does not show it")
            return read_run(found[run_id], origin, project, own, self.client.base_url)
        except NotFoundError as error:
            raise SourceError(f"run {run_id} is there, but not its pipeline: {error}") from error

    def _runs_of(
        self, project: Project, branch: str | None, book: walk.Book, row: Origin | Problem
    ) -> Items:
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
        except (ForbiddenError, SourceError) as error:
            if isinstance(error, CancelledError | RateLimitedError):
                raise
            return [_problem(row, str(error))]
        is_old = as_of - row.at >= RETENTION
        items: Items = [
            _problem(row, why)
            for raw, why in bad
            if _may_be(raw, project) and not (is_old and _is_forgotten(raw))
        ]
        url = self.client.base_url
        for one in found.values():
            if project.workflow not in (None, one.name):
                continue
            own = project.pipeline(one.name, url, branch)
            try:
                run = read_run(one, row, project, own, url)
            except BadRowError as error:
                items.append(_problem(row, str(error)))
                continue
            book.note_rerun(row, run.created_at)
            items.append(Listed(row.cursor, run))
        return items or [row.cursor]

    def _step(self, run: Run, raw: object, _place: int) -> Step:
        """A step, with what only its job's detail tells where that is wanted; a job that never ran
        has none."""
        step = read_step(raw)
        number = job_number(step)
        if not self.has_details or number is None or step.started_at is None:
            return step
        project = self._project(run.pipeline.external_id)
        try:
            return read_details(self.client.get(project.path("job", number)).data, step)
        except NotFoundError as error:
            raise BadRowError(f"job {step.id}: its detail is not found") from error


def _problem(origin: Origin, why: str) -> Problem:
    return Problem(f"pipeline {origin.number}: {why}")


def _is_at_or_below(row: Origin | Problem, place: Cursor) -> bool:
    # A place may be a time alone.
    return isinstance(row, Problem) or row.at <= place.at or row.cursor.id <= place.id


def _is_forgotten(raw: object) -> bool:
    """Whether CircleCI shows of a workflow only that there was one."""
    return isinstance(raw, dict) and raw.get("id") is None


def _may_be(raw: object, project: Project) -> bool:
    """Whether a row that cannot be read may be a run of the project's wanted workflow."""
    name = raw.get("name") if isinstance(raw, dict) else None
    return not isinstance(name, str) or project.workflow in (None, name)
