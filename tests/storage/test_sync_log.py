"""The log of syncs keeps what the design says, and nobody reads it whole."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from runsync.storage.database import Database
from runsync.storage.sync_log import Counts, LastSync, SyncLog, last_syncs
from runsync.storage.tables import syncs
from tests.effort import effort

START = datetime(2024, 3, 1, 22, 30, tzinfo=UTC)


def kept(database: Database, listing: str) -> list[tuple[datetime, str]]:
    query = select(syncs.c.started_at, syncs.c.outcome).where(syncs.c.listing == listing)
    with database.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(query.order_by(syncs.c.id))]


def wanted(all_of_them: list[tuple[datetime, str]], now: datetime) -> list[tuple[datetime, str]]:
    """Every sync of 30 days, and before that the last of each day and outcome."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    last = defaultdict(list)
    for at, outcome in all_of_them:
        last[at.date(), outcome].append(at)
    return [
        (at, outcome)
        for at, outcome in all_of_them
        if at >= midnight or at == last[at.date(), outcome][-1]
    ]


@effort(10)
@given(
    syncs_of=st.lists(
        st.tuples(st.integers(1, 40 * 24), st.sampled_from(["ok", "partial", "failed", "killed"])),
        min_size=1,
        max_size=40,
    )
)
def test_old_syncs_go_but_for_the_last_of_each_day_and_outcome(
    database: Database, syncs_of: list[tuple[int, str]]
) -> None:
    with database.write() as connection:
        connection.execute(delete(syncs))
    log, other = SyncLog(database, "ci", "ci/p"), SyncLog(database, "ci", "ci/other")
    other.begin(START - timedelta(days=400))
    now, begun = START, []
    for hours, outcome in syncs_of:
        now += timedelta(hours=hours / 4)
        number = log.begin(now)
        begun.append((now, "interrupted" if outcome == "killed" else outcome))
        if outcome != "killed":
            log.end(number, outcome, Counts(), 1, None)
    log.begin(now)
    assert kept(database, "ci/p")[:-1] == wanted(begun, now)
    assert len(kept(database, "ci/other")) == 1


def test_of_a_day_that_is_thirty_days_old_the_last_of_each_outcome_stays(sqlite: Database) -> None:
    midnight, day = START.replace(hour=0, minute=0), timedelta(days=1)
    log, other = SyncLog(sqlite, "ci", "ci/p"), SyncLog(sqlite, "ci", "ci/other")
    ended = [(0, "ok"), (9, "ok"), (10, "failed"), (23, "ok"), (24, "ok"), (25, "ok")]
    begun = [(midnight + timedelta(hours=hours), outcome) for hours, outcome in ended]
    for at, outcome in begun:
        for one in (log, other):
            one.end(one.begin(at), outcome, Counts(), 1, None)
    log.begin(midnight + 31 * day - timedelta(hours=1))
    assert kept(sqlite, "ci/p")[:-1] == begun
    log.begin(midnight + 31 * day)
    assert kept(sqlite, "ci/p")[:-2] == begun[2:]
    assert kept(sqlite, "ci/other") == begun


def test_the_last_sync_and_the_last_good_one_are_told(database: Database) -> None:
    for days, outcome, error in ((0, "ok", None), (1, "ok", None), (2, "failed", "503")):
        log = SyncLog(database, "ci", "ci/p")
        log.end(log.begin(START + timedelta(days=days)), outcome, Counts(), 1, error)
    SyncLog(database, "ci", "ci/p").begin(START + timedelta(days=3))
    other = SyncLog(database, "ci", "ci/other")
    other.end(other.begin(START + timedelta(days=4)), "ok", Counts(), 1, None)
    SyncLog(database, "ci", "ci/new").begin(START)
    with database.read() as connection:
        found = last_syncs(connection, ["ci/p", "ci/new", "ci/never"])
    assert found == {"ci/p": LastSync("failed", "503", START + timedelta(days=1))}


def test_no_question_about_syncs_reads_all_of_them(sqlite: Database) -> None:
    """The plan of each is a search in an index, never a scan of the table."""
    asked: list[str] = []
    with sqlite.read() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_trace_callback(asked.append)
        last_syncs(connection, ["ci/p"])
        raw.set_trace_callback(None)
        for sql in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
            assert all("SCAN" not in row[3] for row in plan), (sql, plan)
        assert connection.execute(select(func.count()).select_from(syncs)).scalar() == 0
