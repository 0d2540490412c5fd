"""Faults on order: which requests go wrong, how often, and how."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from runsync.simulator.http.fault_types import FAULT_TYPES, FaultContext, fault_type_named
from runsync.simulator.http.routes import ENDPOINTS, endpoint_of
from runsync.simulator.http.wire import Request, Response
from runsync.simulator.world.rng import seeded
from runsync.simulator.world.world import World

EVERYWHERE = "*"
OPTIONS: dict[str, Callable[[str], Any]] = {
    "every": int,
    "first": int,
    "after": int,
    "probability": float,
    "seed": int,
    "seconds": float,
    "run": str,
    "pipeline": str,
    "method": str,
    "path": str,
}
"""What may follow in the short form, and what each is."""


@dataclass(slots=True)
class Rule:
    """One fault: ``what`` happens at ``endpoint``, at all matching requests unless told otherwise.

    ``run``, ``pipeline``, ``method`` and ``path`` (with ``*``) narrow it down. Of the requests that
    match, the first ``after`` are spared; of the others ``first`` takes the first so many,
    ``every`` each n-th, ``probability`` (0 to 1, drawn from ``seed``) some. ``seconds`` is how long
    it lasts (of a status: what Retry-After says), ``url`` where a redirect leads, ``headers`` what
    is said besides, also by an ``honest`` answer. ``seen`` and ``hits`` count.
    """

    what: str
    endpoint: str = EVERYWHERE
    every: int | None = None
    first: int | None = None
    after: int = 0
    probability: float | None = None
    seed: int = 0
    seconds: float | None = None
    run: str | None = None
    pipeline: str | None = None
    method: str | None = None
    path: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0
    _rng: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if fault_type_named(self.what) is None:
            raise ValueError(_unknown("fault", self.what, FAULT_TYPES))
        if self.endpoint not in (EVERYWHERE, *ENDPOINTS):
            raise ValueError(_unknown("endpoint", self.endpoint, ENDPOINTS))
        if self.every is not None and self.every < 1:
            raise ValueError("every must be 1 or more")
        self._rng = seeded(self.seed)

    def applies(self, request: Request, world: World) -> bool:
        """Whether this request goes wrong; counts it if it is one of those that might."""
        if not self._matches(request, world):
            return False
        self.seen += 1
        applied = self._is_due(self.seen - self.after)
        self.hits += applied
        return applied

    def answer(self, request: Request, world: World, honest: Callable[[], Response]) -> Response:
        """What becomes of the honest answer."""
        kind = fault_type_named(self.what) or FAULT_TYPES["honest"]
        answer = kind(FaultContext(request, world, honest, self.seconds, self.url, self.hits))
        return replace(answer, headers=(*answer.headers, *self.headers.items()))

    def _is_due(self, number: int) -> bool:
        return (
            number > 0
            and (self.first is None or number <= self.first)
            and (self.every is None or number % self.every == 0)
            and (self.probability is None or self._rng.random() < self.probability)
        )

    def _matches(self, request: Request, world: World) -> bool:
        endpoint, wanted = endpoint_of(request)
        return (
            self.endpoint in (EVERYWHERE, endpoint)
            and self.method in (None, request.method)
            and (self.path is None or fnmatchcase(request.path, self.path))
            and (self.run is None or self.run == wanted)
            and (self.pipeline is None or self.pipeline == _pipeline_of(request, wanted, world))
        )


def _pipeline_of(request: Request, wanted: str, world: World) -> str | None:
    if wanted:
        return world.pipeline_of(wanted)
    if request.method == "POST":
        return _posted_pipeline(request)
    return request.query.get("pipelineId")


def _posted_pipeline(request: Request) -> str | None:
    try:
        found = json.loads(request.body)["pipelineId"]
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, str) else None


class Faults:
    """Rules in order; the first that applies decides. Without rules all answers are honest."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = list(rules)

    def add(self, what: str, endpoint: str = EVERYWHERE, **options: Any) -> Rule:
        """Add a rule, see ``Rule``; ValueError for a word that is not known."""
        rule = Rule(what, endpoint, **options)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """From now on all answers are honest."""
        self.rules.clear()

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Faults from their short form, such as ``500:steps:every=10,429:runs:first=2``.

        Each is ``what[:endpoint][:option=value]...``; ValueError names a word that is not known and
        the nearest one that is.
        """
        return cls(*(_parse_rule(part.strip()) for part in text.split(",") if part.strip()))

    def answer(self, request: Request, world: World, honest: Callable[[], Response]) -> Response:
        """The answer to ``request``: the honest one, or what the first rule that applies makes."""
        for rule in list(self.rules):
            if rule.applies(request, world):
                return rule.answer(request, world, honest)
        return honest()


def _parse_rule(text: str) -> Rule:
    what, *rest = text.split(":")
    endpoints = [part for part in rest if "=" not in part]
    if len(endpoints) > 1:
        raise ValueError(f"fault {text!r} names two endpoints, {' and '.join(endpoints)}")
    options = dict(_parse_option(part) for part in rest if "=" in part)
    return Rule(what, endpoints[0] if endpoints else EVERYWHERE, **options)


def _parse_option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in OPTIONS:
        raise ValueError(_unknown("fault option", name, OPTIONS))
    try:
        return name, OPTIONS[name](value)
    except ValueError:
        raise ValueError(f"fault option {name} must be a number, not {value!r}") from None


def _unknown(what: str, word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown {what} {word!r}: {hint}"
