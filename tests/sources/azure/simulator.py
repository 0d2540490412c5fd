"""Azure DevOps on a loopback socket, written from its published REST reference, version 7.1.

It is stricter than the service about names and values: a parameter that the service would pass
over is refused. Nowhere is it said whether a build of exactly `minTime` or `maxTime` is listed, nor
in which order builds of one time come: `inclusive` says the one, and the other changes at each
request.
"""

import base64
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.sources.azure.world import (
    ADA,
    RESULTS,
    ROOT,
    SECRET,
    UNFINISHED,
    Build,
    Json,
    Record,
    World,
)
from tests.sources.loopback import AnsweringHandler, LoopbackService

MOST = 5000
ORDERS = {
    f"{name}Time{way}": (field, way == "Descending")
    for name, field in (("queue", "queued"), ("start", "started"), ("finish", "finished"))
    for way in ("Ascending", "Descending")
}
LIST_VALUES: dict[str, set[str] | None] = {
    "queryOrder": set(ORDERS),
    "statusFilter": {"completed", *UNFINISHED},
    "resultFilter": set(RESULTS),
    "deletedFilter": {"excludeDeleted", "includeDeleted", "onlyDeleted"},
    **dict.fromkeys(
        "definitions minTime maxTime branchName requestedFor buildIds $top continuationToken "
        "api-version".split()
    ),
}
SIGN_IN = "<!DOCTYPE html><html><head><title>Azure DevOps Services | Sign In</title></head></html>"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]


class RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.body = {"$id": "1", "message": message, "typeKey": "Exception", "errorCode": 0}


Answer = tuple[int, Any, dict[str, str]]


