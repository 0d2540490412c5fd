"""A GitLab on a loopback socket, written from its published REST API v4.

It knows nothing of runsync. It is as strict as GitLab about values, and stricter about names: a
parameter that GitLab would pass over is refused. Times have microseconds inside and milliseconds
outside, and pipelines of one time come in another order at each request, as in GitLab.
"""

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.sources.loopback import AnsweringHandler, LoopbackService

Json = dict[str, Any]
ALL_STATUSES = (
    "created waiting_for_resource preparing pending running success failed canceling canceled "
    "skipped manual scheduled"
).split()
OVER = {"success", "failed", "canceled", "skipped"}
SOURCES = "push web trigger schedule api external pipeline merge_request_event parent_pipeline"
LIST_VALUES: dict[str, list[str] | None] = {
    "order_by": "id status ref updated_at user_id".split(),
    "sort": ["asc", "desc"],
    "status": ALL_STATUSES,
    "source": SOURCES.split(),
    **dict.fromkeys("ref sha username name updated_before updated_after page per_page".split()),
}


@dataclass
class Job:
    id: int
    name: str
    stage: str
    status: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    allow_failure: bool = False
    failure_reason: str | None = None
    erased_at: datetime | None = None
    trace: str = ""
    retried: bool = False
    bridge: bool = False
    downstream: int | None = None
    artifacts: bool = False


@dataclass
class CiPipeline:
    id: int
    iid: int
    status: str
    source: str
    ref: str
    sha: str
    user: str | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tag: bool = False
    yaml_errors: str | None = None
    visible_from: datetime | None = None
    variables: list[Json] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


