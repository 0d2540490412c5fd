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
from runsync.sources.jenkins.payloads import BUILD_TREE, job_path
from runsync.sources.jenkins.walk import JobAnswer, JobList
from runsync.sources.steps import without_steps

# Of each view of stages: where a build tells them, and where its job itself answers if the view is
# installed.
_VIEWS = {
    "wfapi": (("wfapi", "describe"), ("wfapi", "describe")),
    "graph": (("stages", "tree"), ("multi-pipeline-graph", "runs")),
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

    def _item(self, name: str, tree: str) -> Response:
        """What a job or folder tells."""
        path = checked_path(*job_path(name), "api", "json")
        answer = self.client.get(path, {"tree": tree})
        if not isinstance(answer.data, dict) or not {"nextBuildNumber", "jobs"} & set(answer.data):
            raise SourceError(
                f"{self.name}: {path} is neither job nor folder but {describe(answer.data)}; "
                "check that base_url is Jenkins'"
            )
        return answer

    def _job(self, name: str, position: int, size: int | None = None) -> JobAnswer:
        """A job with its builds from a position on.

        Raises:
            RefusedError: it is a folder.
        """
        last = position + (size or walk.PAGE_SIZE)
        answer = self._item(name, f"{_job_tree(f'{{{position},{last}}}')},jobs[name]")
        if "nextBuildNumber" not in answer.data:
            raise self._other_key(name, "a folder or a project, no job", "application_id")
        with self.reading():
            return self._read_job(Fields(answer.data, f"job {name}"), name, answer.as_of)

    def _read_job(self, fields: Fields, name: str, as_of: datetime) -> JobAnswer:
        rows, following = fields.raw.get("allBuilds", []), fields.integer("nextBuildNumber")
        if not isinstance(rows, list) or following is None:
            raise BadRowError(f"{fields.what}: its builds are {describe(rows)}")
        first = fields.child("firstBuild")
        self._branches[name] = _is_branch(fields.raw)
        return JobAnswer(rows, first.integer("number") if first else None, following, as_of)

    def _folder(self, name: str, builds: str | None) -> Folder:
        """All that is in a folder, jobs with their builds of a range such as ``{0,100}``, if any.

        Raises:
            RefusedError: it is a job.
        """
        job = _job_tree(builds)
        inner = f"name,{job}"
        for _ in range(_LEVELS - 1):
            inner = f"name,{job},jobs[{inner}]"

        def ask(name: str) -> Response:
            answer = self._item(name, f"nextBuildNumber,jobs[{inner}]")
            if "jobs" not in answer.data:
                raise self._other_key(name, "a job, no folder", "id")
            return answer

        def add(above: str, listed: object, as_of: datetime) -> None:
            for raw in rows_in(listed, f"the jobs of folder {above!r}"):
                try:
                    name, fields = payloads.read_name(raw, above)
                    is_job = "nextBuildNumber" in fields.raw
                    job = self._read_job(fields, name, as_of) if is_job else None
                except BadRowError as error:
                    folder.problems.append(Problem(str(error), lost=False))
                    continue
                is_new = name not in folder.items
                folder.items.setdefault(name, job)
                if is_new and not is_job and "jobs" in fields.raw:
                    add(name, fields.raw["jobs"], as_of)
                elif is_new and not is_job:  # it lies too deep for this answer
                    deeper = ask(name)
                    add(name, deeper.data["jobs"], deeper.as_of)

        top = ask(name)
        folder = Folder(top.as_of)
        add(name, top.data["jobs"], top.as_of)
        return folder

    def _other_key(self, name: str, what: str, key: str) -> RefusedError:
        return RefusedError(
            f'{self.name}: {name!r} is {what}; write `{key} = "{name}"` in the config'
        )

    def _job_list(self, name: str) -> JobList:
        """What the walk asks of a job."""
        listed, time_of = partial(self._listed, name), partial(self._time_of, name)
        return JobList(name, partial(self._job, name), listed, time_of)

    def _listed(self, name: str, raw: object, as_of: datetime) -> Listed | Problem:
        read = or_problem(partial(self._read, raw, name, as_of))
        if isinstance(read, Problem):
            return read
        place = walk.place_of(name, read.run.id, read.run.created_at)
        return Listed(place, read.run, details=read if read.steps_read else None)

    def _time_of(self, name: str, number: int) -> int | None:
        with suppress(NotFoundError):
            path = self._build_path(Pipeline(name), str(number))
            data = self.client.get(path, {"tree": "number,timestamp"}).data
            return data.get("timestamp") if isinstance(data, dict) else None
        return None

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
            told = self._item(name, "nextBuildNumber,property[_class]").data
            self._branches[name] = _is_branch(told)
        url = self.client.base_url
        own = Pipeline(name, name, url + checked_path(*job_path(name)) + "/")
        return payloads.read_build(raw, own, url, as_of, is_branch=self._branches[name])

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
        there = self.client.get(self._build_path(run.pipeline, run.id), {"tree": "number"})
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


def _job_tree(builds: str | None) -> str:
    """The ``tree`` that asks for a job."""
    if builds is None:
        return "nextBuildNumber"
    told = "nextBuildNumber,firstBuild[number],property[_class]"
    return f"{told},allBuilds[{BUILD_TREE}]{builds}"


def _is_branch(told: Any) -> bool:
    """Whether a job is that of a branch: one of a multibranch project's."""
    return "BranchJobProperty" in str(told.get("property"))