class AzureSimulator(LoopbackService):
    """The service. ``before`` is called with each request, before it is answered."""

    token = "pat-" + "s3cret" * 8

    def __init__(self, world: World, *, inclusive: bool = True) -> None:
        self.world, self.inclusive = world, inclusive
        self.asked: list[Asked] = []
        self.bodies: list[Json] = []
        self.scopes = {"vso.build", "vso.build_execute", "vso.project"}
        self.refuses_by = 203
        self.default_top = 1000
        self.hidden: set[int] = set()
        """Builds that the token may not see: a page is cut before they are taken out."""
        self.patience = 3000
        self.before: Callable[[Asked], None] = lambda asked: None
        self.refusals: list[tuple[int, dict[str, str], str]] = []
        self.extra_headers: dict[str, str] = {}
        self.lock = threading.RLock()
        super().__init__(_handler(self))
        self.url = f"{self.root}/fabrikam"

    def paths(self) -> list[str]:
        """What was asked for, without the organisation, the project and the area."""
        return [asked.path.rpartition("/_apis/")[2] for asked in self.asked]

    def answer(self, asked: Asked, body: Any, token: str | None) -> Answer:
        if len(self.asked) > self.patience:
            raise RefusalError(418, "you ask and ask")
        if token != self.token:
            return self._sign_in()
        version = asked.query.get("api-version")
        parts = [unquote(part) for part in asked.path.split("/")[1:]]
        if parts[:1] != ["fabrikam"]:
            raise RefusalError(404, "TF200016: the organization does not exist")
        if version != ("7.1-preview" if parts[-1] == "connectionData" else "7.1"):
            raise RefusalError(400, f"api-version {version} is not supported")
        return self._in_organisation(asked, parts[1:], body)

    def _sign_in(self) -> Answer:
        if self.refuses_by == 302:
            where = "https://spsprodeus1.vssps.visualstudio.example/_signin?realm=dev.azure.example"
            return 302, SIGN_IN, {"Location": where}
        return self.refuses_by, SIGN_IN, {"Content-Type": "text/html; charset=utf-8"}

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            raise RefusalError(401, f"TF400813: the token lacks {scope}")

    def _in_organisation(self, asked: Asked, parts: list[str], body: Any) -> Answer:
        match asked.method, parts:
            case "GET", ["_apis", "connectionData"]:
                user = {"id": ADA["id"], "providerDisplayName": ADA["displayName"]}
                return 200, {"authenticatedUser": user, "instanceId": "x"}, {}
            case "GET", ["_apis", "build", "controllers"]:
                self._needs("vso.build")
                return 200, {"count": 0, "value": []}, {}
            case "GET", ["_apis", "projects"]:
                self._needs("vso.project")
                _check(asked.query, dict.fromkeys(["$top", "continuationToken", "api-version"]))
                world = self.world
                rows = [{"id": world.project_id, "name": world.project, "state": "wellFormed"}]
                return 200, {"count": 1, "value": rows}, {}
        names = (self.world.project.lower(), self.world.project_id)
        if not parts or parts[0].lower() not in names:
            raise RefusalError(404, "TF200016: The following project does not exist")
        if parts[1:3] != ["_apis", "build"]:
            raise RefusalError(404, "the resource does not exist")
        self._needs("vso.build" if asked.method == "GET" else "vso.build_execute")
        return self._in_build(asked, parts[3:], body)

    def _in_build(self, asked: Asked, parts: list[str], body: Any) -> Answer:
        match asked.method, parts:
            case "GET", ["builds"]:
                return self._list(asked.query)
            case "GET", ["builds", number]:
                return 200, self._spoil(self.shown(self._build(number)), -int(number)), {}
            case "GET", ["builds", number, "timeline"]:
                build = self._build(number)
                if not build.records:
                    return 204, "", {}
                shown = self._timeline(build, build.timeline, build.records)
                return 200, self._spoil(shown, f"timeline {number}"), {}
            case "GET", ["builds", number, "timeline", timeline]:
                build = self._build(number)
                if timeline not in build.earlier:
                    return 204, "", {}
                return 200, self._timeline(build, timeline, build.earlier[timeline]), {}
            case "GET", ["builds", number, "logs", log]:
                return self._log(self._build(number), log)
            case "GET", ["definitions"]:
                return self._definitions(asked.query)
            case "GET", ["definitions", number]:
                return 200, self._definition(number), {}
            case "POST", ["builds"]:
                return 200, self.shown(self._queued(body)), {}
            case "PATCH", ["builds", number]:
                return 200, self.shown(self._cancelled(self._build(number), body)), {}
        raise RefusalError(404, "the resource does not exist")

    # Builds.

    def _build(self, number: str) -> Build:
        if not number.isdigit():
            raise RefusalError(400, f"The value '{number}' is not valid for buildId.")
        build = self.world.builds.get(int(number))
        if build is None or build.deleted or build.id in self.hidden:
            raise RefusalError(404, f"The requested build {number} could not be found.")
        return build

    def _list(self, query: dict[str, str]) -> Answer:
        _check(query, LIST_VALUES)
        rows = [b for b in self.world.builds.values() if self._fits(b, query)]
        field, descending = ORDERS[query.get("queryOrder", "queueTimeDescending")]
        low, high = query.get("minTime"), query.get("maxTime")
        if low or high:
            rows = [b for b in rows if getattr(b, field) is not None]
        rows = [b for b in rows if not low or self._is_within(moment(low), getattr(b, field))]
        rows = [b for b in rows if not high or self._is_within(getattr(b, field), moment(high))]
        random.shuffle(rows)
        epoch = datetime.min.replace(tzinfo=UTC)
        rows.sort(key=lambda b: getattr(b, field) or epoch, reverse=descending)
        if token := query.get("continuationToken"):
            at = moment(token)
            rows = [
                b for b in rows
                if (getattr(b, field) <= at if descending else getattr(b, field) >= at)
            ]  # fmt: skip
        top = min(int(query.get("$top", self.default_top)), MOST)
        headers = {}
        if len(rows) > top:
            following = getattr(rows[top], field)
            headers = {"x-ms-continuationtoken": written(following)}
        shown = [b for b in rows[:top] if b.id not in self.hidden]
        found = [self._spoil(self.shown(b), b.id) for b in shown]
        return 200, {"count": len(found), "value": found}, headers

    def _is_within(self, lower: datetime, upper: datetime) -> bool:
        return lower <= upper if self.inclusive else lower < upper

    def _fits(self, build: Build, query: dict[str, str]) -> bool:
        def among(key: str, value: object) -> bool:
            return key not in query or str(value) in query[key].split(",")

        deleted = query.get("deletedFilter", "excludeDeleted")
        return (
            (build.visible_from is None or build.visible_from <= self.world.now)
            and among("definitions", build.definition)
            and among("statusFilter", build.status)
            and among("resultFilter", build.result)
            and among("branchName", build.branch)
            and among("buildIds", build.id)
            and query.get("requestedFor", ADA["displayName"]) == build.who["displayName"]
            and deleted != ("excludeDeleted" if build.deleted else "onlyDeleted")
        )

    def shown(self, build: Build) -> Json:
        world = self.world
        project = {"id": world.project_id, "name": world.project, "state": "wellFormed"}
        raw = {
            "_links": {"web": {"href": f"https://elsewhere.example/{build.id}"}},
            "id": build.id,
            "buildNumber": build.number,
            "status": build.status,
            "result": build.result,
            "queueTime": written(build.queued),
            "startTime": build.started and written(build.started),
            "finishTime": build.finished and written(build.finished),
            "url": f"{ROOT}/_apis/build/Builds/{build.id}",
            "definition": {
                "id": build.definition,
                "name": world.definitions[build.definition],
                "path": "\\team",
                "type": "build",
                "revision": 4,
                "queueStatus": "enabled",
                "project": project,
            },
            "project": project,
            "uri": f"vstfs:///Build/Build/{build.id}",
            "sourceBranch": build.branch,
            "sourceVersion": build.sha,
            "queue": {"id": 9, "name": "Azure Pipelines", "pool": {"id": 9, "name": "Azure"}},
            "priority": "normal",
            "reason": build.reason,
            "requestedFor": build.who,
            "requestedBy": build.who,
            "lastChangedDate": written(build.changed),
            "lastChangedBy": build.who,
            "parameters": json.dumps({"password": SECRET}),
            "templateParameters": {"password": SECRET},
            "orchestrationPlan": {"planId": build.timeline},
            "logs": {"id": 0, "type": "Container"},
            "repository": {"id": "fabrikam/fiber", "type": "GitHub"},
            "triggerInfo": build.trigger,
            "tags": list(build.tags),
            "validationResults": [{"result": "error", "message": build.invalid}]
            if build.invalid
            else [],
            "retainedByRelease": False,
            "triggeredByBuild": {"id": build.upstream} if build.upstream else None,
        }
        return {key: value for key, value in raw.items() if value is not None}

    def _spoil(self, raw: Json, key: object) -> Any:
        spoil = self.world.spoilt.get(key)
        return spoil(raw) if spoil else raw

    def _timeline(self, build: Build, timeline: str, records: list[Record]) -> Json:
        rows = [self.record(build, record) for record in records]
        random.shuffle(rows)
        return {"id": timeline, "changeId": 30, "records": rows, "lastChangedOn": None}

    def record(self, build: Build, record: Record) -> Json:
        where = f"{ROOT}/_apis/build/builds/{build.id}/logs/{record.log}"
        log = {"id": record.log, "type": "Container", "url": where} if record.log else None
        task = {"id": "t", "name": "CmdLine", "version": "2.2"} if record.kind == "Task" else None
        raw = {
            "id": record.id,
            "parentId": record.parent,
            "type": record.kind,
            "name": record.name,
            "startTime": record.start and written(record.start),
            "finishTime": record.finish and written(record.finish),
            "currentOperation": None,
            "percentComplete": 100 if record.state == "completed" else None,
            "state": record.state,
            "result": record.result,
            "resultCode": None,
            "changeId": 12,
            "lastModified": "0001-01-01T00:00:00",
            "workerName": record.worker,
            "order": record.order,
            "details": None,
            "errorCount": len(record.issues),
            "warningCount": 0,
            "url": None,
            "log": log,
            "task": task,
            "attempt": record.attempt,
            "identifier": record.identifier,
            "previousAttempts": record.previous,
        }
        return raw | ({"issues": record.issues} if record.issues else {})

    def _log(self, build: Build, log: str) -> Answer:
        records = [*build.records, *(r for rows in build.earlier.values() for r in rows)]
        for record in records:
            if str(record.log) == log:
                lines = [f"log {log} of {build.id}", "done"]
                return 200, {"count": len(lines), "value": lines}, {}
        raise RefusalError(404, f"The requested log {log} could not be found.")

    # Definitions.

    def _definitions(self, query: dict[str, str]) -> Answer:
        _check(query, dict.fromkeys(["$top", "continuationToken", "queryOrder", "api-version"]))
        names = sorted(self.world.definitions.items(), key=lambda item: item[1])
        top, first = int(query.get("$top", 10_000)), int(query.get("continuationToken", 0))
        rows = [{"id": n, "name": name, "path": "\\team"} for n, name in names][first:][:top]
        more = {"x-ms-continuationtoken": str(first + top)} if first + top < len(names) else {}
        return 200, {"count": len(rows), "value": rows}, more

    def _definition(self, number: str) -> Json:
        if not number.isdigit() or int(number) not in self.world.definitions:
            raise RefusalError(404, f"TF215004: definition {number} does not exist")
        branch = self.world.default_branches.get(int(number))
        repository = {"id": "fabrikam/fiber", "type": "GitHub", "defaultBranch": branch}
        variables = {"password": {"value": SECRET}}
        name = self.world.definitions[int(number)]
        return {
            "id": int(number), "name": name, "repository": repository, "variables": variables
        }  # fmt: skip

    # What changes something.

    def _queued(self, body: Json) -> Build:
        self.bodies.append(body)
        known = {"definition", "sourceBranch", "sourceVersion", "parameters"}
        if set(body) - known or body.get("definition", {}).get("id") not in self.world.definitions:
            raise RefusalError(400, "TF215004: the definition is not valid")
        build = self.world.queue(definition=body["definition"]["id"], reason="manual")
        build.branch = body.get("sourceBranch", "refs/heads/main")
        build.sha = body.get("sourceVersion", build.sha)
        return build

    def _cancelled(self, build: Build, body: Json) -> Build:
        self.bodies.append(body)
        if body != {"status": "cancelling"}:
            raise RefusalError(400, "only a status can be changed here")
        if build.status == "completed":
            raise RefusalError(400, "The build is completed already.")
        build.status, build.changed = "cancelling", self.world.now
        return build


