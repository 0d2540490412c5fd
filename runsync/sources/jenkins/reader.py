"""What is asked of Jenkins for jobs, folders, builds and stages, by checked names."""

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from runsync.errors import NotFoundError, RefusedError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps
from runsync.sources.base import Listed, Source, basic_or_bearer
from runsync.sources.fields import BadRowError, Fields, describe, or_problem, rows_in
from runsync.sources.jenkins import payloads, walk
from runsync.sources.jenkins.payloads import BUILD_TREE, build_time, job_path
from runsync.sources.jenkins.walk import JobAnswer, JobList
from runsync.sources.steps import without_steps

# Of each view of stages: where a build tells them, and where its job itself answers if the view is
# installed.
_VIEWS = {
    "wfapi": (("wfapi", "describe"), ("wfapi", "describe")),
    "graph": (("stages", "tree"), ("multi-pipeline-graph", "runs")),
}
# By what a job is known, and a folder; and what to write for the one in the place of the other.
_KEYS = {
    "nextBuildNumber": ("a job, no folder", "id"),
    "jobs": ("a folder or a project, no job", "application_id"),
}
_LEVELS = 3


@dataclass(slots=True)
class Folder:
    """What is in a folder, however deep: each folder (None) before what is in it, by full name;
    and what could not be read."""

    as_of: datetime
    items: dict[str, JobAnswer | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class JenkinsReader(Source):
    """Reads jobs and builds."""

    _view: str | None = None
    """Which view tells stages here, as answers have shown; "" where this walk found none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._branches: dict[str, bool] = {}  # whether a job is a branch's, as far as was told

    headers = staticmethod(basic_or_bearer)
    run_id_pattern = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
    run_id_description = "number of a Jenkins build"
    pipeline_word = "job"

    def _checked_name(self, name: str) -> str:
        if not payloads.is_job_name(name):
            what = "name of a Jenkins job; write its full name, such as folder/app or"
            raise self.bad_name(name, f"{what} folder/app/feature%2Fx, and no URL")
        return name

    # Jobs and folders.

    def _ask(self, name: str, key: str, tree: str) -> Response:
        """What a job or a folder tells, which has this ``key``, and the other one has not.

        Raises:
            RefusedError: it is the other one.
        """
        path = checked_path(*job_path(name), "api", "json")
        answer = self.client.get(path, {"tree": tree})
        told = answer.data if isinstance(answer.data, dict) else {}
        if key in told:
            return answer
        for other, (what, right) in _KEYS.items():
            if other in told:
                hint = f'write `{right} = "{name}"` in the config'
                raise RefusedError(f"{self.name}: {name!r} is {what}; {hint}")
        raise SourceError(
            f"{self.name}: {path} is neither job nor folder but {describe(answer.data)}; "
            "check that base_url is Jenkins'"
        )

    def _job(self, name: str, position: int, size: int | None = None) -> JobAnswer:
        """A job with its builds from a position on."""
        last = position + (size or walk.PAGE_SIZE)
        answer = self._ask(name, "nextBuildNumber", f"jobs[name],{job_tree(position, last)}")
        with self.reading():
            return self._read_job(Fields(answer.data, f"job {name}"), name, answer.as_of)

    def _read_job(self, fields: Fields, name: str, as_of: datetime) -> JobAnswer:
        rows, following = fields.raw.get("allBuilds", []), fields.needed_number("nextBuildNumber")
        if not isinstance(rows, list):
            raise BadRowError(f"{fields.what}: its builds are {describe(rows)}")
        first = fields.child("firstBuild")
        self._branches[name] = "BranchJobProperty" in str(fields.raw.get("property"))
        return JobAnswer(rows, first.integer("number") if first else None, following, as_of)

    def _folder(self, name: str, tree: str) -> Folder:
        """All that is in a folder, and what ``tree`` asks of its jobs."""
        inner = f"name,{tree}"
        for _ in range(_LEVELS - 1):
            inner = f"name,{tree},jobs[{inner}]"

        def ask(name: str) -> Response:
            return self._ask(name, "jobs", f"nextBuildNumber,jobs[{inner}]")

        def add(above: str, answer: Response) -> None:
            for raw in rows_in(answer.data, f"folder {above!r}", "jobs"):
                try:
                    name, fields = payloads.read_name(raw, above)
                    is_job = "nextBuildNumber" in fields.raw
                    job = self._read_job(fields, name, answer.as_of) if is_job else None
                except BadRowError as error:
                    folder.problems.append(Problem(str(error), lost=False))
                    continue
                folder.items[name] = job
                if job is None:
                    # It may lie too deep for this answer.
                    is_told = "jobs" in fields.raw
                    add(name, replace(answer, data=fields.raw) if is_told else ask(name))

        top = ask(name)
        folder = Folder(top.as_of)
        add(name, top)
        return folder

    def _job_list(self, name: str, begun: JobAnswer) -> JobList:
        """What the walk asks of a job."""
        listed, time_of = partial(self._listed, name), partial(self._time_of, name)
        return JobList(name, begun, partial(self._job, name), listed, time_of)

    def _listed(self, name: str, raw: object, as_of: datetime) -> Listed | Problem:
        read = or_problem(partial(self._read, raw, name, as_of))
        if isinstance(read, Problem):
            return read
        place = walk.place_of(name, read.run.id, read.run.created_at)
        return Listed(place, read.run, details=read if read.steps_read else None)

    def _time_of(self, name: str, number: int) -> int | None:
        with suppress(NotFoundError):
            return build_time(self._told(Pipeline(name), str(number)).data)
        return None

    def _told(self, pipeline: Pipeline, number: str) -> Response:
        """Whether there is a build, and when it began."""
        return self.client.get(self._build_path(pipeline, number), {"tree": "timestamp"})

    # Builds.

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(self._build_path(pipeline, run_id), {"tree": BUILD_TREE})
        with self.reading():
            found = self._read(answer.data, pipeline.external_id, answer.as_of)
        self.check_run_id(found.run, run_id)
        if found.steps_read:
            return found
        found = self.complete(found.run)
        return replace(found, as_of=min(found.as_of, answer.as_of))

    def _build_path(self, pipeline: Pipeline, run_id: str, *more: str) -> str:
        name, number = self._checked_name(pipeline.external_id), self.valid_run_id(run_id)
        return checked_path(*job_path(name), number, *(more or ("api", "json")))

    def _read(self, raw: object, name: str, as_of: datetime) -> RunWithSteps:
        if name not in self._branches:
            self._job(name, 0, 1)
        url, is_branch = self.client.base_url, self._branches[name]
        return payloads.read_build(raw, name, url, as_of, is_branch=is_branch)

    def complete(self, run: Run) -> RunWithSteps:
        """A build of a Pipeline job with its stages.

        That they are not found proves nothing: then the build is asked for, and where no view has
        been seen to work here, its job for signs of one. Without any it has no steps; it takes
        another walk that finds none before that is believed, since a job that is away for a moment
        has none either.
        """
        known = self._view
        for view, (place, _) in _VIEWS.items():
            with suppress(NotFoundError), self.reading():
                if known in (None, view):
                    answer = self.client.get(self._build_path(run.pipeline, run.id, *place))
                    details = payloads.read_stages(view, run, answer.data, answer.as_of)
                    self._view = view
                    return details
        is_shown = known or (known is None and any(map(partial(self._has_sign, run), _VIEWS)))
        there = self._told(run.pipeline, run.id)
        if is_shown:
            return without_steps(run, there.as_of, "its stages are")
        self._view = self._view or ""
        return RunWithSteps(run, (), there.as_of)

    def _has_sign(self, run: Run, view: str) -> bool:
        """Whether the job of a build shows that a view is installed."""
        with suppress(NotFoundError):
            self.client.get(checked_path(*job_path(run.pipeline.external_id), *_VIEWS[view][1]))
            return True
        return False


def job_tree(first: int, end: int) -> str:
    """The ``tree`` that asks for a job with some of its builds."""
    builds = f"allBuilds[{BUILD_TREE}]{{{first},{end}}}"
    return f"nextBuildNumber,firstBuild[number],property[_class],{builds}"
