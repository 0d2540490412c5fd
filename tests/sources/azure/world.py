"""A simulated organisation of Azure DevOps: one project, its definitions, builds and timelines.

It knows nothing of runsync. Times have 100 ns inside the service; here they have microseconds, and
are written as the service writes them: seven digits at most, without the zeros at the end.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]
UNFINISHED = ("inProgress", "cancelling", "postponed", "notStarted")
RESULTS = ("succeeded", "partiallySucceeded", "failed", "canceled")
ROOT = "https://dev.azure.example/fabrikam"
SECRET = "canary-of-a-variable"
MAIL = "ada@fabrikam.example"
ADA = {
    "displayName": "Ada Lovelace",
    "id": "d6245f20-2af8-44f4-9451-8107cb2767db",
    "uniqueName": MAIL,
    "url": f"{ROOT}/_apis/Identities/d6245f20-2af8-44f4-9451-8107cb2767db",
    "imageUrl": f"{ROOT}/_api/_common/identityImage?id=d6245f20",
    "descriptor": "aad.ZDYyNDVmMjA",
}


def guid(*parts: object) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, parts))))


@dataclass
class Record:
    """A record of a timeline."""

    id: str
    kind: str
    name: str
    identifier: str
    parent: str | None
    order: int
    attempt: int = 1
    state: str = "pending"
    result: str | None = None
    start: datetime | None = None
    finish: datetime | None = None
    worker: str | None = None
    log: int | None = None
    issues: list[Json] = field(default_factory=list)
    previous: list[Json] = field(default_factory=list)


@dataclass
class Build:
    id: int
    definition: int
    number: str
    queued: datetime
    changed: datetime
    status: str = "notStarted"
    result: str | None = None
    started: datetime | None = None
    finished: datetime | None = None
    branch: str = "refs/heads/main"
    sha: str = ""
    reason: str = "individualCI"
    who: Json = field(default_factory=lambda: dict(ADA))
    trigger: Json = field(default_factory=dict)
    deleted: bool = False
    tags: list[str] = field(default_factory=list)
    invalid: str | None = None
    upstream: int | None = None
    visible_from: datetime | None = None
    plan: dict[str, list[str]] = field(default_factory=dict)
    """The stages with their jobs."""
    records: list[Record] = field(default_factory=list)
    earlier: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def timeline(self) -> str:
        return guid(self.id, "timeline")


class World:
    """The project and its history. The clock stands still unless it is told to go on."""

    project, project_id = "Fiber Git", guid("project")
    definition = 12

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.definitions = {self.definition: "fiber-ci", 13: "nightly"}
        self.default_branches = {self.definition: "refs/heads/main", 13: "refs/heads/trunk"}
        self.builds: dict[int, Build] = {}
        self.spoilt: dict[object, Callable[[Json], Any]] = {}
        self._last, self._logs = 400, 0

    def pass_time(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    # What happens to builds.

    def queue(self, plan: dict[str, list[str]] | None = None, **more: Any) -> Build:
        """A build that waits for an agent."""
        self._last += 1
        number = f"{self.now:%Y%m%d}.{self._last}"
        values: Json = {"definition": self.definition, "sha": f"{self._last:040x}"} | more
        build = Build(self._last, number=number, queued=self.now, changed=self.now, **values)
        build.plan = {"Build": ["compile", "test"]} if plan is None else plan
        self.builds[build.id] = build
        return build

    def start(self, build: Build) -> Build:
        build.status, build.started, build.changed = "inProgress", self.now, self.now
        for place, (stage, jobs) in enumerate(build.plan.items(), 1):
            self._add_stage(build, stage, jobs, place, 1)
        for record in build.records:
            self._begin(record)
        return build

    def _add_stage(
        self, build: Build, stage: str, jobs: list[str], place: int, attempt: int
    ) -> None:
        top = self._add(build, "Stage", stage, stage, None, place, attempt)
        self._add(build, "Checkpoint", "Checkpoint", f"{stage}.Checkpoint", top, 1, attempt)
        for n, job in enumerate(jobs, 1):
            self._add_job(build, stage, top, job, n, attempt)

    def _add_job(
        self, build: Build, stage: str, top: str, job: str, place: int, attempt: int
    ) -> None:
        phase = self._add(build, "Phase", job, f"{stage}.{job}", top, place, attempt)
        name = f"{stage}.{job}.__default"
        of = self._add(build, "Job", job, name, phase, 1, attempt)
        for n, task in enumerate(["Initialize job", job, "Finalize Job"], 1):
            self._add(build, "Task", task, f"{name}.{n}", of, n, attempt)

    def _add(
        self, build: Build, kind: str, name: str, path: str, parent: str | None, order: int,
        attempt: int,
    ) -> str:  # fmt: skip
        shown = 1 if kind == "Task" else attempt
        # The service makes the id of what it knows by name and attempt.
        record = Record(guid(build.id, kind, path, attempt), kind, name, path, parent, order, shown)
        build.records.append(record)
        return record.id

    def _begin(self, record: Record) -> None:
        record.state, record.start = "inProgress", self.now
        if record.kind in ("Job", "Task"):
            record.worker = "Hosted Agent 3"
        if record.kind in ("Job", "Task"):
            self._logs += 1
            record.log = self._logs

    def end(self, build: Build, *failed: str, result: str | None = None) -> Build:
        """Ends a build; the jobs that are named fail in the task of their name."""
        open_records = [r for r in build.records if r.state != "completed"]
        for record in open_records:
            job = record.identifier.partition(".")[2].partition(".")[0]
            bad = job in failed and (record.kind != "Task" or record.name == job)
            record.state, record.finish = "completed", self.now
            record.result = "failed" if bad else "succeeded"
            if bad and record.kind == "Task":
                record.issues = [
                    {
                        "type": "error", "category": "General", "message": f"exit code 1 in {job}",
                        "data": {"type": "error", "value": SECRET},
                    }
                ]  # fmt: skip
        for record in build.records:
            if record.kind == "Stage":
                self._judge(build, record)
        bad = any(r.result == "failed" for r in build.records if r.kind == "Stage")
        return self._close(build, result or ("failed" if bad else "succeeded"))

    def _judge(self, build: Build, stage: Record) -> None:
        phases = [r for r in build.records if r.parent == stage.id and r.kind == "Phase"]
        if phases:
            stage.result = "failed" if any(p.result == "failed" for p in phases) else "succeeded"

    def _close(self, build: Build, result: str) -> Build:
        build.status, build.result = "completed", result
        build.finished = self.now
        build.changed = self.now + timedelta(milliseconds=337)
        return build

    def cancel(self, build: Build) -> Build:
        """Cancelled in the queue, it has no timeline."""
        for record in build.records:
            if record.state != "completed":
                record.state, record.result, record.finish = "completed", "canceled", self.now
        return self._close(build, "canceled")

    def skip_stage(self, build: Build, stage: str) -> None:
        """A stage whose condition was false has no children."""
        place = len(build.plan) + 1
        top = self._add(build, "Stage", stage, stage, None, place, 1)
        record = next(r for r in build.records if r.id == top)
        record.state, record.result = "completed", "skipped"

    def retry(self, build: Build) -> Build:
        """Runs the failed jobs of the failed stages again: the build goes on in place.

        What the stage and its failed jobs did before is kept in another timeline.
        """
        attempt = max(r.attempt for r in build.records) + 1
        old_timeline = guid(build.id, "timeline", attempt - 1)
        kept: list[Record] = []
        moved: list[Record] = []
        again = [r for r in build.records if r.kind == "Stage" and r.result == "failed"]
        assert again
        families = {r.id for r in again}
        for record in build.records:
            failed_job = record.kind == "Phase" and record.parent in families
            if failed_job and record.result == "failed":
                families.add(record.id)
            if record.parent in families and record.kind in ("Job", "Task", "Checkpoint"):
                families.add(record.id)
        for record in build.records:
            (moved if record.id in families else kept).append(record)
        build.records = kept
        build.earlier[old_timeline] = moved
        for stage in again:
            jobs = [r.name for r in moved if r.kind == "Phase" and r.parent == stage.id]
            self._retry_stage(build, stage, jobs, attempt, old_timeline, kept)
        build.status, build.result, build.finished = "inProgress", None, None
        build.changed = self.now
        for record in build.records:
            if record.state == "pending":
                self._begin(record)
        return build

    def _retry_stage(
        self, build: Build, stage: Record, jobs: list[str], attempt: int, old: str,
        kept: list[Record],
    ) -> None:  # fmt: skip
        top = self._add(build, "Stage", stage.name, stage.name, None, stage.order, attempt)
        for record in kept:
            if record.parent == stage.id:
                record.parent = top  # a job that passed is shown with the new attempt
        for n, job in enumerate(jobs, 1):
            self._add_job(build, stage.name, top, job, n, attempt)
        before = {r.identifier: r for r in build.earlier[old]}
        for record in build.records:
            same = before.get(record.identifier)
            if record.attempt == attempt and same is not None:
                record.previous = [
                    *same.previous,
                    {"attempt": same.attempt, "timelineId": old, "recordId": same.id},
                ]

    def delete(self, build: Build) -> None:
        build.deleted = True

    def tag(self, build: Build, text: str) -> None:
        """Nothing but the tags and the date of the last change tells of it."""
        build.tags.append(text)
        build.changed = self.now

    def history(self, count: int, seed: int = 1, gap: float = 600, **more: Any) -> list[Build]:
        """Finished builds, some seconds apart."""
        draw, made = random.Random(seed), []
        for _ in range(count):
            build = self.queue(**more)
            self.pass_time(seconds=draw.random() * 9)
            self.start(build)
            self.pass_time(seconds=1 + draw.random() * gap)
            self.end(build, *(["test"] if draw.random() < 0.3 else []))
            made.append(build)
            self.pass_time(seconds=draw.random() * gap)
        return made

    def present(self, definition: int | None = None) -> list[Build]:
        wanted = (definition,) if definition else self.definitions
        return [b for b in self.builds.values() if not b.deleted and b.definition in wanted]
