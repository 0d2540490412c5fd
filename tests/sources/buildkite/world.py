"""What a simulated Buildkite holds: organisations, pipelines, builds and jobs, and what happens.

Written from Buildkite's published documents; it knows nothing of runsync. Times have microseconds
inside and milliseconds outside, as in Rails.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]
ACTIVE = {"creating", "scheduled", "running", "failing", "canceling"}
BUILD_STATES = {*ACTIVE, "passed", "failed", "blocked", "canceled", "skipped", "not_run"}
UNREACHED = {"waiting": "waiting_failed", "blocked": "blocked_failed"}
LIVE = {"scheduled", "assigned", "accepted", "running"}


@dataclass
class Job:
    id: str
    type: str
    name: str | None
    state: str
    created_at: datetime
    group: str | None = None
    runnable_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_status: int | None = None
    signal_reason: str | None = None
    soft_failed: bool = False
    retried_in: str | None = None
    retries: int = 0
    retry_source: str | None = None
    unblocked_at: datetime | None = None
    log: str = ""


@dataclass
class Build:
    pipeline: str
    id: str
    number: int
    state: str
    source: str
    branch: str
    commit: str
    created_at: datetime
    creator: str | None = "Ada L"
    blocked: bool = False
    started_at: datetime | None = None
    failing_at: datetime | None = None
    finished_at: datetime | None = None
    visible_from: datetime | None = None
    env: Json = field(default_factory=dict)
    meta_data: Json = field(default_factory=dict)
    pull_request: Json | None = None
    rebuilt_from: int | None = None
    jobs: list[Job] = field(default_factory=list)


class World:
    """One organisation. The clock stands still unless it is told to go on.

    Attributes:
        stamps_blocks: whether a build that blocks has a ``finished_at``: the documents say of it
            both "paused" and "all jobs are complete".
    """

    org = "acme-inc"

    def __init__(self, now: datetime, *pipelines: str) -> None:
        self.now = now
        self.pipelines = dict.fromkeys(pipelines or ("web",), "main")
        self.builds: list[Build] = []
        self.spoilt: dict[str, Callable[[Json], Any]] = {}
        self.stamps_blocks = True
        self._numbers: dict[str, int] = {}
        self._ids = 0

    def pass_time(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    def _uuid(self) -> str:
        self._ids += 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"buildkite {self._ids}"))

    # What happens.

    def create(self, *names: str, pipeline: str = "web", **more: Any) -> Build:
        """A build with a job of each name: ``-`` waits, ``!name`` blocks, ``name>`` triggers, and
        ``group/name`` stands in a group."""
        number = self._numbers[pipeline] = self._numbers.get(pipeline, 0) + 1
        values: Json = {"source": "webhook", "branch": "main", "commit": f"{number:040x}"} | more
        build = Build(
            pipeline, self._uuid(), number, values.pop("state", "scheduled"),
            created_at=self.now, **values,
        )  # fmt: skip
        build.jobs = [self._job(name) for name in names]
        self.builds.append(build)
        return build

    def _job(self, name: str) -> Job:
        kind, label, group = "script", name, None
        if name == "-":
            kind, label = "waiter", ""
        elif name.startswith("!"):
            kind, label = "manual", name[1:]
        elif name.endswith(">"):
            kind, label = "trigger", name[:-1]
        if "/" in label:
            group, _, label = label.partition("/")
        return Job(self._uuid(), kind, label or None, "pending", self.now, group)

    def start(self, build: Build) -> None:
        """An agent takes all jobs up to the first that waits."""
        build.state, build.blocked, build.finished_at = "running", False, None
        build.started_at = build.started_at or self.now
        for job in self._open(build):
            if job.state in ("pending", "waiting", "blocked", "scheduled"):
                job.state, job.runnable_at, job.started_at = "running", self.now, self.now
        for job in build.jobs:
            if job.state == "pending":
                job.state = "blocked" if job.type == "manual" else "waiting"

    @staticmethod
    def _open(build: Build) -> Iterator[Job]:
        """The jobs up to the first gate that is closed."""
        for job in build.jobs:
            if job.type in ("waiter", "manual"):
                if job.state in ("passed", "unblocked"):
                    continue
                return
            yield job

    def end(self, build: Build, **words: str) -> None:
        """All running jobs end, each as the word for its name says, and the build goes on."""
        for job in build.jobs:
            if job.state in LIVE:
                self._end_job(job, words.get(job.name or "", "passed"))
        self._go_on(build)

    def _end_job(self, job: Job, word: str) -> None:
        job.finished_at, job.log = self.now, f"log of {job.id}\n"
        job.soft_failed, job.exit_status = word == "soft_failed", int(word != "passed")
        if word in ("agent_stop", "process_run_error", "agent_refused"):
            job.signal_reason, job.exit_status = word, 255
        elif word == "lost":
            job.exit_status = -1
        ends = ("passed", "timed_out", "canceled", "expired", "skipped", "broken")
        job.state = word if word in ends else "failed"
        if word in ("expired", "skipped", "broken"):
            job.started_at = job.exit_status = None

    def _go_on(self, build: Build) -> None:
        live = [job for job in build.jobs if not job.retried_in]
        bad = [j for j in live if j.state in ("failed", "timed_out", "expired", "canceled")]
        if any(not job.soft_failed for job in bad):
            build.failing_at = build.failing_at or self.now
            for job in build.jobs:
                job.state = UNREACHED.get(job.state, job.state)
            build.state, build.finished_at = "failed", self.now
            return
        gate = next((j for j in build.jobs if j.state in UNREACHED and j.type != "script"), None)
        if gate is None or gate.type == "trigger":
            build.state, build.finished_at = "passed", self.now
        elif gate.type == "waiter":
            gate.state = "passed"
            self.start(build)
        else:
            build.state, build.blocked = "passed", True
            build.finished_at = self.now if self.stamps_blocks else None

    def unblock(self, build: Build) -> None:
        for job in build.jobs:
            if job.type == "manual" and job.state == "blocked":
                job.state, job.unblocked_at = "unblocked", self.now
                break
        self.start(build)

    def retry(self, build: Build, job: Job) -> Job:
        """A job that is run again is another job, and the build is under way again."""
        again = Job(self._uuid(), job.type, job.name, "running", self.now, job.group)
        again.runnable_at = again.started_at = self.now
        again.retries, again.retry_source = job.retries + 1, job.id
        job.retried_in = again.id
        build.jobs.insert(build.jobs.index(job) + 1, again)
        for other in build.jobs:
            reached = {"waiting_failed": "waiting", "blocked_failed": "blocked"}
            other.state = reached.get(other.state, other.state)
        build.state, build.blocked, build.finished_at = "running", False, None
        build.started_at = self.now
        return again

    def cancel(self, build: Build) -> None:
        for job in build.jobs:
            if job.state in {*LIVE, *UNREACHED, "pending"}:
                job.finished_at = self.now if job.started_at else None
                job.state = "canceled"
        build.state, build.blocked, build.finished_at = "canceled", False, self.now

    def forget(self, build: Build) -> None:
        self.builds.remove(build)

    def history(self, count: int, gap: float = 600, pipeline: str = "web") -> list[Build]:
        """Finished builds, some seconds apart: passed, failed, retried, canceled."""
        made = []
        for n in range(count):
            build = self.create("tests/unit", "lint", "-", "deploy", pipeline=pipeline)
            self.pass_time(seconds=3)
            self.start(build)
            self.pass_time(seconds=40 + n % 7)
            self.end(build, unit="failed" if n % 3 == 1 else "passed", lint="soft_failed")
            if n % 6 == 1:
                self.retry(build, build.jobs[0])
            self.pass_time(seconds=11)
            if n % 5 == 4:
                self.cancel(build)
            elif build.state == "running":
                self.end(build)
                if build.state == "running":
                    self.end(build)
            made.append(build)
            self.pass_time(seconds=gap)
        return made

    # What the API shows of it.

    def listed(self, asked: dict[str, list[str]], pipeline: str | None) -> list[Build]:
        rows = [b for b in self.builds if (b.visible_from or self.now) <= self.now]
        rows = [b for b in rows if pipeline in (None, b.pipeline)]
        states = set(asked.get("state[]") or asked.get("state") or BUILD_STATES)
        if "finished" in states:
            states |= {"passed", "failed", "blocked", "canceled"}
        rows = [b for b in rows if b.state in states or (b.blocked and "blocked" in states)]
        for key in ("branch", "commit"):
            rows = [b for b in rows if key not in asked or getattr(b, key) == asked[key][0]]
        creators = asked.get("creator")
        rows = [b for b in rows if creators is None or creator_id(b.creator) == creators[0]]
        if "created_from" in asked:
            rows = [b for b in rows if b.created_at >= moment(asked["created_from"][0])]
        if "created_to" in asked:
            rows = [b for b in rows if b.created_at < moment(asked["created_to"][0])]
        if "finished_from" in asked:
            since = moment(asked["finished_from"][0])
            rows = [b for b in rows if b.finished_at and b.finished_at >= since]
        return sorted(rows, key=lambda b: b.created_at, reverse=True)

    def build(self, build: Build, api: str, *, retried: bool) -> Any:
        path = f"{api}/v2/organizations/{self.org}/pipelines/{build.pipeline}"
        origin = next((b for b in self.builds if b.number == build.rebuilt_from), None)
        raw = {
            "id": build.id,
            "graphql_id": "QnVpbGQtLS0x",
            "url": f"{path}/builds/{build.number}",
            "web_url": f"https://buildkite.com/{self.org}/{build.pipeline}/builds/{build.number}",
            "number": build.number,
            "state": build.state,
            "cancel_reason": None,
            "blocked": build.blocked,
            "message": f"Change {build.number}",
            "commit": build.commit,
            "branch": build.branch,
            "env": build.env,
            "source": build.source,
            "author": {"name": "Grace H", "email": "grace@example.org"},
            "creator": person(build.creator),
            "jobs": [self.job(build, j, path) for j in build.jobs if retried or not j.retried_in],
            "created_at": ms(build.created_at),
            "scheduled_at": ms(build.created_at),
            "started_at": ms(build.started_at),
            "failing_at": ms(build.failing_at),
            "finished_at": ms(build.finished_at),
            "meta_data": build.meta_data,
            "pull_request": build.pull_request or {},
            "rebuilt_from": origin and {"id": origin.id, "number": origin.number, "url": "x"},
            "pipeline": self.pipeline(build.pipeline, api),
        }
        spoil = self.spoilt.get(build.id)
        return spoil(raw) if spoil else raw

    def job(self, build: Build, job: Job, path: str) -> Any:
        url = f"{path}/builds/{build.number}/jobs/{job.id}"
        common = {
            "id": job.id, "graphql_id": "Sm9iLS0t", "type": job.type, "state": job.state,
            "web_url": f"https://buildkite.com/x/builds/{build.number}#{job.id}",
        }  # fmt: skip
        if job.type == "waiter":
            raw: Json = common
        elif job.type == "manual":
            raw = {
                **common, "label": job.name, "unblocked_at": ms(job.unblocked_at),
                "unblocked_by": person("Ada L") if job.unblocked_at else None,
                "unblockable": job.state == "blocked",
            }  # fmt: skip
        else:
            raw = {
                **common,
                "name": job.name,
                "step_key": job.name,
                "state": job.state,
                "created_at": ms(job.created_at),
                "scheduled_at": ms(build.created_at),
                "runnable_at": ms(job.runnable_at),
                "started_at": ms(job.started_at),
                "finished_at": ms(job.finished_at),
            }
            raw |= {"group_key": job.group} if job.group else {}
        if job.type == "trigger":
            raw |= {"async": False, "triggered_build": {"id": self.org, "number": 15, "url": "x"}}
        if job.type == "script":
            raw |= self._script(job, url)
        spoil = self.spoilt.get(job.id)
        return spoil(raw) if spoil else raw

    def _script(self, job: Job, url: str) -> Json:
        return {
            "step": {"id": job.id, "signature": {"value": "eyJ", "signed_fields": ["env"]}},
            "priority": {"number": 0},
            "agent_query_rules": ["queue=linux-big", "arch=arm"],
            "log_url": f"{url}/log",
            "raw_log_url": f"{url}/log.txt",
            "artifacts_url": f"{url}/artifacts",
            "command": "make",
            "soft_failed": job.soft_failed,
            "exit_status": job.exit_status,
            "signal": None,
            "signal_reason": job.signal_reason,
            "artifact_paths": "",
            "agent": {
                "id": job.id, "name": "agent-7", "hostname": "box", "ip_address": "192.0.2.7",
                "creator": person("Ada L"),
            } if job.started_at else None,
            "retried": job.retried_in is not None,
            "retried_in_job_id": job.retried_in,
            "retries_count": job.retries or None,
            "retry_source": {"job_id": job.retry_source, "retry_type": "manual"}
            if job.retry_source
            else None,
            "retry_type": "manual" if job.retried_in else None,
            "parallel_group_index": None,
            "parallel_group_total": None,
            "matrix": None,
            "cluster_id": None,
            "cluster_queue_id": None,
        }  # fmt: skip

    def pipeline(self, slug: str, api: str) -> Json:
        url = f"{api}/v2/organizations/{self.org}/pipelines/{slug}"
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, slug)),
            "url": url,
            "web_url": f"https://buildkite.com/{self.org}/{slug}",
            "name": slug.title(),
            "slug": slug,
            "repository": f"git@example.org:{self.org}/{slug}.git",
            "default_branch": self.pipelines[slug],
            "provider": {"id": "github", "webhook_url": "https://webhook.example/deliver/s3cret"},
            "builds_url": f"{url}/builds",
            "created_at": "2013-09-03 13:24:38 UTC",
        }


def creator_id(name: str | None) -> str | None:
    return name and str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def person(name: str | None) -> Json | None:
    if name is None:
        return None
    return {
        "id": creator_id(name),
        "name": name,
        "email": f"{name[0]}@example.org".lower(),
        "avatar_url": "https://www.gravatar.com/avatar/1",
        "created_at": "2015-05-22T12:36:45.309Z",
    }


def ms(when: datetime | None) -> str | None:
    shown = when and when.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{shown}Z" if shown else None


def moment(text: str) -> datetime:
    """A bound, of which no more than whole seconds are documented."""
    return datetime.fromisoformat(text).replace(microsecond=0)
