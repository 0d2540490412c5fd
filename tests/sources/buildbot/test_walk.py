"""A builder's listing is walked without a gap, whatever happens to it meanwhile."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from runsync.config import PipelineConfig
from runsync.errors import ConfigError, NotFoundError, SourceError
from runsync.http.client import RequestCounter
from runsync.records import Cursor, Problem
from runsync.sources.base import Listed, Page, ResumePoint
from runsync.sources.buildbot import source as buildbot
from runsync.sources.buildbot.source import Buildbot
from tests.sources.buildbot.farm import AWKWARD, RETRY, Farm, listing


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildbot, "PAGE_SIZE", 3)


def walked(
    source: Buildbot,
    builder: str,
    resume_point: ResumePoint | None = None,
    memory: dict[str, Any] | None = None,
) -> list[Page]:
    memory = {} if memory is None else memory
    return list(source.pages(listing(source, builder), resume_point, memory))


def items(pages: Iterable[Page]) -> list[Listed]:
    return [item for page in pages for item in page.items if isinstance(item, Listed)]


def ids(pages: Iterable[Page]) -> list[str]:
    return [item.run.id for item in items(pages)]


def test_pages_have_no_gap_while_requests_arrive_and_end(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 8)
    queued = [farm.force(name) for _ in range(3)]
    known = [str(request) for request in farm.requests(name)]
    pages = []
    for page in source.pages(listing(source, name), None, {}):
        pages.append(page)
        farm.force(name)
        if queued:
            farm.cancel(queued.pop())
    assert ids(pages) == known
    assert [page.at_start for page in pages] == [False] * 4 + [True]
    cursors = [item.cursor for item in items(pages)]
    assert cursors == sorted(cursors, reverse=True)
    assert len(set(cursors)) == len(cursors)


def test_deleted_requests_open_no_gap(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    numbers = farm.history(name, *[(0,)] * 9)[::-1]
    pages = source.pages(listing(source, name), None, {})
    found = [next(pages)]
    for number in (numbers[1], numbers[2], numbers[3]):
        farm.execute("DELETE FROM buildrequests WHERE id = ?", number)
    found += pages
    assert ids(found) == [str(n) for n in numbers if n != numbers[3]]


@pytest.mark.parametrize("place", [0, 1, 4, 5, 7])
def test_below_a_mark_all_is_found_the_mark_itself_too(
    farm: Farm, source: Buildbot, place: int
) -> None:
    name = farm.fresh_builder()
    farm.history(name, (0,), (RETRY, RETRY, 2), (), (0,), (RETRY, 0))
    every = items(walked(source, name))
    assert [item.run.attempt for item in every] == [2, 1, 1, 1, 3, 2, 1, 1]
    assert len({item.cursor for item in every}) == len(every)
    resume_point = items(walked(source, name, ResumePoint(every[place].cursor, 0)))
    cursors = {item.cursor for item in every[place:]}
    assert cursors <= {item.cursor for item in resume_point}


def test_below_a_time_all_is_found(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    farm.history(name, *[(0,)] * 5)
    every = items(walked(source, name))
    resume_point = ResumePoint(Cursor(every[2].cursor.at, ""), 0)
    assert ids(walked(source, name, resume_point)) == [item.run.id for item in every[2:]]


def test_several_codebases_make_short_pages_and_no_gap(farm: Farm, source: Buildbot) -> None:
    for _ in range(4):
        farm.force("codebases", "two", one_branch="main")
    pages = walked(source, "codebases")
    assert ids(pages) == [str(request) for request in farm.requests("codebases")]
    assert len(pages) > 2


def test_a_quiet_listing_takes_one_request(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    memory: dict[str, Any] = {}
    farm.history(name, (0,), (RETRY, 0), ())
    walked(source, name, memory=memory)
    tally = RequestCounter()
    with source.client.counting(tally):
        top = next(iter(source.pages(listing(source, name), None, memory)))
    assert (top.unchanged, top.items, tally.requests) == (True, (), 1)
    # Who goes on all the same gets the whole.
    assert ids(walked(source, name, memory=memory)[1:]) == ids(walked(source, name))


@pytest.mark.parametrize("change", ["new", "deleted"])
def test_a_listing_that_changed_is_not_quiet(farm: Farm, source: Buildbot, change: str) -> None:
    name = farm.fresh_builder()
    memory: dict[str, Any] = {}
    middle = farm.history(name, (0,), (0,), (0,))[1]
    walked(source, name, memory=memory)
    if change == "new":
        farm.history(name, (0,))
    else:
        farm.execute("DELETE FROM buildrequests WHERE id = ?", middle)
    assert not walked(source, name, memory=memory)[0].unchanged


def test_a_listing_with_a_run_under_way_is_not_quiet(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    memory: dict[str, Any] = {}
    farm.history(name, (0,))
    request = farm.force(name)
    for _ in range(2):
        assert not walked(source, name, memory=memory)[0].unchanged
    farm.cancel(request)
    assert not walked(source, name, memory=memory)[0].unchanged
    assert walked(source, name, memory=memory)[0].unchanged


def test_the_start_is_looked_for_once(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    memory: dict[str, Any] = {}
    farm.history(name, *[(0,)] * 4)
    assert [page.at_start for page in walked(source, name, memory=memory)] == [False, False, True]
    farm.history(name, (0,))
    pages = walked(source, name, memory=memory)
    assert [(len(page.items), page.at_start) for page in pages] == [(3, False), (2, True)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("properties", [1]), ("buildid", "../../elsewhere"), ("started_at", 10**20), ("number", None)],
)
def test_a_row_that_cannot_be_read_leaves_a_hole(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch, field: str, value: object
) -> None:
    name = farm.fresh_builder()
    numbers = farm.history(name, *[(0,)] * 5)[::-1]
    ask = source._api.ask

    def spoiled(path: str, key: str, params: Any = None) -> Any:
        rows, as_of = ask(path, key, params)
        for row in rows:
            if row.get("buildrequestid") == numbers[1]:
                row["submitted_at"] = "yesterday"
            if key == "builds" and row["buildrequestid"] == numbers[3]:
                row[field] = value
        return rows, as_of

    monkeypatch.setattr(source._api, "ask", spoiled)
    found = [item for page in walked(source, name) for item in page.items]
    lost = [(i, item.what) for i, item in enumerate(found) if isinstance(item, Problem)]
    assert [place for place, _ in lost] == [1, 3]
    assert all(str(numbers[place]) in what for place, what in lost)
    assert [i.run.id for i in found if isinstance(i, Listed)] == [
        str(numbers[n]) for n in (0, 2, 4)
    ]


def test_a_page_without_ids_is_no_endless_walk(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def senseless(path: str, key: str, params: Any = None) -> Any:
        rows: list[Any] = [{"builderid": 1, "name": "b"}] if key == "builders" else [None, {}]
        return rows, datetime.now(UTC)

    monkeypatch.setattr(source._api, "ask", senseless)
    with pytest.raises(SourceError, match="no request that has an id"):
        walked(source, "b")


def test_a_builder_without_runs(farm: Farm, source: Buildbot) -> None:
    (page,) = walked(source, "idle")
    assert (page.items, page.at_start) == ((), True)


@pytest.mark.parametrize("name", [AWKWARD, "2"])
def test_a_builder_by_its_name_or_its_number(farm: Farm, source: Buildbot, name: str) -> None:
    farm.history(name, (0,))
    assert ids(walked(source, name)) == [str(request) for request in farm.requests(name)]
    pipelines = {item.run.pipeline.external_id for item in items(walked(source, name))}
    assert pipelines == {name}


def test_a_number_is_a_builders_where_no_name_is_the_same(farm: Farm, source: Buildbot) -> None:
    name = farm.fresh_builder()
    (request,) = farm.history(name, (0,))
    (run,) = [item.run for item in items(walked(source, str(farm.builder(name))))]
    assert (run.id, run.pipeline.external_id) == (str(request), name)


def test_an_unknown_builder_is_named_with_the_nearest(farm: Farm, source: Buildbot) -> None:
    with pytest.raises(NotFoundError, match=r"no builder 'slo'; did you mean 'slow'\?"):
        walked(source, "slo")
    with pytest.raises(NotFoundError, match="no builder '99999'"):
        walked(source, "99999")


def test_a_new_builder_is_found_by_asking_again(
    farm: Farm, source: Buildbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked(source, "idle")
    monkeypatch.setattr(source._api, "_builders", {"other": source._api.builder("idle")})
    assert walked(source, "idle")


def test_the_builders_are_asked_for_once(farm: Farm, source: Buildbot) -> None:
    tally = RequestCounter()
    with source.client.counting(tally):
        walked(source, "idle")
        walked(source, "idle")
    assert tally.requests == 3


def test_only_an_id_names_a_listing(source: Buildbot) -> None:
    with pytest.raises(ConfigError, match="write `id`, a builder's name"):
        source.listing(PipelineConfig("bot", repository="a/b"))
    one = source.listing(PipelineConfig("bot", id=AWKWARD, name="mine"))
    assert (one.key, one.label) == (f"bot/builder/{AWKWARD}", "mine")
    assert [pipeline.external_id for pipeline in one.pipelines] == [AWKWARD]