class World:
    """One project and its history. The clock stands still unless it is told to go on."""

    path, number = "group/sub/project", 278964

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.pipelines: dict[int, CiPipeline] = {}
        self.branches = {"main", "feature"}
        self.projects = 3
        self.spoilt: dict[int, Callable[[Json], Any]] = {}
        self._last = 1000

    def pass_time(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    def _next(self) -> int:
        self._last += 7
        return self._last

    def create(
        self, *names: str, source: str = "push", ref: str = "main", **more: Any
    ) -> CiPipeline:
        """A pipeline with a job of each name; ``name?`` may fail, ``name>`` is a bridge."""
        number = self._next()
        values: Json = {"status": "created", "user": "ada", "sha": f"{number:040x}"} | more
        pipeline = CiPipeline(
            number, len(self.pipelines) + 1, source=source, ref=ref,
            created_at=self.now, updated_at=self.now, **values,
        )  # fmt: skip
        for name in names:
            self.add_job(pipeline, name.rstrip("?>"), name.endswith("?"), name.endswith(">"))
        self.pipelines[number] = pipeline
        return pipeline

    def add_job(
        self, pipeline: CiPipeline, name: str, allow_failure: bool = False, bridge: bool = False
    ) -> Job:
        stage = "deploy" if name.startswith("deploy") else "test"
        job = Job(self._next(), name, stage, "created", self.now)
        job.allow_failure, job.bridge = allow_failure, bridge
        pipeline.jobs.append(job)
        return job

    def move(self, pipeline: CiPipeline, status: str) -> None:
        """What GitLab does to a pipeline on each transition."""
        if status == "running":
            pipeline.started_at = pipeline.started_at or self.now
        if status in OVER - {"skipped"}:
            pipeline.finished_at = self.now
        pipeline.status, pipeline.updated_at = status, self.now

    def start(self, pipeline: CiPipeline) -> None:
        self.move(pipeline, "running")
        for job in pipeline.jobs:
            if job.status in ("created", "pending"):
                job.status, job.started_at = "running", self.now

    def end(self, pipeline: CiPipeline, **words: str) -> None:
        """Ends all running jobs, each with success or the word given for its name."""
        for job in pipeline.jobs:
            if job.status == "running":
                job.status = words.get(job.name.replace(" ", "_"), "success")
                job.finished_at, job.trace = self.now, f"log of {job.id}\n"
                job.failure_reason = "script_failure" if job.status == "failed" else None
        live = [job for job in pipeline.jobs if not job.retried]
        bad = [job for job in live if job.status == "failed" and not job.allow_failure]
        self.move(pipeline, "failed" if bad else "success")

    def hold(self, pipeline: CiPipeline, name: str) -> None:
        """All is done but a manual job, for which the pipeline waits."""
        self.start(pipeline)
        for job in pipeline.jobs:
            job.status = "manual" if job.name == name else "success"
            job.finished_at = None if job.name == name else self.now
            job.started_at = None if job.name == name else job.started_at
        self.move(pipeline, "manual")

    def retry(self, pipeline: CiPipeline, job: Job) -> Job:
        """A job that is run again is another job; the pipeline keeps its former end meanwhile."""
        job.retried = True
        again = self.add_job(pipeline, job.name, job.allow_failure)
        again.status, again.started_at = "running", self.now
        self.move(pipeline, "running")
        return again

    def cancel(self, pipeline: CiPipeline) -> None:
        for job in pipeline.jobs:
            if job.status not in OVER:
                job.status, job.finished_at = "canceled", self.now
        if pipeline.status not in OVER:
            self.move(pipeline, "canceled")

    def history(self, count: int, seed: int = 1, gap: float = 600) -> list[CiPipeline]:
        """Finished pipelines, some seconds apart."""
        draw, made = random.Random(seed), []
        for _ in range(count):
            pipeline = self.create("build", "unit 1/2", "unit 2/2", "lint?")
            self.pass_time(seconds=draw.random() * 9)
            self.start(pipeline)
            self.pass_time(seconds=draw.random() * gap)
            words = {"build": draw.choice(["success"] * 4 + ["failed"]), "lint": "failed"}
            self.end(pipeline, **words)
            made.append(pipeline)
            self.pass_time(seconds=draw.random() * gap)
        return made

    # What GitLab shows of it.

    def listed(self, asked: dict[str, str]) -> list[CiPipeline]:
        rows = [p for p in self.pipelines.values() if (p.visible_from or self.now) <= self.now]
        child = asked.get("source") == "parent_pipeline"
        rows = [p for p in rows if child or p.source != "parent_pipeline"]
        for key, name in (("source",) * 2, ("status",) * 2, ("ref",) * 2, ("sha",) * 2):
            rows = [p for p in rows if key not in asked or getattr(p, name) == asked[key]]
        rows = [p for p in rows if "username" not in asked or p.user == asked["username"]]
        if "updated_before" in asked:
            rows = [p for p in rows if p.updated_at <= moment(asked["updated_before"])]
        if "updated_after" in asked:
            rows = [p for p in rows if p.updated_at >= moment(asked["updated_after"])]
        random.shuffle(rows)
        column = asked.get("order_by", "id")
        return sorted(rows, key=lambda p: getattr(p, column), reverse=asked.get("sort") != "asc")

    def basic(self, pipeline: CiPipeline) -> Json:
        return {
            "id": pipeline.id,
            "iid": pipeline.iid,
            "project_id": self.number,
            "sha": pipeline.sha,
            "ref": pipeline.ref,
            "status": pipeline.status,
            "source": pipeline.source,
            "created_at": shown(pipeline.created_at),
            "updated_at": shown(pipeline.updated_at),
            "web_url": f"https://gitlab.example/{self.path}/-/pipelines/{pipeline.id}",
            "name": None,
        }

    def detail(self, pipeline: CiPipeline) -> Json:
        started, ended = pipeline.started_at, pipeline.finished_at
        return self.basic(pipeline) | {
            "before_sha": "0" * 40,
            "tag": pipeline.tag,
            "yaml_errors": pipeline.yaml_errors,
            "user": user(pipeline.user),
            "started_at": shown(started),
            "finished_at": shown(ended),
            "committed_at": None,
            "duration": int((ended - started).total_seconds()) if started and ended else None,
            "queued_duration": int((started - pipeline.created_at).total_seconds())
            if started
            else None,
            "coverage": None,
            "detailed_status": {"icon": "status", "text": pipeline.status, "group": "x"},
        }

    def _ended_before(self, job: Job, seconds: float) -> bool:
        ended = job.finished_at
        return ended is not None and self.now - ended >= timedelta(seconds=seconds)

    def job(self, pipeline: CiPipeline, job: Job) -> Json:
        raw = {
            "id": job.id,
            "status": job.status,
            "stage": job.stage,
            "name": job.name,
            "ref": pipeline.ref,
            "tag": pipeline.tag,
            # Found in the log some seconds after the end; the pipeline does not change with it.
            "coverage": 91.5 if job.name == "build" and self._ended_before(job, 20) else None,
            "allow_failure": job.allow_failure,
            "created_at": shown(job.created_at),
            "started_at": shown(job.started_at),
            "finished_at": shown(job.finished_at),
            "erased_at": shown(job.erased_at),
            "duration": None,
            "queued_duration": 0.5,
            "user": user(pipeline.user),
            "commit": {"id": pipeline.sha, "message": f"Change {pipeline.id}\n", "title": "Change"},
            "pipeline": self.basic(pipeline),
            "web_url": f"https://gitlab.example/{self.path}/-/jobs/{job.id}",
            "project": {"ci_job_token_scope_enabled": False},
        }
        if job.status == "failed":
            raw["failure_reason"] = job.failure_reason
        if job.bridge:
            resume_point = self.pipelines.get(job.downstream or 0)
            return raw | {"downstream_pipeline": resume_point and self.basic(resume_point)}
        archive = {"filename": "artifacts.zip", "size": 9}
        raw |= {"artifacts": [], "artifacts_expire_at": None, "tag_list": [], "archived": False}
        raw |= {"runner": {"id": 1, "description": "big one", "ip_address": "10.0.0.1"}}
        return raw | ({"artifacts_file": archive} if job.artifacts else {})


def shown(when: datetime | None) -> str | None:
    return None if when is None else f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def user(name: str | None) -> Json | None:
    return (
        None if name is None else {"id": 11, "username": name, "name": "A. L.", "state": "active"}
    )


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]


