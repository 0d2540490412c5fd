"""CircleCI: the workflows of a project, by API v2, on circleci.com or a CircleCI server.

A workflow's name within a project is our pipeline, a workflow of one of CircleCI's pipelines our
run, a job our step. ``repository`` is a project's slug, ``gh/acme/shop``, for all its workflows;
``id`` has a workflow's name behind it.

The listing is one of origins (CircleCI's pipelines, see ``payloads.py``), and tells no workflows:
each origin takes a request for those, and each workflow one for its jobs. A re-run is a new
workflow in an old origin, which nothing announces, so origins are looked at again (``walk.py``).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from runsync.config import PipelineConfig
from runsync.errors import (
    NOTHING_MORE_TO_ASK,
    ConfigError,
    ForbiddenError,
    NotFoundError,
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
    in_order,
    number_of,
    read_details,
    read_run,
    read_step,
    siblings,
    with_steps,
)
from runsync.sources.default_branch import DefaultBranch
from runsync.sources.fields import BadRowError, Fields

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
        if kind == "application_id" or not project or (kind == "id") != bool(project.workflow):
            raise ConfigError(
                f"{kind} {value!r} of source {self.name!r} is none of CircleCI's; write "
                '`repository = "gh/org/repo"` (bb/… or circleci/… as well), or '
                '`id = "gh/org/repo/workflow"` for one workflow'
            )
        if project.workflow is None:
            return Listing(f"{self.name}/project/{project.slug}", project.slug)
        ref = f"{project.slug}/{project.workflow}"
        own = project.pipeline(project.workflow, self._config.base_url)
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
        start = number_of(resume_point.cursor) if resume_point else None
        for part in walk.walk(show, find, name=f"{self.name}: the listing {listing.key}"):
            rows = [r for r in part.rows if start is None or _is_at_or_below(r, start)]
            rows, known = book.cut(rows, part.as_of)
            rows = [*(row for row in find(book.begin(part)) if row), *rows]
            default = branch.at(part.as_of) if rows else None
            ask = partial(self._runs_of, project, default, book)
            items: Items = [item for found in self.client.each(ask, rows) for item in found]
            items += [known.cursor] if known else []
            if items or part.at_start:
                yield Page(tuple(items), part.as_of, at_start=part.at_start)
            if known:
                return

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
        steps: dict[str, Step] = {}
        problems: list[Problem] = []
        for raw in rows:
            try:
                step = read_step(raw)
                if self.has_details:
                    step = self._with_details(run, step)
                steps[step.id] = step
            except BadRowError as error:
                problems.append(Problem(f"run {run.id}: {error}"))
        ordered = in_order(steps.values())
        return RunWithSteps(with_steps(run, ordered), ordered, as_of, tuple(problems))

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        project = self._project(pipeline.external_id)
        answer = self.client.get(checked_path("api", "v2", "workflow", run_id))
        try:
            origin_id = Fields(answer.data, f"run {run_id}").needed_id("pipeline_id")
            found, _ = siblings(self._all(_workflows(origin_id))[0])
            one, origin = found.get(run_id), self._origin(origin_id)
            if one is None:
                raise SourceError(
                    f"{self.name}: run {run_id} is there, but its pipeline {origin_id} lacks it; "
                    "sync again"
                )
            run = read_run(one, origin, project, pipeline, self.client.base_url)
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error
        except NotFoundError as error:
            raise SourceError(
                f"{self.name}: run {run_id} is there, but not what it is part of: {error}"
            ) from error
        return self.complete(run)

    def _runs_of(
        self, project: Project, branch: str | None, book: walk.Book, row: Origin | Problem
    ) -> Items:
        """The runs of an origin, in its place in the listing."""
        if isinstance(row, Problem):
            return [row]
        try:
            raws, as_of = self._all(_workflows(row.id))
        except NotFoundError:
            with suppress(NotFoundError):
                self._origin(row.id)
                return [self._problem(row, "its workflows are not found, though it is there")]
            return [row.cursor]
        except (ForbiddenError, SourceError) as error:
            if isinstance(error, NOTHING_MORE_TO_ASK) and not isinstance(error, ForbiddenError):
                raise
            return [self._problem(row, str(error))]
        found, bad = siblings(raws)
        is_old = as_of - row.at >= RETENTION
        items: Items = [
            self._problem(row, why)
            for raw, why in bad
            if not (is_old and _is_forgotten(raw)) and _may_be(raw, project)
        ]
        for one in found.values():
            name = one.fields.needed_text("name")
            own = project.pipeline(name, self.client.base_url, branch)
            try:
                run = read_run(one, row, project, own, self.client.base_url)
            except BadRowError as error:
                items += [self._problem(row, str(error))] if _is_of(name, project) else []
                continue
            book.note_rerun(row, run.created_at)
            items += [Listed(row.cursor, run)] if _is_of(name, project) else []
        return items or [row.cursor]

    def _problem(self, origin: Origin, why: str) -> Problem:
        return Problem(f"pipeline {origin.number}: {why}")

    def _with_details(self, run: Run, step: Step) -> Step:
        """The step with what only its job's detail tells; a job that never ran has none."""
        number = step.extra.get("job_number")
        if not isinstance(number, int) or step.started_at is None:
            return step
        project = self._project(run.pipeline.external_id)
        try:
            return read_details(self.client.get(project.path("job", number)).data, step)
        except NotFoundError as error:
            raise BadRowError(f"the detail of job {number} is not found") from error


def _workflows(origin_id: str) -> str:
    return checked_path("api", "v2", "pipeline", origin_id, "workflow")


def _is_at_or_below(row: Origin | Problem, number: int) -> bool:
    return isinstance(row, Problem) or row.number <= number


def _is_of(name: str, project: Project) -> bool:
    return project.workflow in (None, name)


def _is_forgotten(raw: object) -> bool:
    """Whether CircleCI shows of a workflow only that there was one."""
    return isinstance(raw, dict) and raw.get("id") is None


def _may_be(raw: object, project: Project) -> bool:
    """Whether a row that cannot be read may be a run of the project's wanted workflow."""
    name = raw.get("name") if isinstance(raw, dict) else None
    return not isinstance(name, str) or _is_of(name, project)
