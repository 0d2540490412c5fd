"""The contract, strictly: which addresses there are, what each accepts, and what it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any

from runsync.simulator.http.wire import TEXT_TYPE, Request, Response, phrase
from runsync.simulator.world.registry import FILTERS, Page, UnknownIdError, checked_id
from runsync.simulator.world.views import to_json
from runsync.simulator.world.world import AlreadyFinishedError, World

MAX_LIMIT = 20
DEFAULT_LIMIT = 10
"""What real answers hold without ``limit``; the contract says 20."""
MAX_BODY = 1 << 20
"""Bytes that a POST may have."""

CHOICES = {
    "sort": ("creationDateAsc", "creationDateDesc"),
    "status": ("notstarted", "started", "finished", "running"),
    "result": ("aborted", "unknown", "passed", "failed"),
}
OWNERS = ("applicationId", "pipelineId")
IDS = (*OWNERS, "sourceRun")
LIST_QUERY = {*OWNERS, "limit", "skip", "sort", *FILTERS}
TRIGGER_KEYS = {"pipelineId", "sourceRunId", "branch", "commitHash", "message", "envVars"}


class ApiError(Exception):
    """An answer that is an error; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self) -> Response:
        """The answer itself."""
        return error(self.status, str(self), **self.headers)


def error(status: int, message: str, **headers: str) -> Response:
    """An error in the service's own form; header names are written with ``_`` for ``-``."""
    body = to_json({"message": message, "error": phrase(status), "statusCode": status})
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, body, headers=named)


Handler = Callable[[World, Request, str], Response]
Route = tuple[re.Pattern[str], dict[str, tuple[str, Handler]]]
"""An address, and by method what it is called and who answers it."""


def answer(world: World, request: Request, token: str | None = None) -> Response:
    """The answer to ``request``; with a ``token``, only to those who send it."""
    try:
        _check_token(request, token)
        handler, wanted = _route(request)
        _check_query(request, LIST_QUERY if handler is list_runs else set())
        return handler(world, request, wanted)
    except ApiError as refused:
        return refused.response()
    except UnknownIdError as unknown:
        return error(404, str(unknown))


def _check_token(request: Request, token: str | None) -> None:
    sent = request.headers.get("authorization", "")
    if token is not None and not compare_digest(sent.encode(), f"Bearer {token}".encode()):
        raise ApiError(401, "Unauthorized", WWW_Authenticate="Bearer")


def _route(request: Request) -> tuple[Handler, str]:
    for pattern, methods in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and request.method in methods:
            wanted = found.groupdict().get("id", "")
            return methods[request.method][1], _id("id", wanted) if wanted else ""
        if found:
            raise ApiError(405, f"{request.method} is not allowed here", Allow=", ".join(methods))
    raise ApiError(404, "Not Found")


def endpoint_of(request: Request) -> tuple[str, str]:
    """The name of what is asked for, and the id in its address; empty where there is none."""
    for pattern, methods in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and request.method in methods:
            return methods[request.method][0], found.groupdict().get("id", "")
    return "", ""


def _check_query(request: Request, known: set[str]) -> None:
    for name in request.query:
        if name not in known:
            raise ApiError(400, f'"{name}" is not allowed')
        if name in request.repeated:
            raise ApiError(400, f'"{name}" must be given once')


def _id(name: str, text: str) -> str:
    try:
        return checked_id(text)
    except ValueError:
        raise ApiError(400, f'"{name}" must be 24 hexadecimal digits') from None


# -- asking


def list_runs(world: World, request: Request, _: str) -> Response:
    """GET /api/v3/runs."""
    return Response(body=world.list_body(read_page(request.query)))


def read_page(query: Mapping[str, str]) -> Page:
    """Which page of which listing a query asks for; ApiError (400) where it breaks the contract."""
    for name, value in query.items():
        _check_value(name, value)
    owners = [name for name in OWNERS if name in query]
    if len(owners) != 1:
        raise ApiError(400, 'exactly one of "applicationId" and "pipelineId" must be given')
    return Page(
        (owners[0], query[owners[0]]),
        {name: value for name, value in query.items() if name in FILTERS},
        ascending=query.get("sort") == "creationDateAsc",
        skip=_number(query, "skip", 0, at_least=1),
        limit=_number(query, "limit", DEFAULT_LIMIT, at_least=1, at_most=MAX_LIMIT),
    )


