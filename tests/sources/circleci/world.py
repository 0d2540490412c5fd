"""A project of CircleCI's and its history, as its published API v2 (and v1.1 for logs) tells it.

It knows nothing of runsync. A *pipeline* is what one event started; it has workflows, and those
have jobs. A re-run is another workflow in the same pipeline. The clock stands still unless it is
told to go on.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

Json = dict[str, Any]
WORKFLOW_OVER = {"success", "failed", "error", "canceled", "unauthorized", "not_run"}
JOB_OVER = (WORKFLOW_OVER - {"error"}) | {"infrastructure_fail", "timedout", "terminated-unknown"}
RERUN_DAYS = 90
SECRET = "canary-hunter2"


@dataclass
class CiJob:
    id: str
    name: str
    type: str = "build"
    status: str = "blocked"
    number: int | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    dependencies: list[str] = field(default_factory=list)
    resource_class: str = "medium"


@dataclass
class CiWorkflow:
    id: str | None
    name: str
    created_at: datetime
    started_by: str
    status: str = "running"
    stopped_at: datetime | None = None
    canceled_by: str | None = None
    tag: str | None = None
    jobs: list[CiJob] = field(default_factory=list)


@dataclass
class CiPipeline:
    id: str
    number: int
    created_at: datetime
    state: str = "created"
    errors: list[Json] = field(default_factory=list)
    trigger: str = "webhook"
    login: str = "ada"
    branch: str | None = "main"
    tag: str | None = None
    revision: str = ""
    subject: str | None = "Change"
    body: str | None = ""
    trigger_parameters: Json | None = None
    parameters: Json = field(default_factory=dict)
    workflows: list[CiWorkflow] = field(default_factory=list)

    @property
    def has_vcs(self) -> bool:
        return self.trigger_parameters is None


class World:
    """One project."""

    slug = "gh/acme/shop"

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.pipelines: list[CiPipeline] = []
        self.forgotten: set[str] = set()
        self.spoilt: dict[str, Callable[[Json], Any]] = {}
        self._ids = self._numbers = self._jobs = 0

    def pass_time(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    def uuid(self) -> str:
        self._ids += 1
        # Mixed, so that ids do not sort by age.
        return str(UUID(int=(self._ids * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4))

    # What happens.

    def push(self, *workflows: str, **more: Any) -> CiPipeline:
        """A pipeline comes, with running workflows of these names; none where none is named."""
        self._numbers += 1
        pipeline = CiPipeline(self.uuid(), self._numbers, self.now, **more)
        pipeline.revision = pipeline.revision or f"{self._numbers:040x}"
        self.pipelines.append(pipeline)
        for name in workflows:
            self.begin(pipeline, name)
        return pipeline

    def begin(
        self, pipeline: CiPipeline, name: str, by: str = "user-1", jobs: str = "build unit"
    ) -> CiWorkflow:
        """A workflow begins: its first job runs, the others wait for the one before."""
        workflow = CiWorkflow(self.uuid(), name, self.now, by)
        for job in jobs.split():
            before = [workflow.jobs[-1].id] if workflow.jobs else []
            workflow.jobs.append(CiJob(self.uuid(), job, dependencies=before))
        pipeline.workflows.append(workflow)
        self.advance(workflow)
        return workflow

    def advance(self, workflow: CiWorkflow) -> bool:
        """Starts the next job that waits; whether there was one."""
        waiting = next((job for job in workflow.jobs if job.status == "blocked"), None)
        if waiting is None:
            return False
        if waiting.type == "approval":
            waiting.status, workflow.status = "on_hold", "on_hold"
            return True
        self._jobs += 1
        waiting.status, waiting.number = "running", self._jobs
        waiting.started_at = self.now
        workflow.status = "running"
        return True

    def end_job(self, workflow: CiWorkflow, word: str = "success") -> None:
        """Ends the job that runs; the next begins, or the workflow is over."""
        for job in workflow.jobs:
            if job.status in ("running", "on_hold"):
                job.status, job.stopped_at = word, self.now
        if word == "success" and self.advance(workflow):
            return
        over = {"success": "success", "unauthorized": "unauthorized", "canceled": "canceled"}
        for job in workflow.jobs:
            job.status = "not_run" if job.status == "blocked" else job.status
        self._over(workflow, over.get(word, "failed"))

    def end(self, workflow: CiWorkflow, word: str = "success", seconds: float = 30) -> None:
        """Lets all its jobs run; the last ends with the word."""
        while workflow.status not in WORKFLOW_OVER:
            self.pass_time(seconds=seconds)
            waits = any(job.status == "blocked" for job in workflow.jobs)
            self.end_job(workflow, "success" if waits else word)

    def cancel(self, workflow: CiWorkflow, by: str = "user-2") -> None:
        for job in workflow.jobs:
            if job.status not in JOB_OVER:
                job.status = "canceled"
                job.stopped_at = self.now if job.started_at else None
        workflow.canceled_by = by
        self._over(workflow, "canceled")

    def _over(self, workflow: CiWorkflow, word: str) -> None:
        workflow.status, workflow.stopped_at = word, self.now

    def rerun(self, pipeline: CiPipeline, of: CiWorkflow, by: str = "user-1") -> CiWorkflow | None:
        """Runs a workflow again; None where it is too old for that."""
        if self.now - of.created_at >= timedelta(days=RERUN_DAYS):
            return None
        jobs = " ".join(job.name for job in of.jobs)
        again = self.begin(pipeline, of.name, by, jobs)
        again.tag = of.tag
        return again

    def forget(self, pipeline: CiPipeline) -> None:
        """A pipeline goes, with all that was in it."""
        self.pipelines.remove(pipeline)

    def history(self, count: int, *names: str, seed: int = 1, gap: float = 600) -> list[CiWorkflow]:
        """Pipelines with a finished workflow of each name, some seconds apart."""
        draw, made = random.Random(seed), []
        for _ in range(count):
            pipeline = self.push(*(names or ("build-and-test",)))
            for workflow in pipeline.workflows:
                self.end(workflow, draw.choice(["success"] * 4 + ["failed"]))
            made += pipeline.workflows
            self.pass_time(seconds=draw.random() * gap)
        return made

    # What is found.

    def workflows(self) -> Iterator[tuple[CiPipeline, CiWorkflow]]:
        for pipeline in self.pipelines:
            for workflow in pipeline.workflows:
                yield pipeline, workflow

    def pipeline(self, key: str) -> CiPipeline | None:
        return next((p for p in self.pipelines if p.id == key), None)

    def workflow(self, key: str) -> tuple[CiPipeline, CiWorkflow] | None:
        return next(((p, w) for p, w in self.workflows() if w.id == key), None)

    def job(self, number: int) -> tuple[CiWorkflow, CiJob] | None:
        found = ((w, j) for _, w in self.workflows() for j in w.jobs if j.number == number)
        return next(found, None)

    # What CircleCI shows of it.

    def shown_pipeline(self, one: CiPipeline) -> Json:
        raw: Json = {
            "id": one.id,
            "errors": one.errors,
            "project_slug": self.slug,
            "updated_at": fine(one.created_at),
            "number": one.number,
            "state": one.state,
            "created_at": fine(one.created_at),
            "trigger": {
                "received_at": fine(one.created_at),
                "type": one.trigger,
                "actor": {"login": one.login, "avatar_url": None},
            },
        }
        if one.trigger_parameters is not None:
            raw["trigger_parameters"] = one.trigger_parameters
        if one.has_vcs:
            raw["vcs"] = self._vcs(one)
        return raw

    def _vcs(self, one: CiPipeline) -> Json:
        url = "https://github.com/acme/shop"
        vcs: Json = {
            "provider_name": "GitHub",
            "origin_repository_url": url,
            "target_repository_url": url,
            "revision": one.revision,
        }
        vcs |= {"branch": one.branch} if one.branch else {}
        vcs |= {"tag": one.tag} if one.tag else {}
        if one.subject is not None:
            vcs["commit"] = {"subject": one.subject, "body": one.body}
        return vcs

    def shown_workflow(self, of: CiPipeline, one: CiWorkflow) -> Json:
        if one.id in self.forgotten:
            return dict.fromkeys("pipeline_id id name project_slug status created_at".split())
        raw: Json = {
            "pipeline_id": of.id,
            "id": one.id,
            "name": one.name,
            "project_slug": self.slug,
            "status": one.status,
            "started_by": one.started_by,
            "pipeline_number": of.number,
            "created_at": coarse(one.created_at),
            "stopped_at": coarse(one.stopped_at) if one.stopped_at else None,
        }
        raw |= {"canceled_by": one.canceled_by} if one.canceled_by else {}
        return raw | ({"tag": one.tag} if one.tag else {})

    def shown_job(self, one: CiJob) -> Json:
        raw: Json = {
            "id": one.id,
            "name": one.name,
            "type": one.type,
            "status": one.status,
            "project_slug": self.slug,
            "dependencies": one.dependencies,
            "started_at": coarse(one.started_at) if one.started_at else None,
        }
        raw |= {"job_number": one.number} if one.number else {}
        return raw | ({"stopped_at": coarse(one.stopped_at)} if one.stopped_at else {})

    def shown_job_detail(self, of: CiWorkflow, one: CiJob) -> Json:
        assert one.started_at
        return {
            "web_url": f"https://circleci.com/gh/acme/shop/{one.number}",
            "project": {"slug": self.slug, "name": "shop", "external_url": "x", "id": "y"},
            "parallel_runs": [{"index": 0, "status": one.status}],
            "started_at": fine(one.started_at),
            "latest_workflow": {"id": of.id, "name": of.name},
            "name": one.name,
            "executor": {"resource_class": one.resource_class, "type": "docker"},
            "parallelism": 1,
            "status": one.status,
            "number": one.number,
            "pipeline": {"id": "z"},
            "duration": None,
            "created_at": fine(one.started_at),
            "queued_at": fine(one.started_at),
            "stopped_at": fine(one.stopped_at) if one.stopped_at else None,
            "messages": [],
            "contexts": [{"name": "org-global"}],
            "organization": {"name": "acme"},
        }


def fine(when: datetime) -> str:
    """With milliseconds, as pipelines have it."""
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"


def coarse(when: datetime) -> str:
    """In whole seconds, as workflows and jobs have it."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
