"""Lists of what a token can see."""

from datetime import UTC, datetime

import pytest

from runsync.errors import SourceError
from runsync.http.client import Response
from runsync.records import Problem
from runsync.sources.discovery import rows_of_pages

NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


def pages(*answers: object, size: int = 2, linked: bool = False) -> list[object]:
    """``linked``: each page but the last names the next one."""

    def ask(number: int) -> Response:
        links = {"Link": '<https://x/?page=2>; rel="next"'} if number < len(answers) else {}
        return Response(200, links if linked else {}, answers[number - 1], NOW)

    return [*rows_of_pages(ask, lambda row: row.raw["id"], size, what="the projects")]


def rows(*ids: object) -> list[object]:
    return [{"id": id} for id in ids]


def test_pages_are_read_until_one_is_not_full() -> None:
    assert pages(rows(3, 2), rows(1)) == [3, 2, 1]
    assert pages(rows(3, 2), rows()) == [3, 2]
    assert pages(rows()) == []


def test_a_short_page_that_names_the_next_one_is_not_the_last() -> None:
    assert pages(rows(3), rows(2), rows(1), linked=True) == [3, 2, 1]
    with pytest.raises(SourceError, match="page 2 repeats what came before"):
        pages(rows(3), rows(3), rows(3), linked=True)


def test_what_slid_to_the_next_page_is_found_once() -> None:
    assert pages(rows(3, 2), rows(2, 1), rows()) == [3, 2, 1]


def test_a_server_that_takes_no_notice_of_the_page_is_no_loop() -> None:
    with pytest.raises(SourceError, match="page 2 repeats what came before"):
        pages(rows(3, 2), rows(3, 2), rows(3, 2))


@pytest.mark.parametrize("answer", [None, {}, "x"])
def test_what_is_no_list_is_an_error(answer: object) -> None:
    with pytest.raises(SourceError, match="the projects"):
        pages(answer)


def test_a_row_that_cannot_be_read_is_named_and_hides_no_other() -> None:
    what = "an entry of the projects: an object is due, null came"
    assert pages([{"id": 3}, None], rows(1)) == [3, Problem(what), 1]
