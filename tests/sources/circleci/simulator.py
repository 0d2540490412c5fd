"""A CircleCI on a loopback socket, written from its published API v2, and v1.1 for logs.

It knows nothing of runsync, and is stricter than the service: a parameter that it does not know
is refused. Page tokens are opaque: kept for one listing, each leads to a position, as the worst
of pagings would have it; so what goes pulls the rest across the edge of a page.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

from tests.sources.circleci.world import SECRET, CiPipeline, Json, World, coarse
from tests.sources.loopback import AnsweringHandler, LoopbackService

LONG = {"gh": "github", "bb": "bitbucket", "circleci": "circleci"}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]


class RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.body = status, {"message": message}


class CircleSimulator(LoopbackService):
    """The service. ``before`` is called with each request, before it is answered."""

    token = "CCIPAT_" + "s3cret" * 3
    page_size = 20

    def __init__(self, world: World) -> None:
        self.world, self.asked = world, list[Asked]()
        self.patience = 3000  # so that a walk without an end fails instead of going on
        self.before: Callable[[Asked], None] = lambda asked: None
        self.refusals: list[tuple[int, dict[str, str], str]] = []
        self.sent: list[Json] = []
        self.dead_tokens = False
        self.logs: dict[int, dict[tuple[int, int], str]] = {}
        self.lock = threading.RLock()
        self._tokens: dict[str, tuple[str, int]] = {}
        super().__init__(_handler(self))
        self.url = self.root

    def kinds(self) -> list[str]:
        """What was asked for, in a word each: list, number, pipeline, workflows, jobs …"""
        return [_kind(asked.path) for asked in self.asked]

    def answer(self, asked: Asked, body: Json, token: str | None) -> tuple[int, Any]:
        if len(self.asked) > self.patience:
            raise RefusalError(418, "you ask and ask")
        parts = [unquote(part) for part in asked.path.split("/")[1:]]
        if token != self.token:
            raise RefusalError(401, "You must log in first.")
        if parts[:2] == ["api", "v1.1"]:
            return self._old_api(asked, parts[2:])
        if parts[:2] != ["api", "v2"]:
            raise RefusalError(404, "Not Found")
        match asked.method, parts[2:]:
            case "GET", ["me"]:
                return 200, {"id": str(UUID(int=7)), "login": "ada", "name": "Ada L."}
            case "GET", ["project", vcs, org, repo, *rest]:
                self._check_project(f"{vcs}/{org}/{repo}")
                return self._in_project(asked, rest)
            case "POST", ["project", vcs, org, repo, "pipeline"]:
                self._check_project(f"{vcs}/{org}/{repo}")
                return 201, self._triggered(body)
            case "GET", ["pipeline", key, *rest]:
                return self._of_pipeline(asked, key, rest)
            case _, ["workflow", key, *rest]:
                return self._of_workflow(asked, key, rest)
        raise RefusalError(404, "Not Found")

    def _check_project(self, slug: str) -> None:
        if slug != self.world.slug:
            raise RefusalError(404, "Project not found")

    def _in_project(self, asked: Asked, rest: list[str]) -> tuple[int, Any]:
        world = self.world
        match rest:
            case []:
                info = {"vcs_url": "https://github.com/acme/shop", "default_branch": "main"}
                return 200, {"slug": world.slug, "name": "shop", "vcs_info": info}
            case ["pipeline"]:
                _check(asked.query, "branch", "page-token")
                branch = asked.query.get("branch")
                rows = [p for p in reversed(world.pipelines) if branch in (None, p.branch)]
                shown = [self._spoil(p.id, world.shown_pipeline(p)) for p in rows]
                return 200, self._page(asked, f"list {branch}", shown)
            case ["pipeline", number]:
                found = [p for p in world.pipelines if str(p.number) == number]
                if not number.isdigit():
                    raise RefusalError(400, "pipeline-number: must be a number")
                if not found:
                    raise RefusalError(404, "Pipeline not found")
                return 200, self._spoil(found[0].id, world.shown_pipeline(found[0]))
            case ["job", number]:
                job = world.job(int(number))
                if job is None:
                    raise RefusalError(404, "Job not found")
                return 200, self._spoil(f"job {job[1].id}", world.shown_job_detail(*job))
        raise RefusalError(404, "Not Found")

    def _of_pipeline(self, asked: Asked, key: str, rest: list[str]) -> tuple[int, Any]:
        pipeline = self.world.pipeline(_uuid(key))
        if pipeline is None:
            raise RefusalError(404, "Pipeline not found")
        if not rest:
            return 200, self._spoil(pipeline.id, self.world.shown_pipeline(pipeline))
        if rest != ["workflow"]:
            raise RefusalError(404, "Not Found")
        _check(asked.query, "page-token")
        newest_first = reversed(pipeline.workflows)
        shown = [self._spoil(w.id, self.world.shown_workflow(pipeline, w)) for w in newest_first]
        return 200, self._page(asked, f"workflows {key}", shown)

    def _of_workflow(self, asked: Asked, key: str, rest: list[str]) -> tuple[int, Any]:
        found = self.world.workflow(_uuid(key))
        if found is None or key in self.world.forgotten:
            raise RefusalError(404, "Workflow not found")
        pipeline, workflow = found
        match asked.method, rest:
            case "GET", []:
                return 200, self._spoil(key, self.world.shown_workflow(pipeline, workflow))
            case "GET", ["job"]:
                _check(asked.query, "page-token")
                shown = [self._spoil(j.id, self.world.shown_job(j)) for j in workflow.jobs]
                return 200, self._page(asked, f"jobs {key}", shown)
            case "POST", ["cancel"]:
                self.world.cancel(workflow)
                return 202, {"message": "Accepted."}
        raise RefusalError(404, "Not Found")

    def _triggered(self, body: Json) -> Json:
        if set(body) - {"branch", "tag", "parameters"} or {"branch", "tag"} <= set(body):
            raise RefusalError(400, "Unexpected input.")
        self.sent.append(body)
        pipeline = self.world.push(trigger="api", branch=body.get("branch", "main"))
        pipeline.parameters = body.get("parameters", {})
        pipeline.state = "pending"
        shown = self.world.shown_pipeline(pipeline)
        return {key: shown[key] for key in ("id", "state", "number", "created_at")}

    def _old_api(self, asked: Asked, parts: list[str]) -> tuple[int, Any]:
        vcs, org, repo = self.world.slug.split("/")
        home = ["project", LONG[vcs], org, repo]
        if parts == ["projects"]:
            url = f"https://{LONG[vcs]}.com/{org}/{repo}"
            row = {"vcs_type": LONG[vcs], "username": org, "reponame": repo, "vcs_url": url}
            app = {"vcs_type": "circleci", "username": "acme", "reponame": "app"}
            return 200, [row, app | {"vcs_url": f"//circleci.com/{UUID(int=1)}/{UUID(int=2)}"}]
        if parts[:4] != home or len(parts) not in (5, 8) or not parts[4].isdigit():
            raise RefusalError(404, "Not Found")
        number = int(parts[4])
        if self.world.job(number) is None:
            raise RefusalError(404, "Build not found")
        outputs = self.logs.get(number, {})
        if len(parts) == 5:
            return 200, _build(number, outputs)
        _check(asked.query, "file")
        where = (int(parts[6]), int(parts[7]))
        if parts[5] != "output" or asked.query.get("file") != "true" or where not in outputs:
            raise RefusalError(404, "Not Found")
        return 200, outputs[where]

    def _spoil(self, key: str | None, raw: Json) -> Any:
        spoil = self.world.spoilt.get(key or "")
        return spoil(raw) if spoil else raw

    def _page(self, asked: Asked, listing: str, rows: list[Any]) -> Json:
        start, token = 0, asked.query.get("page-token")
        if token is not None:
            kept, start = self._tokens.get(token, ("", 0))
            if kept != listing or self.dead_tokens:
                raise RefusalError(404, "Not Found")
        end = start + self.page_size
        following = f"AARLwwV{len(self._tokens):06x}=" if end < len(rows) else None
        if following:
            self._tokens[following] = (listing, end)
        return {"items": rows[start:end], "next_page_token": following}


def _build(number: int, outputs: dict[tuple[int, int], str]) -> Json:
    steps: dict[int, list[Json]] = {}
    for step, index in outputs:
        action = {"name": f"step {step}", "step": step, "index": index, "has_output": True}
        action |= {"output_url": f"https://elsewhere.example/{step}?secret={SECRET}"}
        steps.setdefault(step, []).append(action)
    silent = {"name": "Spin up", "step": 0, "index": 0, "has_output": False}
    shown = [{"name": f"step {n}", "actions": actions} for n, actions in steps.items()]
    return {"build_num": number, "steps": [{"name": "Spin up", "actions": [silent]}, *shown]}


def _kind(path: str) -> str:
    parts = path.split("/")[3:]
    if parts[0] == "project":
        rest = parts[4:]
        words = {(): "project", ("pipeline",): "list"}
        return words.get(tuple(rest), "number" if rest[:1] == ["pipeline"] else "job")
    return {"workflow": "workflows", "job": "jobs"}.get(parts[-1], parts[0])


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise RefusalError(400, "must be a UUID") from None


def _check(query: dict[str, str], *known: str) -> None:
    if set(query) - set(known):
        raise RefusalError(400, f"unexpected: {sorted(set(query) - set(known))}")


def _handler(simulator: CircleSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(AnsweringHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(json.loads(self.rfile.read(length) or b"{}"))

        def _answer(self, body: Json) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
            asked = Asked(self.command, url.path, query)
            with simulator.lock:
                simulator.asked.append(asked)
                simulator.before(asked)
                if simulator.refusals:
                    status, headers, text = simulator.refusals.pop(0)
                    return self._send(status, text, headers)
                try:
                    status, found = simulator.answer(asked, body, self.headers.get("Circle-Token"))
                except RefusalError as refusal:
                    status, found = refusal.status, refusal.body
                text = found if isinstance(found, str) else json.dumps(found)
                return self._send(status, text, {})

        def _send(self, status: int, text: str, headers: dict[str, str]) -> None:
            self.answer_with(status, text, headers, simulator.world.now)

    return Handler


__all__ = ["Asked", "CiPipeline", "CircleSimulator", "RefusalError", "coarse"]
