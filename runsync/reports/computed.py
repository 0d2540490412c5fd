"""Columns that the views have not, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runsync.storage.tables import runs, v_runs, v_steps

# A step has a creation time of its own, so the run's goes by another name, in both views.
RUN_CREATED_AT = {
    v_runs: v_runs.c.created_at.label("run_created_at"),
    v_steps: v_steps.c.run_created_at,
}
# The key of a run's next attempt: `<id>.2` after `<id>`, `<id>.3` after `<id>.2`.
_ID, _ATTEMPT = v_runs.c.id, sa.cast(v_runs.c.attempt, sa.Text)
_FIRST_ID = sa.func.substr(_ID, 1, sa.func.length(_ID) - sa.func.length(_ATTEMPT) - 1)
_NEXT_ID = sa.case(
    (v_runs.c.attempt == 1, _ID), (_ID.endswith(sa.literal(".").op("||")(_ATTEMPT)), _FIRST_ID)
).op("||")("." + sa.cast(v_runs.c.attempt + 1, sa.Text))
_NEXT = sa.alias(runs).c
_IS_NEXT = (_NEXT.pipeline_id == v_runs.c.pipeline_id) & (_NEXT.id == _NEXT_ID)
_HAS_NEXT_ID = sa.select(sa.literal_column("1")).where(_IS_NEXT).exists()
_RETRIED = sa.cast(v_steps.c.extra["retried"].as_string(), sa.Text)
COMPUTED: Mapping[str, Mapping[sa.Table, sa.ColumnElement[Any]]] = {
    "run_created_at": RUN_CREATED_AT,
    "is_failed_by_error": {v_runs: v_runs.c.is_failed * v_runs.c.is_error},
    # Where a provider retries a step within its run, its source says so of all tries but the last.
    "was_retried": {v_steps: sa.case((_RETRIED.in_(["true", "1"]), 1), else_=0).label("retried")},
}


def is_superseded(
    since: datetime | None, pipeline_ids: Sequence[int] | None
) -> sa.ColumnElement[int]:
    """1 for a run that has a later attempt, by its id or, where each attempt has an id of its own,
    by the number that attempts then share within their pipeline.

    Those few are listed once, not for each run.

    Args:
        since, pipeline_ids: what is known of the runs in question; None: nothing. A later attempt
            is of the same pipeline and no older.
    """
    numbered = sa.select(_NEXT.pipeline_id, _NEXT.number, _NEXT.attempt - 1)
    numbered = numbered.where(_NEXT.attempt > 1, _NEXT.number.is_not(None))
    if since is not None:
        numbered = numbered.where(_NEXT.created_at >= since)
    elif pipeline_ids is not None:
        numbered = numbered.where(_NEXT.pipeline_id.in_(pipeline_ids))
    run = v_runs.c
    has_next = sa.tuple_(run.pipeline_id, run.number, run.attempt).in_(numbered)
    return sa.case((_HAS_NEXT_ID | has_next, 1), else_=0).label("is_superseded")


SAME_IN_WORDS: Mapping[str, sa.ColumnElement[bool]] = {
    "run_is_aborted": v_steps.c.run_result == "aborted",
}
"""What a flag implies of a run's own column: with it SQLite starts from the few runs that fit, not
from all steps."""

IS_ABORTED = (v_runs.c.is_aborted == 1) & (v_runs.c.result == "aborted")
"""The same of runs."""

_DURATION = v_runs.c.extra["duration"]
_DURATION_MS = sa.func.round(sa.cast(_DURATION.as_string(), sa.Float) * 1000)
_IS_NUMBER: Mapping[str, sa.ColumnElement[bool]] = {
    "sqlite": sa.func.json_type(v_runs.c.extra, "$.duration").in_(["integer", "real"]),
    "postgresql": sa.func.jsonb_typeof(_DURATION) == "number",
}
BUSY_MS = {
    dialect: sa.case((is_number, sa.cast(_DURATION_MS, sa.BigInteger))).label("busy_ms")
    for dialect, is_number in _IS_NUMBER.items()
}
"""What the provider itself calls a run's duration, in seconds, as milliseconds."""