def _check_value(name: str, value: str) -> None:
    if not value:
        raise ApiError(400, f'"{name}" must not be empty')
    if name in CHOICES and value not in CHOICES[name]:
        raise ApiError(400, f'"{name}" must be one of {", ".join(CHOICES[name])}')
    if name in IDS:
        _id(name, value)


def _number(
    query: Mapping[str, str], name: str, default: int, at_least: int, at_most: int = 10**9
) -> int:
    if name not in query:
        return default
    text = query[name]
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ApiError(400, f'"{name}" must be an integer')
    if not at_least <= int(text) <= at_most:
        raise ApiError(400, f'"{name}" must lie between {at_least} and {at_most}')
    return int(text)


def get_run(world: World, request: Request, run_id: str) -> Response:
    """GET /api/v3/runs/:id."""
    return Response(body=to_json(world.run_payload(run_id)))


def get_steps(world: World, request: Request, run_id: str) -> Response:
    """GET /api/v3/runs/:id/steps."""
    return Response(body=world.steps_body(run_id))


def get_log(world: World, request: Request, step_id: str) -> Response:
    """GET /api/v3/runsteps/:id/log."""
    return Response(body=world.step_log(step_id).encode(), content_type=TEXT_TYPE)


# -- telling


def trigger(world: World, request: Request, _: str) -> Response:
    """POST /api/v3/runs/."""
    wish = read_trigger(request)
    run_id = world.trigger(
        wish["pipelineId"],
        branch=wish.get("branch"),
        commit=wish.get("commitHash"),
        message=wish.get("message"),
        source_run_id=wish.get("sourceRunId"),
        env_vars=[(pair["key"], pair["value"]) for pair in wish.get("envVars", ())],
    )
    return Response(body=to_json(world.trigger_payload(run_id)))


def read_trigger(request: Request) -> dict[str, Any]:
    """What a POST asks for; ApiError (400, 415) where it breaks the contract."""
    wish = _read_object(request)
    for key, value in wish.items():
        if key not in TRIGGER_KEYS:
            raise ApiError(400, f'"{key}" is not allowed')
        if key == "envVars":
            _check_env_vars(value)
        else:
            _check_string(key, value)
    if "pipelineId" not in wish:
        raise ApiError(400, '"pipelineId" is required')
    if "commitHash" in wish and "branch" not in wish:
        raise ApiError(400, '"commitHash" requires "branch"')
    for key in wish.keys() & {"pipelineId", "sourceRunId"}:
        _id(key, wish[key])
    return wish


def _read_object(request: Request) -> dict[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(415, "the body must be application/json")
    try:
        value = json.loads(request.body.decode())
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is no JSON") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be an object")
    return value


def _check_env_vars(value: object) -> None:
    if not isinstance(value, list):
        raise ApiError(400, '"envVars" must be an array')
    for pair in value:
        if not isinstance(pair, dict) or pair.keys() != {"key", "value"}:
            raise ApiError(400, '"envVars" must hold objects with "key" and "value"')
        _check_string("key", pair["key"])
        _check_string("value", pair["value"], may_be_empty=True)


def _check_string(key: str, value: object, *, may_be_empty: bool = False) -> None:
    if not isinstance(value, str):
        raise ApiError(400, f'"{key}" must be a string')
    if not value and not may_be_empty:
        raise ApiError(400, f'"{key}" must not be empty')
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ApiError(400, f'"{key}" must be text')


def abort(world: World, request: Request, run_id: str) -> Response:
    """PUT /api/v3/runs/:id/abort."""
    try:
        world.abort(run_id)
    except AlreadyFinishedError as over:
        raise ApiError(409, str(over)) from None
    return Response(body=to_json(world.run_payload(run_id)))


def _at(pattern: str, **methods: tuple[str, Handler]) -> Route:
    return re.compile(f"/api/v3/{pattern}"), methods


ROUTES: tuple[Route, ...] = (
    _at("runs", GET=("runs", list_runs), POST=("trigger", trigger)),
    _at("runs/", POST=("trigger", trigger)),
    _at("runs/(?P<id>[^/]+)", GET=("run", get_run)),
    _at("runs/(?P<id>[^/]+)/steps", GET=("steps", get_steps)),
    _at("runs/(?P<id>[^/]+)/abort", PUT=("abort", abort)),
    _at("runsteps/(?P<id>[^/]+)/log", GET=("log", get_log)),
)
ENDPOINTS = ("runs", "run", "steps", "log", "trigger", "abort")
"""The names of what can be asked for."""
