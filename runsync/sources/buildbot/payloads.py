"""What Buildbot's answers say, as records, and its forms. Nothing here asks for anything.

A run is one attempt at a build request: the request's own fields tell when it was asked for, its
builds how each attempt went, first attempts first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from runsync.errors import RefusedError
from runsync.records import Pipeline, Run, Status, Step
from runsync.sources.base import TriggerRequest
from runsync.sources.buildbot.words import ENDINGS, NAMES, RETRY
from runsync.sources.fields import (
    BadRowError,
    Fields,
    state_of,
    storable,
    storable_json,
)

# No other property is asked for, since any may hold a secret.
PROPERTIES = "branch revision got_revision owner owners reason scheduler workername".split()
_REQUEST_IDS = "builderid buildrequestid buildsetid".split()
_BUILD_IDS = "buildid number".split()
_BUILD_EXTRA = "workerid masterid state_string locks_duration_s".split()
_STEP_COLUMNS = frozenset(
    "stepid number name buildid started_at complete complete_at results".split()
)


def read_attempts(
    request: Fields, builds: Sequence[object], pipeline: Pipeline, web: str
) -> list[Run]:
    """The runs of a build request, oldest first: one for each build, and one that has none yet,
    or never got one.

    Args:
        builds: the request's builds, oldest first.
        web: the address of Buildbot's web pages.

    Raises:
        BadRowError: a field is not what is due.
    """
    at = needed_time(request, "submitted_at")
    runs: list[Run] = []
    for raw in builds:
        build = Fields(raw, f"a build of {request.what}")
        runs.append(_read_run(request, build, pipeline, len(runs) + 1, at, web))
        at = runs[-1].finished_at or at
    if waits(builds):
        runs.append(_read_run(request, None, pipeline, len(runs) + 1, at, web))
    return runs


def waits(builds: Sequence[object]) -> bool:
    """Whether a request with these builds waits for one, or was given up while it did.

    A build that is to be tried again puts its request back into the queue.
    """
    return not builds or whole(builds[-1], "results") == RETRY


def _read_run(
    request: Fields, build: Fields | None, pipeline: Pipeline, attempt: int, at: datetime, web: str
) -> Run:
    """The attempt that began to wait ``at`` a time; without a build it waits, or waited."""
    told = build or request
    finished_at, properties = _time(told, "complete_at"), _properties(told)
    status = _status(build is not None, finished_at)
    # Further requests are built from these numbers, so they are checked.
    ids = {key: needed(request, key) for key in _REQUEST_IDS}
    ids |= {key: needed(build, key) for key in _BUILD_IDS} if build else {}
    number = ids["buildrequestid"]
    page = f"buildrequests/{number}"
    if build:
        page = f"builders/{ids['builderid']}/builds/{ids['number']}"
    extra = {"waited_for": request.raw.get("waited_for")}
    extra |= {key: build.raw.get(key) for key in _BUILD_EXTRA} if build else {}
    extra |= {key: properties.get(key) for key in ("scheduler", "workername")}
    return Run(
        pipeline=pipeline,
        id=f"{number}.{attempt}" if attempt > 1 else f"{number}",
        attempt=attempt,
        created_at=at,
        started_at=_time(build, "started_at") if build else None,
        finished_at=finished_at,
        number=str(ids["number"]) if build else None,
        event=_event(request, properties),
        branch=_text(properties.get("branch")),
        commit_hash=_text(properties.get("revision")) or _text(properties.get("got_revision")),
        message=_text(properties.get("reason")),
        author=_author(properties),
        url=f"{web}/{page}",
        web_url=f"{web}/{page}",
        extra=ids | {key: storable_json(value) for key, value in extra.items() if value},
        **_state(told, status),
    )


def read_step(raw: object, worker: str | None = None) -> Step:
    """One step of a build, on its worker. There is none before it begins."""
    fields = Fields(raw, f"step {whole(raw, 'stepid')}")
    started_at, finished_at = _time(fields, "started_at"), _time(fields, "complete_at")
    locked = fields.raw.get("locks_acquired_at") != fields.raw.get("started_at")
    columns = _STEP_COLUMNS if locked else _STEP_COLUMNS | {"locks_acquired_at"}
    return Step(
        id=str(needed(fields, "stepid")),
        position=needed(fields, "number"),
        name=fields.text("name") or "(unnamed)",
        runner=worker,
        started_at=started_at,
        finished_at=finished_at,
        extra={key: value for key, value in fields.rest(columns).items() if value},
        **_state(fields, _status(started_at is not None, finished_at)),
    )


def read_builder(raw: object, web: str) -> Pipeline:
    """A builder. It goes by its name, as in Buildbot itself: one with a new name is a new one."""
    fields = Fields(raw, "a builder")
    number, name = needed(fields, "builderid"), fields.needed_text("name")
    extra = {"builderid": number, "tags": storable_json(fields.raw.get("tags") or [])}
    return Pipeline(name, name, f"{web}/builders/{number}", extra=extra)


def read_source(buildset: Fields) -> tuple[str | None, str | None]:
    """Branch and commit of what was to be built; of several codebases neither, as with builds."""
    stamps = list(buildset.objects("sourcestamps"))
    if len(stamps) != 1:
        return None, None
    return _text(stamps[0].text("branch")), _text(stamps[0].text("revision"))


def read_scheduler(fields: Fields) -> tuple[str, list[str], dict[str, Fields]]:
    """A force scheduler: its name, the builders that it starts, and its form's fields by name."""
    starts = fields.raw.get("builder_names") if fields.raw.get("enabled") else None
    form = {
        name: field
        for field in _leaves(fields.objects("all_fields"))
        if (name := field.text("fullName")) and field.raw.get("type") != "fixed"
    }
    return fields.needed_text("name"), list(starts or ()), form


