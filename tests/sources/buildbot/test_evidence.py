"""What an answer of Buildbot's proves, and how few requests open runs take."""

from dataclasses import replace
from typing import Any

import pytest

from runsync.errors import NotFoundError, RefusedError, SourceError
from runsync.http.client import Response
from runsync.records import Pipeline, Problem
from runsync.sources.base import Discovered, Page
from runsync.sources.buildbot import source as buildbot
from runsync.sources.buildbot.source import Buildbot
from runsync.storage.database import Database
from tests.sources.buildbot.farm import Farm, listing
from tests.sources.buildbot.test_sync import run
from tests.sources.buildbot.truth import stored, truth


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildbot, "PAGE_SIZE", 3)


@pytest.mark.usefixtures("small_pages")
def test_empty_answers_end_no_listing(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 9)
    honest = source._api.ask

    def ask(path: str, key: str, params: Any = None) -> Any:
        rows, as_of = honest(path, key, params)
        if key == "buildrequests" and "__lt" in str(params):
            return [], as_of
        return rows, as_of

    monkeypatch.setattr(source._api, "ask", ask)
    pages: list[Page] = []
    with pytest.raises(SourceError, match="suddenly empty"):
        pages += source.pages(listing(source, name), None, {})
    assert not any(page.at_start for page in pages)


@pytest.mark.usefixtures("small_pages")
def test_a_listing_that_ignores_its_bound_is_refused(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 9)
    honest = source._api.ask

    def ask(path: str, key: str, params: Any = None) -> Any:
        return honest(path, key, [pair for pair in params or [] if "__lt" not in pair[0]])

    monkeypatch.setattr(source._api, "ask", ask)
    with pytest.raises(SourceError, match="the same requests on page after page"):
        list(source.pages(listing(source, name), None, {}))


def test_a_builder_that_cannot_be_read_is_named_and_hides_no_other(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = farm.fresh_builder()
    honest = source._api.ask

    def ask(path: str, key: str, params: Any = None) -> Any:
        rows, as_of = honest(path, key, params)
        return ([None, {"builderid": 99_999}, *rows] if key == "builders" else rows), as_of

    monkeypatch.setattr(source._api, "ask", ask)
    found = list(source.discover())
    assert [one.what for one in found if isinstance(one, Problem)] == [
        "a builder: an object is due, null came",
        "a builder: `name` is missing",
    ]
    assert name in [one.value for one in found if isinstance(one, Discovered)]
    assert list(source.pages(listing(source, name), None, {}))
    # It may be the one that cannot be read.
    with pytest.raises(SourceError, match="`name` is missing") as caught:
        source._api.builder("another")
    assert not isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize("key", ["builds", "steps"])
def test_a_list_that_was_cut_is_no_whole_one(
    farm: Farm, source: Buildbot, sqlite: Database, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    name = farm.fresh_builder()
    farm.history(name, (0,), (0,))
    honest = source.client.get

    def cut(path: str, *args: Any, **options: Any) -> Response:
        answer = honest(path, *args, **options)
        if not path.endswith(f"/{key}"):
            return answer
        return replace(answer, data=answer.data | {key: answer.data[key][:-1]})

    monkeypatch.setattr(source.client, "get", cut)
    (outcome,) = run(sqlite, source, name)
    assert outcome.outcome in ("partial", "failed")
    assert "rows came where" in f"{outcome.cause} {outcome.problems}"
    monkeypatch.undo()
    (outcome,) = run(sqlite, source, name)
    assert outcome.outcome == "ok"
    assert stored(sqlite, name) == truth(farm, name)


@pytest.mark.proof
def test_many_queued_requests_take_few_requests(
    farm: Farm, source: Buildbot, sqlite: Database
) -> None:
    name = farm.fresh_builder()
    queued = [farm.force(name) for _ in range(230)]
    first = run(sqlite, source, name)[0]
    assert first.counts.runs_new == 230
    for _ in range(2):
        (outcome,) = run(sqlite, source, name)
        assert outcome.outcome == "ok"
        assert outcome.requests <= 20
    for request in queued:
        farm.cancel(request)


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "12.0", "-1"])
def test_what_is_no_id_is_refused_unasked(
    source: Buildbot, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source._api, "ask", None)
    for ask in (source.find_run, source.abort):
        with pytest.raises(RefusedError, match="no id of a Buildbot run"):
            ask(Pipeline(""), text)
