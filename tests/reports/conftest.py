"""The clock of the reports stands still at a known time."""

from datetime import datetime

import pytest

from tests.reports.database_rows import at


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """100 days after the first Monday of the tests; the reports take it for the present."""
    when = at(100)
    monkeypatch.setattr("runsync.reports.query_spec._now", lambda: when)
    return when
