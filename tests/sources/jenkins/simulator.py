"""A Jenkins on a loopback socket, written from its remote access API and its plugins' documents.

It knows nothing of runsync. It is as strict as Jenkins about paths and users, and stricter about
questions: what asks for `api/json` has to say which properties it wants, and a parameter that
Jenkins would pass over is refused. `tree` is taken by the letter: properties, those of objects in
brackets, ranges of lists in braces; `_class` comes with every object that has one, asked for or
not; `builds` ends after a hundred, `allBuilds` comes only where it is named.
"""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.sources.jenkins.world import (
    BRANCH_PROPERTY,
    FREESTYLE,
    PIPELINE,
    Build,
    Item,
    Json,
    Stage,
    World,
)
from tests.sources.loopback import AnsweringHandler, LoopbackService

Tree = dict[str, "Wish"]
MOST_BUILDS = 100
MOST_CHARACTERS = 8000  # of a URL, which Jetty refuses beyond 8 KiB
GRAPH_STATES = {
    "SUCCESS": "success",
    "FAILED": "failure",
    "ABORTED": "aborted",
    "UNSTABLE": "unstable",
    "IN_PROGRESS": "running",
    "PAUSED_PENDING_INPUT": "paused",
    "NOT_EXECUTED": "not_built",
    "SKIPPED": "skipped",
}


@dataclass
class Wish:
    """What is wanted of one property: of its objects, and which of a list."""

    of: Tree = field(default_factory=dict)
    first: int = 0
    end: int | None = None


class RefusalError(Exception):
    def __init__(self, status: int, text: str = "<html><body>refused</body></html>") -> None:
        self.status, self.text = status, text


def parse_tree(text: str) -> Tree:
    """The wishes of a `tree`.

    Raises:
        RefusalError: it is not well formed.
    """
    tree, end = _parse(text, 0)
    if end != len(text):
        raise RefusalError(400, f"unexpected {text[end:]}")
    return tree


def _parse(text: str, at: int) -> tuple[Tree, int]:
    tree: Tree = {}
    while True:
        begin = at
        while at < len(text) and (text[at].isalnum() or text[at] in "_*"):
            at += 1
        if at == begin:
            raise RefusalError(400, f"a property is due at {text[at:]!r}")
        wish = tree.setdefault(text[begin:at], Wish())
        if text[at : at + 1] == "[":
            wish.of, at = _parse(text, at + 1)
            if text[at : at + 1] != "]":
                raise RefusalError(400, "a bracket is open")
            at += 1
        if text[at : at + 1] == "{":
            inside, brace, _ = text[at + 1 :].partition("}")
            first, comma, end = inside.partition(",")
            if not brace or not comma:
                raise RefusalError(400, "a range is {m,n}")
            wish.first, wish.end = int(first or 0), int(end) if end else None
            at += len(inside) + 2
        if text[at : at + 1] != ",":
            return tree, at
        at += 1


