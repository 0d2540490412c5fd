"""The simulated GitHub over HTTP, on a loopback port: strict, with its caps, ETags and limits.

Stricter than GitHub in one thing: it ignores a query parameter that it does not know, and here
that is refused, so that a slip of the pen cannot pass.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.sources.github.world import NOW, REPO, Attempt, Run, Workflow, World

TOKEN = "ghp_simulated"
VERSION = "2022-11-28"
PAGING = {"per_page", "page"}
FILTERS = {"actor", "branch", "check_suite_id", "created", "event", "head_sha", "status"}
STATUS_WORDS = frozenset(
    "completed action_required cancelled failure neutral skipped stale success timed_out "
    "in_progress queued requested waiting pending".split()
)


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer other than 200."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass(frozen=True)
class Asked:
    """One request as it came, and how it was answered."""

    method: str
    path: str
    query: dict[str, str]
    status: int
    etag: str | None


@dataclass
class Fault:
    """An answer in place of the right one."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Service:
    """A world that answers. ``before`` is called before each page of runs, with how many there
    were; ``mangle`` may change an answer's JSON."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[Asked] = []
        self.faults: deque[Fault] = deque()
        self.before: Callable[[int], None] = lambda _: None
        self.mangle: Callable[[str, Any], Any] = lambda _, body: body
        self.scopes: str | None = "repo, workflow"
        self.login: str | None = "octocat"
        self.limit: int | None = 5000
        self.used = 0
        self.refills_at = 0.0
        self.takes_details = True
        self.log_host: str | None = "https://logs.example"
        self.dispatched: list[dict[str, Any]] = []
        self.cancelled: list[int] = []
        self.is_app, self.others = False, 2
        self.visible: list[str] | None = None
        """The repositories that the token sees, if they are others."""
        self.base = self.prefix = ""
        self._pages = 0

    @property
    def listed(self) -> list[Asked]:
        """The requests for lists of runs."""
        return [asked for asked in self.asked if asked.path.endswith("/runs")]

    def exhaust(self, seconds: float) -> None:
        """Leaves nothing of the primary limit until then."""
        self.used, self.refills_at = self.limit or 0, time.monotonic() + seconds

    # Routes: each answers JSON, or raises a Refusal.

    def runs(self, query: dict[str, str], workflow: str | None = None) -> Any:
        known = self._workflow(workflow).id if workflow else None
        _allow(query, PAGING | FILTERS | {"exclude_pull_requests"})
        self._pages += 1
        self.before(self._pages)
        with self.world.lock:
            runs = [run for run in self.world.listed(known) if _matches(run, query)]
            page, size = self._paging(query)
            if FILTERS & query.keys():
                rows = runs[: self.world.cap][(page - 1) * size : page * size]
            elif page * size > self.world.unfiltered_cap:
                raise Refusal(422, "Pagination is limited for this resource.")
            else:
                rows = runs[(page - 1) * size : page * size]
            shown = [self.world.run_json(run, run.newest, self.base) for run in rows]
        total = self.world.counted(len(runs)) if FILTERS & query.keys() else len(runs)
        return {"total_count": total, "workflow_runs": shown}

    def repository(self, query: dict[str, str]) -> Any:
        _allow(query, set())
        return self.world.repository_json(self.base)

    def repositories(self, query: dict[str, str]) -> Any:
        _allow(query, {"per_page", "page"})
        if self.is_app:
            raise Refusal(403, "Resource not accessible by integration")
        return self._repositories_on(query)

    def installed(self, query: dict[str, str]) -> Any:
        _allow(query, {"per_page", "page"})
        if not self.is_app:
            raise Refusal(403, "You must authenticate with an installation access token")
        return {"total_count": 1 + self.others, "repositories": self._repositories_on(query)}

    def _repositories_on(self, query: dict[str, str]) -> list[Any]:
        page, size = self._paging(query)
        others = (f"octo-org/other-{n}" for n in range(self.others))
        names = [REPO, *others] if self.visible is None else self.visible
        return [{"full_name": name} for name in names[(page - 1) * size : page * size]]

    def other_workflows(self, query: dict[str, str], repo: str) -> Any:
        """Those of a repository whose Actions are off, or which the token may not read."""
        raise Refusal(404 if repo.endswith("0") else 403, "Resource not accessible")

    def workflows(self, query: dict[str, str]) -> Any:
        _allow(query, PAGING)
        known = list(self.world.workflows.values())
        page, size = self._paging(query)
        rows = known[(page - 1) * size : page * size]
        return {
            "total_count": len(known),
            "workflows": [self.world.workflow_json(one, self.base) for one in rows],
        }

    def workflow(self, query: dict[str, str], ref: str) -> Any:
        _allow(query, set())
        return self.world.workflow_json(self._workflow(ref), self.base)

    def run(self, query: dict[str, str], run: str) -> Any:
        _allow(query, {"exclude_pull_requests"})
        known = self._run(run)
        return self.world.run_json(known, known.newest, self.base)

    def attempt(self, query: dict[str, str], run: str, attempt: str) -> Any:
        _allow(query, {"exclude_pull_requests"})
        known = self._run(run)
        return self.world.run_json(known, self._attempt(known, attempt), self.base)

    def attempt_jobs(self, query: dict[str, str], run: str, attempt: str) -> Any:
        _allow(query, PAGING)
        known = self._run(run)
        jobs = self._attempt(known, attempt).jobs
        page, size = self._paging(query)
        rows = jobs[(page - 1) * size : page * size]
        shown = [self.world.job_json(known, job, self.base) for job in rows]
        return {"total_count": len(jobs), "jobs": shown}

    def job_logs(self, query: dict[str, str], job: str) -> Any:
        _allow(query, set())
        if self.log_host is None:
            return f"log of job {job}\n"
        raise Refusal(302, "", {"Location": f"{self.log_host}/signed/{job}?sig=secret"})

    def rate_limit(self, query: dict[str, str]) -> Any:
        _allow(query, set())
        if self.limit is None:
            raise Refusal(404, "Rate limiting is not enabled.")
        core = {"limit": self.limit, "used": self.used, "remaining": self.limit - self.used}
        core["reset"] = self._reset()
        return {"resources": {"core": core, "search": core}, "rate": core}

    def user(self, query: dict[str, str]) -> Any:
        _allow(query, set())
        if self.login is None:
            raise Refusal(403, "Resource not accessible by integration")
        return {"login": self.login, "id": 1}

    def dispatch(self, body: dict[str, Any], workflow: str) -> Any:
        known = self._workflow(workflow)
        allowed = {"ref", "inputs"} | ({"return_run_details"} if self.takes_details else set())
        if unknown := body.keys() - allowed:
            raise Refusal(400, f"Invalid request. {', '.join(unknown)} is not a permitted key.")
        if not isinstance(body.get("ref"), str):
            raise Refusal(422, 'Invalid request. "ref" wasn\'t supplied.')
        if body["ref"] not in ("main", "v1"):
            raise Refusal(422, f"No ref found for: {body['ref']}")
        if len(body.get("inputs", {})) > 25:
            raise Refusal(422, "you may only define up to 25 `inputs`")
        self.dispatched.append(body)
        run = self.world.add_run(
            self.world.now, status="queued", workflow=known, event="workflow_dispatch"
        )
        if not body.get("return_run_details"):
            raise Refusal(204, "")
        url = f"{self.base}/repos/{REPO}/actions/runs/{run.id}"
        return {"workflow_run_id": run.id, "run_url": url, "html_url": url}

    def cancel(self, body: dict[str, Any], run: str) -> Any:
        known = self._run(run)
        if known.newest.status == "completed":
            raise Refusal(409, "Cannot cancel a workflow run that is completed.")
        self.cancelled.append(known.id)
        self.world.finish(known, self.world.now, "cancelled")
        raise Refusal(202, "")

    # What all of them share.

    def _run(self, number: str) -> Run:
        known = self.world.runs.get(int(number))
        if known is None:
            raise Refusal(404, "Not Found")
        return known

    def _attempt(self, run: Run, number: str) -> Attempt:
        if not 1 <= int(number) <= len(run.attempts):
            raise Refusal(404, "Not Found")
        return run.attempts[int(number) - 1]

    def _workflow(self, ref: str) -> Workflow:
        known = self.world.find_workflow(ref)
        if known is None:
            raise Refusal(404, "Not Found")
        return known

    def _paging(self, query: dict[str, str]) -> tuple[int, int]:
        """Page and size, bounded as GitHub does: silently."""
        size = int(query.get("per_page", 30)) or 30
        return max(int(query.get("page", 1)), 1), min(size, self.world.page)

    def _reset(self) -> int:
        left = max(self.refills_at - time.monotonic(), 0.0)
        return int(self.world.now.timestamp() + left + 0.999)

    def limits(self) -> dict[str, str]:
        if self.limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - self.used),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Reset": str(self._reset()),
            "X-RateLimit-Resource": "core",
        }

    def spend(self) -> None:
        """Counts a request against the primary limit."""
        if self.limit is None:
            return
        if self.used >= self.limit:
            if time.monotonic() < self.refills_at:
                raise Refusal(403, "API rate limit exceeded for user ID 1.")
            self.used = 0
        self.used += 1


OWN = "/repos/" + re.escape(REPO) + "/actions"
GETS: list[tuple[str, Callable[..., Any]]] = [
    ("/repos/" + re.escape(REPO), Service.repository),
    (rf"{OWN}/runs", Service.runs),
    (rf"{OWN}/workflows/([^/]+)/runs", Service.runs),
    (rf"{OWN}/workflows", Service.workflows),
    (rf"{OWN}/workflows/([^/]+)", Service.workflow),
    (rf"{OWN}/runs/(\d+)", Service.run),
    (rf"{OWN}/runs/(\d+)/attempts/(\d+)", Service.attempt),
    (rf"{OWN}/runs/(\d+)/attempts/(\d+)/jobs", Service.attempt_jobs),
    (rf"{OWN}/jobs/(\d+)/logs", Service.job_logs),
    (r"/rate_limit", Service.rate_limit),
    (r"/user", Service.user),
    (r"/user/repos", Service.repositories),
    (r"/installation/repositories", Service.installed),
    (r"/repos/([^/]+/[^/]+)/actions/workflows", Service.other_workflows),
]
NAMES = (Service.repository, Service.workflows, Service.workflow)
"""What `mangle` leaves alone."""
POSTS: list[tuple[str, Callable[..., Any]]] = [
    (rf"{OWN}/workflows/([^/]+)/dispatches", Service.dispatch),
    (rf"{OWN}/runs/(\d+)/cancel", Service.cancel),
]


def _allow(query: dict[str, str], known: set[str]) -> None:
    if unknown := query.keys() - known:
        raise Refusal(422, f"no such parameter: {', '.join(sorted(unknown))}")


def _matches(run: Run, query: dict[str, str]) -> bool:
    newest = run.newest
    word = query.get("status")
    if word is not None and word not in STATUS_WORDS:
        raise Refusal(422, f"{word} is no status")
    return (
        query.get("branch") in (None, run.branch)
        and query.get("head_sha") in (None, run.sha)
        and query.get("event") in (None, run.event)
        and query.get("actor") in (None, run.actor)
        and word in (None, newest.status, newest.conclusion)
        and ("created" not in query or _within(run.created, query["created"]))
    )


def _within(at: datetime, words: str) -> bool:
    """The search syntax for times: a range with ``*`` for an open end, or what is before one."""
    if words.startswith("<"):
        return at < datetime.fromisoformat(words[1:])
    begin, dots, end = words.partition("..")
    if not dots:
        raise Refusal(422, f"{words} is no range")
    low = None if begin == "*" else datetime.fromisoformat(begin)
    high = None if end == "*" else datetime.fromisoformat(end)
    return (low is None or at >= low) and (high is None or at <= high)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    service: Service

    def do_GET(self) -> None:
        self._answer(GETS, self._query())

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        text = self.rfile.read(length)
        self._answer(POSTS, json.loads(text) if text else {})

    def _query(self) -> dict[str, str]:
        pairs = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        assert len(dict(pairs)) == len(pairs), f"a parameter twice: {self.path}"
        return dict(pairs)

    def _answer(self, routes: list[tuple[str, Callable[..., Any]]], given: Any) -> None:
        try:
            if self.service.faults:
                fault = self.service.faults.popleft()
                self._send(fault.status, fault.body, fault.headers)
                return
            self._check()
            answer = self._routed(routes, given)
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            etag = 'W/"' + hashlib.sha256(body).hexdigest() + '"'
            if self.command == "GET" and self.headers.get("If-None-Match") == etag:
                self._send(304, None, {"ETag": etag})
                return
            if urlsplit(self.path).path != "/rate_limit":
                self.service.spend()
            self._send(200, body, {"ETag": etag})
        except Refusal as refusal:
            said = {"message": refusal.message, "documentation_url": "https://docs.github.com/rest"}
            bodies: dict[int, Any] = {202: {}, 204: None, 302: None}
            self._send(refusal.status, bodies.get(refusal.status, said), refusal.headers)

    def _check(self) -> None:
        """What GitHub wants of each request."""
        if not self.headers.get("User-Agent"):
            raise Refusal(403, "Request forbidden by administrative rules.")
        if self.headers.get("X-GitHub-Api-Version") != VERSION:
            raise Refusal(400, "no such API version")
        if self.headers.get("Accept") != "application/vnd.github+json":
            raise Refusal(415, "Unsupported 'Accept' header")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Bad credentials")

    def _routed(self, routes: list[tuple[str, Callable[..., Any]]], given: Any) -> Any:
        path = urlsplit(self.path).path
        if not path.startswith(self.service.prefix):
            raise Refusal(404, "Not Found")
        path = path.removeprefix(self.service.prefix)
        for pattern, route in routes:
            # GitHub does not mind the case of an owner or a repository.
            if found := re.fullmatch(pattern, path, re.IGNORECASE):
                body = route(self.service, given, *found.groups())
                return body if route in NAMES else self.service.mangle(path, body)
        raise Refusal(404, "Not Found")

    def _send(self, status: int, body: Any, headers: dict[str, str]) -> None:
        where = urlsplit(self.path)
        self.service.asked.append(
            Asked(
                self.command,
                where.path,
                dict(parse_qsl(where.query)),
                status,
                self.headers.get("If-None-Match"),
            )
        )
        if not isinstance(body, bytes):
            body = b"" if body is None else json.dumps(body).encode()
        own = {
            "Date": format_datetime(self.service.world.now, usegmt=True),
            **self.service.limits(),
        }
        if self.service.scopes is not None:
            own["X-OAuth-Scopes"] = self.service.scopes
        self.send_response_only(status)
        for key, value in {**own, **headers}.items():
            self.send_header(key, value)
        if status not in (204, 304):
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, service: Service) -> None:
        handler = type("BoundHandler", (Handler,), {"service": service})
        super().__init__(("127.0.0.1", 0), handler)
        service.base = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


__all__ = ["NOW", "Asked", "Fault", "Server", "Service"]