class RefusalError(Exception):
    def __init__(self, status: int, body: Json) -> None:
        self.status, self.body = status, body


class GitLabSimulator(LoopbackService):
    """The service. ``before`` is called with each request, before it is answered."""

    token = "glpat-" + "s3cret" * 3

    def __init__(self, world: World) -> None:
        self.world, self.asked = world, list[Asked]()
        self.scopes = ["read_api"]
        self.patience = 1000  # so that a walk without an end fails instead of going on
        self.before: Callable[[Asked], None] = lambda asked: None
        self.old_path: str | None = None
        self.refusals: list[tuple[int, dict[str, str], str]] = []
        self.lock = threading.RLock()
        super().__init__(_handler(self))
        self.url = self.root

    def paths(self) -> list[str]:
        """What was asked for, without the project: ``pipelines``, ``pipelines/1/jobs``."""
        return ["/".join(asked.path.split("/")[5:]) for asked in self.asked]

    def answer(self, asked: Asked, body: Json, token: str | None) -> tuple[int, Any, Json]:
        if len(self.asked) > self.patience:
            raise RefusalError(418, {"error": "you ask and ask"})
        parts = [unquote(part) for part in asked.path.split("/")[1:]]
        if parts[:2] != ["api", "v4"]:
            raise RefusalError(404, {"error": "404 Not Found"})
        if token != self.token:
            raise RefusalError(401, {"message": "401 Unauthorized"})
        if parts[2:] == ["personal_access_tokens", "self"]:
            return 200, {"id": 4, "name": "ci", "scopes": self.scopes, "user_id": 11}, {}
        wanted = {"api"} if asked.method == "POST" else {"api", "read_api"}
        if not wanted & set(self.scopes):
            raise RefusalError(403, {"error": "insufficient_scope", "scope": " ".join(wanted)})
        if parts[2:] == ["user"]:
            return 200, user("ada"), {}
        if parts[2:] == ["projects"]:
            return 200, self._projects(asked.query), {}
        if parts[2] != "projects" or parts[3] not in (self.world.path, str(self.world.number)):
            raise RefusalError(404, {"message": "404 Project Not Found"})
        return self._in_project(asked, parts[4:], body)

    def _projects(self, query: Json) -> list[Json]:
        """Keyset pages: they need this order, and know no page's number."""
        keyset = {"pagination": "keyset", "order_by": "id", "membership": "true"}
        if any(query.get(key) != value for key, value in keyset.items()):
            raise RefusalError(405, {"error": "Keyset pagination is not yet available"})
        known = ["simple", "sort", "per_page", "id_before", *keyset]
        _check(query, dict.fromkeys(known) | {"sort": ["desc"], "simple": ["true", "false"]})
        numbers = range(self.world.number, self.world.number - 2 * self.world.projects, -2)
        below = [n for n in numbers if n < int(query.get("id_before", self.world.number + 1))]
        return [
            {
                "id": number,
                "name_with_namespace": f"Group / Sub / Project {number}",
                "path_with_namespace": f"{self.world.path}{number}",
            }
            for number in below[: int(query.get("per_page", 20))]
        ]

    def _in_project(self, asked: Asked, parts: list[str], body: Json) -> tuple[int, Any, Json]:
        world = self.world
        match asked.method, parts:
            case "GET", []:
                return 200, {"id": world.number, "default_branch": "main"}, {}
            case "GET", ["pipelines"]:
                _check(asked.query, LIST_VALUES)
                rows, headers = _page(asked.query, world.listed(asked.query))
                return 200, [self._spoil(world.basic(p), p.id) for p in rows], headers
            case "GET", ["pipelines", number]:
                return 200, self._spoil(world.detail(self._pipeline(number)), -int(number)), {}
            case "GET", ["pipelines", number, "jobs" | "bridges" as kind]:
                _check(asked.query, dict.fromkeys(["include_retried", "page", "per_page"]))
                jobs = self._jobs(self._pipeline(number), kind, asked.query)
                rows, headers = _page(asked.query, jobs)
                pipeline = self._pipeline(number)
                return 200, [self._spoil(world.job(pipeline, j), j.id) for j in rows], headers
            case "GET", ["jobs", number, "trace"]:
                return 200, self._trace(number), {}
            case "POST", ["pipeline"]:
                return 201, world.detail(self._created(body)), {}
            case "POST", ["pipelines", number, "cancel"]:
                world.cancel(self._pipeline(number))
                return 200, world.detail(self._pipeline(number)), {}
        raise RefusalError(404, {"error": "404 Not Found"})

    def _spoil(self, raw: Json, number: int) -> Any:
        spoil = self.world.spoilt.get(number)
        return spoil(raw) if spoil else raw

    def _pipeline(self, number: str) -> CiPipeline:
        if not number.isdigit():
            raise RefusalError(400, {"error": "pipeline_id is invalid"})
        if int(number) not in self.world.pipelines:
            raise RefusalError(404, {"message": "404 Not found"})
        return self.world.pipelines[int(number)]

    def _jobs(self, pipeline: CiPipeline, kind: str, query: dict[str, str]) -> list[Job]:
        jobs = [job for job in pipeline.jobs if job.bridge is (kind == "bridges")]
        if query.get("include_retried") != "true":
            jobs = [job for job in jobs if not job.retried]
        return sorted(jobs, key=lambda job: -job.id)

    def _trace(self, number: str) -> str:
        for pipeline in self.world.pipelines.values():
            for job in pipeline.jobs:
                if str(job.id) == number and not job.bridge:
                    return "" if job.erased_at else job.trace
        raise RefusalError(404, {"message": "404 Not found"})

    def _created(self, body: Json) -> CiPipeline:
        unknown = set(body) - {"ref", "variables", "inputs"}
        if unknown or not body.get("ref"):
            raise RefusalError(400, {"error": f"{unknown or 'ref'} is invalid"})
        if body["ref"] not in self.world.branches:
            raise RefusalError(400, {"message": {"base": ["Reference not found"]}})
        if any(set(v) - {"key", "value", "variable_type"} for v in body.get("variables", [])):
            raise RefusalError(400, {"error": "variables is invalid"})
        pipeline = self.world.create("build", source="api", ref=body["ref"])
        pipeline.variables = body.get("variables", [])
        return pipeline