def _leaves(form: Iterable[Fields]) -> Iterator[Fields]:
    for field in form:
        if "fields" in field.raw:
            yield from _leaves(field.objects("fields"))
        else:
            yield field


def fill_form(scheduler: str, form: Mapping[str, Fields], wanted: TriggerRequest) -> dict[str, Any]:
    """What to send to a force scheduler, which passes over in silence what it has no field for.

    Raises:
        RefusedError: it has no field, or several, for something that is wanted.
    """
    asked = [("branch", wanted.branch), ("revision", wanted.commit), ("reason", wanted.message)]
    filled: dict[str, Any] = {}
    for name, value in [*asked, *wanted.env]:
        if value is None:
            continue
        places = [full for full, field in form.items() if name in (full, field.raw.get("name"))]
        if len(places) != 1:
            raise RefusedError(
                f"force scheduler {scheduler!r} has no field, or several, called {name!r}; "
                f"it has: {', '.join(form)}"
            )
        is_switch = form[places[0]].raw.get("type") == "bool"
        filled[places[0]] = value == "true" if is_switch else value
    return filled


def whole(raw: object, key: str) -> int | None:
    """A whole number of a row that need not be one."""
    value = raw.get(key) if isinstance(raw, dict) else None
    return value if isinstance(value, int) else None


def needed(fields: Fields, key: str) -> int:
    """A whole number that must be there."""
    value = fields.integer(key)
    if value is None:
        raise BadRowError(f"{fields.what}: `{key}` is missing")
    return value


def needed_time(fields: Fields, key: str) -> datetime:
    """A time that must be there."""
    return _from_epoch(fields, key, needed(fields, key))


def _time(fields: Fields, key: str) -> datetime | None:
    seconds = fields.integer(key)
    return None if seconds is None else _from_epoch(fields, key, seconds)


def _from_epoch(fields: Fields, key: str, seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRowError(f"{fields.what}: `{key}` is no time: {seconds}") from None


def _status(begun: bool, finished_at: datetime | None) -> Status:
    if finished_at:
        return Status.FINISHED
    return Status.RUNNING if begun else Status.NOTSTARTED


def _state(fields: Fields, status: Status) -> dict[str, Any]:
    """How something stands and how it ended: keywords of ``Run`` and of ``Step``."""
    number = fields.integer("results")
    # A request that is open has -1.
    word = None if number is None or number < 0 else NAMES.get(number, str(number))
    return state_of(status, None, word, ENDINGS)


def _event(request: Fields, properties: Mapping[str, Any]) -> str | None:
    """What started a run: only a force scheduler asks for a reason, and only what another build
    has triggered may be waited for. Else it goes by its scheduler's name."""
    if request.raw.get("waited_for"):
        return "upstream"
    if _text(properties.get("reason")):
        return "manual"
    return _text(properties.get("scheduler"))


def _properties(fields: Fields) -> dict[str, Any]:
    """The values of properties; each comes with what has set it."""
    sent = fields.child("properties")
    pairs = sent.raw.items() if sent else ()
    return {key: pair[0] for key, pair in pairs if isinstance(pair, list) and pair}


def _author(properties: Mapping[str, Any]) -> str | None:
    """Who asked for a run, or else whose changes it builds, if that is one person."""
    owners = properties.get("owners")
    one = owners[0] if isinstance(owners, list) and len(owners) == 1 else None
    return _text(properties.get("owner")) or _text(one)


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None
