"""Whatever a provider sends is read, or refused by name: never a crash, never a wrong value."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from runsync.records import (
    UNEXPLAINED,
    Pipeline,
    Run,
    RunWithSteps,
    Status,
    Step,
    parse_time,
)
from runsync.sources.fields import (
    BadRowError,
    Fields,
    map_ending,
    map_status,
    raw_word,
    storable,
    storable_json,
    unique_by_id,
)
from runsync.sources.wercker.source import read_run, read_step
from runsync.sources.wercker.words import ENDINGS, STATUSES
from runsync.storage.models import PipelineRow
from runsync.storage.store import Batch
from tests.effort import effort
from tests.sources.settling import is_settled
from tests.storage.run_histories import as_fetched, new_pipeline
from tests.storage.test_store import opened, run_rows, step_rows, store_of

EPOCH = datetime(2024, 3, 1, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # surrogates and NUL too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
READERS = "text needed_text needed_id integer time needed_time child".split()


@given(JSON, st.sampled_from(READERS))
def test_a_field_is_read_or_refused_by_name(value: Any, reader: str) -> None:
    said, found = refusal(lambda: getattr(Fields({"key": value}, "run 7"), reader)("key"))
    storable_now(found if isinstance(found, str) else said)
    assert not said or said.startswith("run 7: `key`")
    assert len(said) < 200


def refusal(read: Callable[[], Any]) -> tuple[str, Any]:
    """What is said where a row is refused, and else what was read."""
    try:
        return "", read()
    except BadRowError as error:
        return str(error), None


def storable_now(text: str) -> None:
    assert "\x00" not in text
    text.encode()


@given(JSON)
def test_what_is_no_object_is_refused(value: Any) -> None:
    if not isinstance(value, dict):
        with pytest.raises(BadRowError, match="run 7: an object is due"):
            Fields(value, "run 7")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300, 1.5, 2**63, True, "7"])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(BadRowError, match="`n` must be a whole number"):
        Fields({"n": value}, "run").integer("n")


@pytest.mark.parametrize("value", [0, -1, 7.0, 2**62])
def test_a_whole_number_may_be_written_as_a_fraction(value: float) -> None:
    assert Fields({"n": value}, "run").integer("n") == value


def test_a_number_may_have_a_bound_of_its_column() -> None:
    with pytest.raises(BadRowError, match="`n` must be a whole number"):
        Fields({"n": 2**31}, "run").integer("n", largest=2**31 - 1)


@pytest.mark.parametrize("value", ["", " ", "a b", "..", ".", "a\nb", "é", "x" * 201, 5, None, []])
def test_what_cannot_be_an_id_is_refused(value: object) -> None:
    with pytest.raises(BadRowError, match="`id`"):
        Fields({"id": value}, "run").needed_id("id")


@given(
    st.datetimes(
        datetime(1, 1, 3),  # noqa: DTZ001
        datetime(9999, 12, 29),  # noqa: DTZ001
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_a_time_is_read_to_the_microsecond(when: datetime) -> None:
    assert Fields({"at": when.isoformat()}, "run").time("at") == when
    assert parse_time(when.isoformat()).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "2024-13-01T00:00:00Z",
        "\x00",
        "٢٠٢٤-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadRowError, match="`at` must be a time with its zone"):
        Fields({"at": text}, "run").time("at")


def test_what_is_null_or_absent_is_none() -> None:
    fields = Fields({"a": None}, "run")
    for key in ("a", "b"):
        assert [getattr(fields, name)(key) for name in ("text", "integer", "time", "child")] == [
            None
        ] * 4
        assert list(fields.objects(key)) == []


def test_the_rest_leaves_out_what_was_taken_and_nulls() -> None:
    raw = {"a": 1, "b": None, "c\x00": {"d": None, "\ud800": "\x00"}}
    assert Fields(raw, "run").rest({"a"}) == {"c\ufffd": {"d": None, "\ufffd": "\ufffd"}}


def test_what_is_nested_without_end_is_refused_by_name() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    with pytest.raises(BadRowError, match=r"run 7: .*nested too deep"):
        Fields({"deep": deep}, "run 7").rest(())


@given(ANY_TEXT)
def test_storable_text_is_that_text_where_it_can_be(text: str) -> None:
    found = storable(text)
    storable_now(found)
    assert len(found) == len(text)
    assert storable(found) == found
    assert all(a == b or b == "\ufffd" for a, b in zip(text, found, strict=True))


@given(JSON)
def test_storable_json_is_json(value: Any) -> None:
    text = json.dumps(storable_json(value), allow_nan=False, ensure_ascii=False)
    storable_now(text)


def test_of_rows_with_one_id_the_last_wins_in_the_place_of_the_first() -> None:
    steps = [step("a", 1), step("b", 2), step("a", 3)]
    assert unique_by_id(steps) == (steps[2], steps[1])


@given(st.sampled_from([*STATUSES, "odd", ""]), st.booleans(), st.booleans())
def test_a_word_that_nobody_knows_is_judged_by_the_times(
    word: str, started: bool, finished: bool
) -> None:
    at = EPOCH if started else None
    end = EPOCH if finished else None
    found = map_status(word, STATUSES, at, end)
    if word in STATUSES:
        assert found is STATUSES[word]
    else:
        assert (found is Status.FINISHED) == finished
        assert finished or (found is Status.RUNNING) == started


def test_the_providers_word_is_kept_where_it_is_another_one() -> None:
    assert raw_word("pendingapproval", Status.NOTSTARTED) == "pendingapproval"
    assert raw_word("running", Status.RUNNING) is None
    assert raw_word(None, Status.RUNNING) is None
    for word in ("splendid", None):
        assert map_ending(word, ENDINGS, Status.FINISHED) is UNEXPLAINED


# Records.


def step(name: str, position: int, **fields: Any) -> Step:
    return Step(id=name, position=position, name=name, status=Status.FINISHED, **fields)


def test_a_clock_that_ran_back_gives_no_duration() -> None:
    run = Run(
        pipeline=Pipeline("p"),
        id="r",
        created_at=EPOCH,
        started_at=EPOCH - timedelta(microseconds=1),
        finished_at=EPOCH + timedelta(microseconds=2999),
        status=Status.FINISHED,
    )
    assert run.queued_ms is None
    assert run.duration_ms == 3


def details(age: timedelta, *steps: Step, **fields: Any) -> RunWithSteps:
    told: dict[str, Any] = {"finished_at": EPOCH, "status": Status.FINISHED}
    run = Run(pipeline=Pipeline("p"), id="r", created_at=EPOCH, **told | fields)
    return RunWithSteps(run, steps, EPOCH + age)


TEN = timedelta(minutes=10)
RUNNING = {"status": Status.RUNNING, "finished_at": None}


def test_a_run_settles_ten_minutes_after_its_finish_with_all_its_steps() -> None:
    assert is_settled(details(TEN, step("a", 1)))
    assert not is_settled(details(TEN - timedelta(seconds=1), step("a", 1)))
    assert not is_settled(details(timedelta(days=9), **RUNNING))
    open_step = Step(id="a", position=1, name="a", status=Status.RUNNING)
    assert not is_settled(details(TEN, open_step))
    assert is_settled(details(timedelta(days=1), open_step))
    without_end = {"finished_at": None}
    late = step("a", 1, finished_at=EPOCH + TEN)
    assert not is_settled(details(TEN, late, **without_end))
    assert is_settled(details(2 * TEN, late, **without_end))


def test_a_finish_whose_time_nobody_tells_is_waited_for_a_day() -> None:
    """The run may have been created long before it was aborted, a moment ago."""
    without_end = {"finished_at": None}
    assert not is_settled(details(2 * TEN, **without_end))
    assert not is_settled(details(2 * TEN, step("a", 1), **without_end))
    assert is_settled(details(timedelta(days=1), step("a", 1), **without_end))


# From the provider's JSON through the database and back.

RAW_RUN = st.fixed_dictionaries(
    {
        "status": st.sampled_from([*STATUSES, "odd"]),
        "createdAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "message": ANY_TEXT,
    },
    optional={
        "result": st.sampled_from([*ENDINGS, "odd"]),
        "branch": ANY_TEXT,
        "commitHash": st.none() | ANY_TEXT,
        "startedAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "finishedAt": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "progress": st.none() | st.integers(-5, 2**31 - 1),
        "user": st.dictionaries(st.sampled_from(["name", "avatar", "x"]), ANY_TEXT),
        "odd": JSON,
        "\ud800\x00": JSON,
    },
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@effort(60)
@given(raw=RAW_RUN, name=ANY_TEXT, extra=JSON)
def test_what_came_is_what_is_stored(
    request: pytest.FixtureRequest, kind: str, raw: dict[str, Any], name: str, extra: Any
) -> None:
    database = opened(request, kind)
    named = Pipeline(new_pipeline().external_id, storable(name) or None)
    run = read_run(raw | {"id": "r"}, named, "http://ci", details=True)
    read = read_step({"id": "s", "status": "odd", "step": name, "odd": extra}, 1)
    store_of(database, named).save(Batch([as_fetched(RunWithSteps(run, (read,), EPOCH))]))
    row = run_rows(database, named)["r"]
    for column in (
        "branch commit_hash message author status result raw_status raw_result progress created_at "
        "started_at finished_at queued_ms duration_ms number event outcome web_url"
    ).split():
        assert row[column] == getattr(run, column)
    assert row["message"] == storable(raw["message"])
    assert as_floats(row["extra"] or {}) == as_floats(run.extra)
    stored = step_rows(database, named)["r", "s"]
    assert stored["name"] == read.name
    assert as_floats(stored["extra"] or {}) == as_floats(read.extra)
    with database.read() as connection:
        query = select(PipelineRow.name).where(PipelineRow.external_id == named.external_id)
        assert connection.execute(query).scalar() == (named.name or named.external_id)


def as_floats(value: Any) -> Any:
    """JSON with its large numbers as fractions: PostgreSQL writes 1e300 as a whole number."""
    if isinstance(value, dict):
        return {key: as_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_floats(inner) for inner in value]
    is_large = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > 2**53
    return float(value) if is_large else value


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_megabyte_is_stored(request: pytest.FixtureRequest, kind: str) -> None:
    database = opened(request, kind)
    pipeline = new_pipeline()
    text = "a🚀\x1b\u202e" * 200_000
    raw = {"id": "r", "status": "finished", "createdAt": EPOCH.isoformat(), "message": text}
    run = read_run(raw, pipeline, "http://ci", details=True)
    store_of(database, pipeline).save(Batch([as_fetched(RunWithSteps(run, (), EPOCH))]))
    assert run_rows(database, pipeline)["r"]["message"] == text


@given(JSON, st.sampled_from("id status createdAt progress user pipeline envVars odd".split()))
def test_a_row_of_wercker_is_read_or_refused_by_name(value: Any, key: str) -> None:
    good = {"id": "r", "status": "finished", "createdAt": EPOCH.isoformat()}
    raw = good | {key: value}
    said, _ = refusal(lambda: read_run(raw, Pipeline("p"), "http://ci", details=True))
    assert not said or said.startswith("run ")
    storable_now(said)


@given(JSON, st.sampled_from("id status order step displayName createdAt odd".split()))
def test_a_step_of_wercker_is_read_or_refused_by_name(value: Any, key: str) -> None:
    said, _ = refusal(lambda: read_step({"id": "s", "status": "finished", key: value}, 1))
    assert not said or said.startswith("step ")
    storable_now(said)