def _check(query: dict[str, str], known: dict[str, list[str] | None]) -> None:
    for key, value in query.items():
        allowed = known.get(key)
        if key not in known or (allowed is not None and value not in allowed):
            raise RefusalError(400, {"error": f"{key} does not have a valid value"})
        if key in ("page", "per_page") and (not value.isdigit() or int(value) < 1):
            raise RefusalError(400, {"error": f"{key} does not have a valid value"})


def _page(query: dict[str, str], rows: list[Any]) -> tuple[list[Any], Json]:
    size, page = min(int(query.get("per_page", 20)), 100), int(query.get("page", 1))
    following = str(page + 1) if page * size < len(rows) else ""
    headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": following}
    headers |= {"X-Total": str(len(rows))} if len(rows) <= 10_000 else {}
    return rows[(page - 1) * size : page * size], headers


def _handler(simulator: GitLabSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(AnsweringHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(json.loads(self.rfile.read(length) or b"{}"))

        def _answer(self, body: Json) -> None:
            url = urlsplit(self.path)
            asked = Asked(
                self.command, url.path, dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
            )
            with simulator.lock:
                simulator.asked.append(asked)
                simulator.before(asked)
                if simulator.refusals:
                    status, headers, text = simulator.refusals.pop(0)
                    return self._send(status, text, headers)
                if simulator.old_path and f"/{simulator.old_path}/" in f"{unquote(url.path)}/":
                    new = self.path.replace(url.path.split("/")[4], str(simulator.world.number))
                    return self._send(301, "", {"Location": f"{simulator.url}{new}"})
                try:
                    status, found, headers = simulator.answer(
                        asked, body, self.headers.get("PRIVATE-TOKEN")
                    )
                except RefusalError as refusal:
                    status, found, headers = refusal.status, refusal.body, {}
                text = found if isinstance(found, str) else json.dumps(found)
                return self._send(status, text, headers)

        def _send(self, status: int, text: str, headers: Json) -> None:
            rate = {"RateLimit-Limit": "2000", "RateLimit-Remaining": "1987"}
            self.answer_with(status, text, rate | headers, simulator.world.now)

    return Handler
