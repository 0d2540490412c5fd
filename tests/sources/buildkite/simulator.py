"""A Buildkite on a loopback socket, written from its published REST API v2.

It is stricter than the service: a parameter, a state or a scope that the documents do not name is
refused, and bounds are whole seconds.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.sources.buildkite.world import BUILD_STATES, Build, Json, World, moment
from tests.sources.loopback import AnsweringHandler, LoopbackService

LISTED = set(
    "branch commit created_from created_to creator finished_from include_retried_jobs state "
    "state[] page per_page".split()
)
TOO_DEEP = (
    "Listing builds this deep is not supported. Please narrow your query using filters such as "
    "branch or created_from."
)
CREATABLE = set("commit branch message author env meta_data".split())


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]


class RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"message": message}


class BuildkiteSimulator(LoopbackService):
    """Serves a world.

    Attributes:
        asked: every request, in order.
        before: called with each request before it is answered, to let things happen meanwhile.
        deepest: how many builds a list shows before a page is too deep.
        quota: how many requests the user may make in the next ``window`` seconds; None for any.
        largest: the longest page by its jobs, above which the answer outgrows every client.
    """

    token = "bkua_0123456789abcdef"

    def __init__(self, world: World) -> None:
        self.world = world
        self.numbers_lag = True  # a build that no list shows yet is not found by number either
        self.asked: list[Asked] = []
        self.before: Callable[[Asked], None] = lambda asked: None
        self.scopes = "read_builds read_build_logs read_organizations read_pipelines write_builds"
        self.deepest = 300
        self.quota: int | None = None
        self.window = 1
        super().__init__(_handler(self))
        self.url = self.root
        self.lock = threading.Lock()
        self._left, self._window_ends = 0, 0.0

    def spend(self) -> tuple[Json, bool]:
        """Counts a request: the rate-limit headers, and whether it may be answered."""
        now = time.monotonic()
        if now >= self._window_ends:
            self._left, self._window_ends = self.quota or 0, now + self.window
        allowed = self.quota is None or self._left > 0
        self._left = max(self._left - 1, 0)
        left = 50 if self.quota is None else self._left
        return {
            "RateLimit-Scope": "rest",
            "RateLimit-Remaining": "180",
            "RateLimit-Limit": "200",
            "RateLimit-Reset": "42",
            "RateLimit-User-Scope": "rest_user",
            "RateLimit-User-Remaining": str(left),
            "RateLimit-User-Limit": str(self.quota or 50),
            "RateLimit-User-Reset": str(self.window),
        }, allowed

    def answer(self, asked: Asked, body: Json, token: str) -> tuple[int, Any, Json]:
        if token != f"Bearer {self.token}":
            raise RefusalError(401, "Authentication required. Please supply a valid API token.")
        parts = [unquote(part) for part in asked.path.split("/")[1:]]
        if parts[:1] != ["v2"]:
            raise RefusalError(404, "Not Found")
        match asked.method, parts[1:]:
            case "GET", ["access-token"]:
                return 200, self._token(), {}
            case "GET", ["organizations"]:
                self._needs("read_organizations")
                org = {"id": "1", "slug": self.world.org, "name": "Acme, Inc."}
                return self._page(asked, [org])
        if len(parts) < 4 or parts[1] != "organizations" or parts[2] != self.world.org:
            raise RefusalError(404, "No organization found")
        return self._of_organization(asked, body, parts[3:])

    def _of_organization(self, asked: Asked, body: Json, parts: list[str]) -> tuple[int, Any, Json]:
        if parts == ["builds"]:
            return self._builds(asked, None)
        if parts == ["pipelines"]:
            self._needs("read_pipelines")
            rows = [self.world.pipeline(slug, self.url) for slug in self.world.pipelines]
            return self._page(asked, rows)
        if parts[0] != "pipelines" or parts[1] not in self.world.pipelines:
            raise RefusalError(404, "No pipeline found")
        match asked.method, parts[1:]:
            case "GET", [slug]:
                self._needs("read_pipelines")
                return 200, self.world.pipeline(slug, self.url), {}
            case "GET", [slug, "builds"]:
                return self._builds(asked, slug)
            case "POST", [slug, "builds"]:
                return 201, self._shown(self._created(slug, body)), {}
            case "GET", [slug, "builds", number]:
                self._needs("read_builds")
                self._check(asked, {"include_retried_jobs"})
                return 200, self._shown(self._build(slug, number), asked), {}
            case "PUT", [slug, "builds", number, "cancel"]:
                self._needs("write_builds")
                return 200, self._shown(self._canceled(slug, number)), {}
            case "GET", [slug, "builds", number, "jobs", job, "log"]:
                self._needs("read_build_logs")
                return 200, self._log(self._build(slug, number), job), {}
        raise RefusalError(404, "Not Found")

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes.split():
            raise RefusalError(403, f"Forbidden. Your API token lacks the scope {scope}")

    def _token(self) -> Json:
        user = {"name": "Ada L", "email": "ada@example.org"}
        return {"uuid": "b63254c0", "scopes": self.scopes.split(), "user": user}

    def _check(self, asked: Asked, known: set[str]) -> None:
        for key, values in asked.query.items():
            if key not in known or (len(values) > 1 and not key.endswith("[]")):
                raise RefusalError(400, f"{key} is no parameter of this endpoint")
            for value in values:
                if key.startswith("state") and value not in {*BUILD_STATES, "finished"}:
                    raise RefusalError(400, f"{value} is no state of a build")
                if key in ("created_from", "created_to", "finished_from"):
                    moment(value)
                if key == "include_retried_jobs" and value not in ("true", "false"):
                    raise RefusalError(400, "include_retried_jobs must be true or false")

    def _builds(self, asked: Asked, slug: str | None) -> tuple[int, Any, Json]:
        self._needs("read_builds")
        self._check(asked, LISTED)
        size, page = self._size(asked)
        if page > 1 and page * size > self.deepest:
            raise RefusalError(400, TOO_DEEP)
        status, rows, headers = self._page(asked, self.world.listed(asked.query, slug))
        return status, [self._shown(build, asked) for build in rows], headers

    def _size(self, asked: Asked) -> tuple[int, int]:
        numbers = [
            asked.query.get(key, [usual])[0] for key, usual in (("per_page", "30"), ("page", "1"))
        ]
        if not all(n.isdigit() and int(n) > 0 for n in numbers) or int(numbers[0]) > 100:
            raise RefusalError(400, "page and per_page must be numbers, per_page up to 100")
        return int(numbers[0]), int(numbers[1])

    def _page(self, asked: Asked, rows: list[Any]) -> tuple[int, list[Any], Json]:
        size, page = self._size(asked)
        last = max(-(-len(rows) // size), 1)
        links = {"prev": page - 1, "first": 1} if page > 1 else {}
        links |= {"next": page + 1, "last": last} if page < last else {}
        shown = (f'<{self.url}{asked.path}?page={n}>; rel="{rel}"' for rel, n in links.items())
        headers = {"Link": ", ".join(shown)} if links else {}
        return 200, rows[(page - 1) * size : page * size], headers

    def _shown(self, build: Build, asked: Asked | None = None) -> Any:
        retried = asked is not None and asked.query.get("include_retried_jobs") == ["true"]
        return self.world.build(build, self.url, retried=retried)

    def _build(self, slug: str, number: str) -> Build:
        for build in self.world.builds:
            lags = self.numbers_lag and (build.visible_from or self.world.now) > self.world.now
            if (build.pipeline, str(build.number)) == (slug, number) and not lags:
                return build
        raise RefusalError(404, "No build found")

    def _created(self, slug: str, body: Json) -> Build:
        self._needs("write_builds")
        if set(body) - CREATABLE or not body.get("commit") or not body.get("branch"):
            raise RefusalError(422, "Validation Failed")
        if not re.fullmatch(r"[0-9a-f]{40}|HEAD", body["commit"]):
            raise RefusalError(422, "commit is invalid")
        return self.world.create(
            "unit", pipeline=slug, source="api", branch=body["branch"], commit=body["commit"],
            env=body.get("env", {}),
        )  # fmt: skip

    def _canceled(self, slug: str, number: str) -> Build:
        build = self._build(slug, number)
        if build.state not in ("scheduled", "running", "failing"):
            raise RefusalError(422, "Build can't be canceled because it's already finished.")
        self.world.cancel(build)
        return build

    def _log(self, build: Build, job_id: str) -> Json:
        for job in build.jobs:
            if job.id == job_id and job.type == "script":
                return {"url": "x", "content": job.log, "size": len(job.log), "header_times": []}
        raise RefusalError(404, "No job found")


def _handler(simulator: BuildkiteSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(AnsweringHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def _answer(self) -> None:
            url = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            query = parse_qs(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
            asked = Asked(self.command, url.path, query)
            with simulator.lock:
                simulator.asked.append(asked)
                simulator.before(asked)
                limits, allowed = simulator.spend()
                try:
                    if not allowed:
                        raise RefusalError(429, "You have exceeded your API rate limit.")
                    token = self.headers.get("Authorization", "")
                    status, found, headers = simulator.answer(asked, body, token)
                except RefusalError as refusal:
                    status, found, headers = refusal.status, refusal.body, {}
                self._send(status, json.dumps(found), {**limits, **headers})

        def _send(self, status: int, text: str, headers: Json) -> None:
            self.answer_with(status, text, headers, simulator.world.now)

    return Handler