def written(when: datetime) -> str:
    """A time as the service writes it."""
    digits = f"{when.microsecond:06}0".rstrip("0")
    return f"{when:%Y-%m-%dT%H:%M:%S}{'.' + digits if digits else ''}Z"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _check(query: dict[str, str], known: dict[str, set[str] | None]) -> None:
    for key, value in query.items():
        if key not in known:
            raise RefusalError(400, f"{key} is not known")
        allowed = known[key]
        if allowed is not None and set(value.split(",")) - allowed:
            raise RefusalError(400, f"{value} is not valid for {key}")
        if key == "$top" and not (value.isdigit() and int(value) > 0):
            raise RefusalError(400, f"{value} is not valid for $top")


def _token(header: str | None) -> str | None:
    """The token of a Basic header with an empty name."""
    kind, _, text = (header or "").partition(" ")
    if kind != "Basic":
        return None
    name, _, token = base64.b64decode(text).decode().partition(":")
    return token if name == "" else None


def _handler(simulator: AzureSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(AnsweringHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._answer(json.loads(self.rfile.read(length) or b"{}"))

        do_PATCH = do_POST  # noqa: N815

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
                token = _token(self.headers.get("Authorization"))
                try:
                    status, found, headers = simulator.answer(asked, body, token)
                except RefusalError as refusal:
                    status, found, headers = refusal.status, refusal.body, {}
                text = found if isinstance(found, str) else json.dumps(found)
                return self._send(status, text, headers)

        def _send(self, status: int, text: str, headers: dict[str, str]) -> None:
            kind = {"Content-Type": "application/json; charset=utf-8"}
            more = kind | simulator.extra_headers | headers
            self.answer_with(status, text, more, simulator.world.now)

    return Handler