def prune(value: Any, tree: Tree) -> Any:
    """A value with what is wanted of it; an object without properties of its own is ``{}``."""
    if isinstance(value, list):
        return [prune(one, tree) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {"_class": value["_class"]} if "_class" in value else {}
    for name, wish in tree.items():
        if name == "*":
            kept |= {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        elif name in value:
            inner = value[name]
            if isinstance(inner, list):
                inner = inner[wish.first : wish.end]
            kept[name] = prune(inner, wish.of)
    return kept


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class JenkinsSimulator(LoopbackService):
    """The service. ``before`` is called with each request, before it is answered.

    ``plugins`` are those that show stages: ``wfapi``, ``graph``, both or none.
    """

    user, token = "ada", "11" + "ab12" * 8

    def __init__(self, world: World) -> None:
        self.world, self.asked = world, list[Asked]()
        self.plugins = {"wfapi"}
        self.crumbs = False
        self.is_open = False  # to everybody, without a token
        self.patience = 3000  # so that a walk without an end fails instead of going on
        self.before: Callable[[Asked], None] = lambda asked: None
        self.override: Callable[[Asked], tuple[int, Any] | None] = lambda asked: None
        self.lock = threading.RLock()
        super().__init__(_handler(self))
        self.url = f"{self.root}/jenkins"

    @property
    def secret(self) -> str:
        return f"{self.user}:{self.token}"

    def paths(self) -> list[str]:
        """What was asked for, as people read it."""
        return [asked.path for asked in self.asked]

    def answer(self, asked: Asked) -> tuple[int, Any, Json]:
        """Status, body and headers."""
        if len(self.asked) > self.patience:
            raise RefusalError(500, "the simulator has lost its patience")
        self._admit(asked)
        if not asked.path.startswith("/jenkins/"):
            raise RefusalError(404)
        # Branch names keep their %2F: each part is decoded once.
        parts = [unquote(part) for part in asked.path.split("/")[2:]]
        if asked.method == "POST":
            return self._post(asked, parts)
        item, at = self.world.root, 0
        path: list[str] = []
        while parts[at : at + 1] == ["job"]:
            found = item.children.get(parts[at + 1])
            if found is None:
                raise RefusalError(404)
            item, at = found, at + 2
            path.append(found.name)
        return 200, self._get(asked, item, "/".join(path), parts[at:]), {}

    def _admit(self, asked: Asked) -> None:
        given = asked.headers.get("authorization", "")
        if not given and self.is_open:
            return
        if not given:
            raise RefusalError(403, "<html>Authentication required</html>")
        kind, _, secret = given.partition(" ")
        if kind != "Basic" or b64decode(secret).decode() != self.secret:
            raise RefusalError(401, "<html>Invalid password/token for user: ada</html>")

    def _get(self, asked: Asked, item: Item, path: str, rest: list[str]) -> Any:
        match rest:
            case ["whoAmI", "api", "json"] if not path:
                anonymous = "authorization" not in asked.headers
                return self._pruned(
                    asked,
                    {
                        "_class": "hudson.security.WhoAmI",
                        "name": "anonymous" if anonymous else self.user,
                        "anonymous": anonymous,
                        "authenticated": not anonymous,
                        "authorities": ["authenticated"],
                    },
                )
            case ["crumbIssuer", "api", "json"] if not path and self.crumbs:
                return {"crumb": "c0ffee", "crumbRequestField": "Jenkins-Crumb"}
            case ["queue", "item", number, "api", "json"] if not path:
                return self._pruned(asked, self._queued(number))
            case ["api", "json"]:
                return self._pruned(asked, self._item(item, path))
            case ["wfapi", "describe"] if item.kind == PIPELINE and "wfapi" in self.plugins:
                return {"name": item.name, "runCount": len(item.builds), "_links": {}}
            case ["multi-pipeline-graph", "runs"] if (
                item.kind == PIPELINE and "graph" in self.plugins
            ):
                return {"status": "ok", "data": []}
            case [number, *more] if item.is_job and number.isdigit():
                build = item.builds.get(int(number))
                if build is None:
                    raise RefusalError(404)
                return self._of_build(asked, path, build, more)
        raise RefusalError(404)

    def _pruned(self, asked: Asked, value: Json) -> Any:
        if set(asked.query) != {"tree"} or len(asked.query["tree"]) > MOST_CHARACTERS:
            raise RefusalError(400, "say what is wanted by `tree`, and nothing else")
        return prune(value, parse_tree(asked.query["tree"]))

    def _of_build(self, asked: Asked, path: str, build: Build, rest: list[str]) -> Any:
        wfapi, graph = (
            build.kind.endswith("WorkflowRun") and plugin in self.plugins
            for plugin in ("wfapi", "graph")
        )
        match rest:
            case ["api", "json"]:
                return self._pruned(asked, self._build(path, build))
            case ["consoleText"]:
                return build.log
            case ["wfapi", "describe"] if wfapi:
                return self._spoil(path, -build.number, self._described(path, build))
            case ["execution", "node", node, "wfapi", "describe"] if wfapi:
                stage = self._stage(build, node)
                nodes = [
                    {"id": str(stage.id + n), "name": "Shell Script", "_links": {}}
                    for n in range(1, len(stage.logs) + 1)
                ]
                return self._wf_stage(path, build, stage) | {"stageFlowNodes": nodes}
            case ["execution", "node", node, "wfapi", "log"] if wfapi:
                for stage in _flat(build.stages):
                    if 0 < (n := int(node) - stage.id) <= len(stage.logs):
                        text = stage.logs[n - 1]
                        return {
                            "nodeId": node, "nodeStatus": "SUCCESS", "length": len(text),
                            "hasMore": False, "text": text, "consoleUrl": "/x",
                        }  # fmt: skip
                return {"nodeId": node, "nodeStatus": "SUCCESS", "length": 0, "hasMore": False}
            case ["stages", "tree"] if graph:
                stages = [self._graph_stage(stage) for stage in build.stages]
                data = {"complete": not build.building, "stages": stages}
                return self._spoil(path, -build.number, {"status": "ok", "data": data})
            case ["stages", "log"] if graph:
                return "".join(self._stage(build, asked.query["nodeId"]).logs)
        raise RefusalError(404)

    def _stage(self, build: Build, node: str) -> Stage:
        for stage in _flat(build.stages):
            if str(stage.id) == node:
                return stage
        raise RefusalError(404)

    # What the exported beans tell.

    def _item(self, item: Item, path: str) -> Json:
        told: Json = {"_class": item.kind, "name": item.name, "fullName": path, "actions": [{}]}
        if not item.is_job:
            children = [
                (child, f"{path}/{child.name}" if path else child.name)
                for child in item.children.values()
            ]
            return told | {"jobs": [self._item(child, full) for child, full in children]}
        builds = [self._build(path, build) for build in item.newest_first()]
        definitions = {"_class": "hudson.model.ParametersDefinitionProperty"}
        branch = {"_class": BRANCH_PROPERTY, "branch": {}}
        return told | {
            "builds": builds[:MOST_BUILDS],
            "allBuilds": builds,
            "firstBuild": builds[-1] if builds else None,
            "lastBuild": builds[0] if builds else None,
            "nextBuildNumber": item.next_number,
            "buildable": item.buildable,
            "property": [definitions] * item.parameterized + [branch] * item.is_branch,
        }

    def _build(self, path: str, build: Build) -> Any:
        url = f"http://elsewhere.example/job/{quote(path)}/{build.number}/"
        told: Json = {
            "_class": build.kind,
            "actions": build.actions,
            "artifacts": [],
            "building": build.building,
            "description": None,
            "displayName": build.display_name or f"#{build.number}",
            "duration": build.duration,
            "estimatedDuration": 5000,
            "executor": None,
            "fullDisplayName": f"{path} #{build.number}",
            "id": str(build.number),
            "inProgress": build.in_progress,
            "keepLog": False,
            "number": build.number,
            "queueId": build.queue_id,
            "result": build.result,
            "timestamp": build.timestamp,
            "url": url,
        }
        if build.kind.endswith("FreeStyleBuild"):
            told |= {"builtOn": build.built_on}
            told |= {"changeSet": (build.change_sets or [{"_class": "hudson.scm.Empty"}])[0]}
        else:
            told |= {"changeSets": build.change_sets, "culprits": []}
        return self._spoil(path, build.number, told)

    def _spoil(self, path: str, number: int, told: Json) -> Any:
        spoil = self.world.spoilt.get((path, number))
        return spoil(told) if spoil else told

    def _described(self, path: str, build: Build) -> Json:
        stages = [self._wf_stage(path, build, stage) for stage in _flat(build.stages)]
        return {
            "_links": {"self": {"href": "/x"}},
            "id": str(build.number),
            "name": f"#{build.number}",
            "status": "IN_PROGRESS" if build.building else build.result,
            "startTimeMillis": build.timestamp + 7,
            "endTimeMillis": build.timestamp + build.duration,
            "durationMillis": build.duration,
            "queueDurationMillis": 3,
            "pauseDurationMillis": 0,
            "stages": stages,
        }

    def _wf_stage(self, path: str, build: Build, stage: Stage) -> Json:
        href = f"/jenkins/job/{quote(path)}/{build.number}/execution/node/{stage.id}/wfapi/describe"
        told: Json = {
            "_links": {"self": {"href": href}},
            "id": str(stage.id),
            "name": stage.name,
            "execNode": "",
            "status": stage.status,
            "startTimeMillis": stage.started,
            "durationMillis": stage.duration,
            "pauseDurationMillis": stage.paused,
        }
        if stage.status == "FAILED":
            told["error"] = {"message": "exit code 1", "type": "hudson.AbortException"}
        return told

    def _graph_stage(self, stage: Stage) -> Json:
        return {
            "id": str(stage.id),
            "name": stage.name,
            "title": stage.name,
            "type": "PARALLEL" if stage.children else "STAGE",
            "state": GRAPH_STATES[stage.status],
            "pauseDurationMillis": stage.paused,
            "startTimeMillis": stage.started,
            "totalDurationMillis": None if stage.status == "IN_PROGRESS" else stage.duration,
            "children": [self._graph_stage(child) for child in stage.children],
            "agent": stage.agent,
            "synthetic": False,
            "placeholder": False,
            "url": "/x",
        }

    # Orders.

    def _post(self, asked: Asked, parts: list[str]) -> tuple[int, Any, Json]:
        if self.crumbs and (
            asked.headers.get("jenkins-crumb") != "c0ffee"
            or "JSESSIONID=node0abc" not in asked.headers.get("cookie", "")
        ):
            raise RefusalError(403, "<html>No valid crumb was included in the request</html>")
        names = parts[1 : parts.index("job") + 2 * parts.count("job") : 2]
        path, rest = "/".join(names), parts[2 * parts.count("job") :]
        item = self.world.find(path)
        if item is None or not item.is_job:
            raise RefusalError(404)
        match rest:
            case ["build"]:
                if item.parameterized:
                    raise RefusalError(400, "<html>Nothing is submitted</html>")
                return self._scheduled(item, path, {})
            case ["buildWithParameters"]:
                if not item.parameterized:
                    raise RefusalError(400, "<html>This build is not parameterized!</html>")
                return self._scheduled(item, path, asked.form)
            case [number, "stop"] if int(number) in item.builds:
                build = item.builds[int(number)]
                if build.building:
                    self.world.end(build, "ABORTED")
                page = asked.path.removesuffix("stop")
                return 302, "", {"Location": f"http://elsewhere.example{page}"}
        raise RefusalError(404)

    def _scheduled(self, item: Item, path: str, form: dict[str, str]) -> tuple[int, Any, Json]:
        if not item.buildable:
            raise RefusalError(409, "<html>not buildable</html>")
        number = self.world.enqueue(path, item, form)
        return 201, "", {"Location": f"http://elsewhere.example/jenkins/queue/item/{number}/"}

    def _queued(self, number: str) -> Json:
        entry = self.world.queue.get(int(number))
        if entry is None:
            raise RefusalError(404)
        kind = "hudson.model.Queue$LeftItem" if "build" in entry else "hudson.model.Queue$Waiting"
        told: Json = {"_class": kind, "id": int(number), "why": "In the quiet period"}
        if entry.get("cancelled"):
            told |= {"_class": "hudson.model.Queue$LeftItem", "cancelled": True}
        if "build" in entry:
            told |= {"cancelled": False, "executable": {"number": entry["build"].number}}
        return told


def _flat(stages: list[Stage]) -> Iterator[Stage]:
    for stage in stages:
        yield stage
        yield from _flat(stage.children)


def _handler(simulator: JenkinsSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(AnsweringHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(dict(parse_qsl(self.rfile.read(length).decode(), strict_parsing=False)))

        def _answer(self, form: dict[str, str]) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, url.path, query, form, headers)
            with simulator.lock:
                simulator.asked.append(asked)
                simulator.before(asked)
                more: Json = {}
                try:
                    overridden = simulator.override(asked)
                    if overridden is not None:
                        status, found = overridden
                    else:
                        status, found, more = simulator.answer(asked)
                except RefusalError as refusal:
                    status, found = refusal.status, refusal.text
                text = found if isinstance(found, str) else json.dumps(found)
                return self._send(status, text, more)

        def _send(self, status: int, text: str, headers: Json) -> None:
            told = {"X-Jenkins": "2.516.3"}
            if "/crumbIssuer/" in self.path:
                told["Set-Cookie"] = "JSESSIONID=node0abc; Path=/jenkins; HttpOnly"
            self.answer_with(status, text, told | headers, simulator.world.now)

    return Handler


__all__ = ["FREESTYLE", "Asked", "JenkinsSimulator", "RefusalError", "parse_tree", "prune"]
