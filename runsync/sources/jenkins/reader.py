"""What is asked of Jenkins for jobs, builds and stages, by checked names."""

import re
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from runsync.errors import ConfigError, NotFoundError, RefusedError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps
from runsync.sources.base import Listed, Source, basic_or_bearer
from runsync.sources.fields import Fields, describe, or_problem
from runsync.sources.jenkins import items, payloads, walk
from runsync.sources.jenkins.payloads import BUILD_TREE, BuildRun, job_path
from runsync.sources.steps import without_steps

_VIEWS = {"wfapi": ("wfapi", "describe"), "graph": ("stages", "tree")}
# Where a job itself answers if one of these views is installed.
_SIGNS = (("wfapi", "describe"), ("multi-pipeline-graph", "runs"))


class JenkinsReader(Source):
    """Reads jobs and builds."""

    _view: str | None = None
    """Which view tells stages here: wfapi, graph, or none. Learnt from answers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._branches: dict[str, bool] = {}  # whether a job is a branch's, as far as was told

    headers = staticmethod(basic_or_bearer)
    run_id_pattern = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
    run_id_description = "number of a Jenkins build"
    pipeline_word = "job"

    def complete(self, run: Run) -> RunWithSteps:
        if not isinstance(run, BuildRun):
            return self.reread(run.pipeline, run.id)
        if not run.has_stages or self._view == "none":
            return RunWithSteps(run, (payloads.whole_build(run),), run.as_of)
        return self._with_stages(run)

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(self._build_path(pipeline, run_id), {"tree": BUILD_TREE})
        with self.reading():
            run = self._read(answer.data, pipeline.external_id, answer.as_of)
        self.check_run_id(run, run_id)
        return self.complete(run)

    def _checked_name(self, name: str) -> str:
        if not payloads.is_job_name(name):
            raise ConfigError(
                f"{name!r} of source {self.name!r} is no name of a Jenkins job; write its full "
                "name, such as folder/app or folder/app/feature%2Fx, and no URL"
            )
        return name

    def _build_path(self, pipeline: Pipeline, run_id: str, *more: str) -> str:
        name, number = self._checked_name(pipeline.external_id), self.valid_run_id(run_id)
        return checked_path(*job_path(name), number, *(more or ("api", "json")))

    # Jobs.

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

    def _job(self, name: str, position: int, size: int) -> walk.JobAnswer:
        """A job with its builds from a position on.

        Raises:
            RefusedError: it is a folder.
        """
        tree = items.items_tree(f"{{{position},{position + size}}}", deep=False)
        answer = self._item(name, tree)
        if "nextBuildNumber" not in answer.data:
            raise self._other_key(name, "a folder or a project, no job", "application_id")
        with self.reading():
            job = items.read_job(Fields(answer.data, f"job {name}"), answer.as_of)
        self._branches[name] = job.is_branch
        return job

    def _items(self, name: str, builds: str | None) -> tuple[list[items.Found], datetime]:
        """All that is in a folder, and the time of the answer.

        Raises:
            RefusedError: it is a job.
        """
        tree = items.items_tree(builds, deep=True)

        def ask(name: str) -> tuple[object, datetime]:
            answer = self._item(name, tree)
            if "jobs" not in answer.data:
                raise self._other_key(name, "a job, no folder", "id")
            return answer.data["jobs"], answer.as_of

        listed, as_of = ask(name)
        found = list(items.items_in(name, listed, as_of, ask, set()))
        self._branches |= {one: job.is_branch for one, job in found if job and isinstance(one, str)}
        return found, as_of

    def _other_key(self, name: str, what: str, key: str) -> RefusedError:
        return RefusedError(
            f'{self.name}: {name!r} is {what}; write `{key} = "{name}"` in the config'
        )

    def _is_branch(self, name: str) -> bool:
        if name not in self._branches:
            answer = self._item(name, "nextBuildNumber,property[_class]")
            self._branches[name] = items.is_branch_job(answer.data)
        return self._branches[name]

    def _job_list(self, name: str) -> walk.JobList:
        """What the walk asks of a job."""

        def ask(position: int) -> walk.JobAnswer:
            return self._job(name, position, walk.PAGE_SIZE)

        def read(raw: object, as_of: datetime) -> Listed | Problem:
            run = or_problem(partial(self._read, raw, name, as_of))
            if isinstance(run, Problem):
                return run
            return Listed(walk.place_of(name, run.id, run.created_at), run)

        def time_of(number: int) -> int | None:
            path = self._build_path(Pipeline(name), str(number))
            with suppress(NotFoundError):
                data = self.client.get(path, {"tree": "number,timestamp"}).data
                return data.get("timestamp") if isinstance(data, dict) else None
            return None

        return walk.JobList(name, ask, read, time_of)

    # Builds.

    def _read(self, raw: object, name: str, as_of: datetime) -> BuildRun:
        url, is_branch = self.client.base_url, self._is_branch(name)
        page = url + checked_path(*job_path(name)) + "/"
        return payloads.read_build(raw, Pipeline(name, name, page), url, as_of, is_branch=is_branch)

    def _with_stages(self, run: BuildRun) -> RunWithSteps:
        """The build with its stages.

        That they are not found proves nothing: then the build is asked for, and where no view has
        been seen to work here, whether there is one at all.
        """
        known = self._view
        for view in [known] if known else _VIEWS:
            with suppress(NotFoundError), self.reading():
                answer = self.client.get(self._build_path(run.pipeline, run.id, *_VIEWS[view]))
                details = payloads.read_stages(view, run, answer.data, answer.as_of)
                self._view = view
                return details
        there = self._told(run)
        for place in () if known else _SIGNS:
            with suppress(NotFoundError):
                self.client.get(checked_path(*job_path(run.pipeline.external_id), *place))
                break
            # A job that has just gone, and may come back, answers nowhere, views or not.
            there = self._told(run)
        else:
            self._view = self._view or "none"
        if self._view == "none":
            return RunWithSteps(run, (payloads.whole_build(run),), run.as_of)
        return without_steps(run, there.as_of, "its stages are")

    def _told(self, run: BuildRun) -> Response:
        return self.client.get(self._build_path(run.pipeline, run.id), {"tree": "number"})
