"""A default branch is asked for when it is first needed, and again a week later."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsync.sources.default_branch import DefaultBranch

NOW = datetime(2024, 5, 6, 23, 59, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("told", ["main", None])
def test_it_is_asked_for_once_a_week_and_kept_in_the_memory(told: str | None) -> None:
    asked: list[str | None] = []

    def ask() -> str | None:
        asked.append(told)
        return told

    memory: dict[str, Any] = {"etag": "x"}
    assert asked == []
    for hours in range(0, 6 * 24, 12):
        # Each sync makes a new one, of the memory that the last has left.
        assert DefaultBranch(memory, ask).at(NOW + timedelta(hours=hours)) == told
        assert asked == [told]
    assert DefaultBranch(memory, ask).at(NOW + 7 * DAY) == told
    assert asked == [told, told]
    assert memory["etag"] == "x"


def test_a_new_name_is_learnt() -> None:
    memory: dict[str, Any] = {}
    assert DefaultBranch(memory, lambda: "master").at(NOW) == "master"
    assert DefaultBranch(memory, lambda: "main").at(NOW + DAY) == "master"
    assert DefaultBranch(memory, lambda: "main").at(NOW + 8 * DAY) == "main"
