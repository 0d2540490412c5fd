"""What finished runs spent on their runners, added up by the database.

A run's time is that of its steps that ran; of a run without any such step its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from runsync.reports.columns import with_keys
from runsync.reports.local_time import can_group
from runsync.reports.query_spec import OF_STEPS, Query, keys_of_runs, keys_of_steps
from runsync.reports.statistics import Groups, tally
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_RUN = ("pipeline_id", "id")
_Made = Mapping[str, sa.ColumnElement[Any]]


def spent_time(reader: "Reader", query: Query, flags: Sequence[str]) -> pd.DataFrame:
    """The time of the query's finished runs, in rows that add up to it.

    Args:
        flags: columns of runs.

    Returns:
        rows with the query's keys, ``runner``, the flags, and ``ms``: how many milliseconds.
    """
    made, joined = _joined(reader, query, flags)
    names = dict.fromkeys([*flags, "runner", *reader.wanted(v_steps, query, ())])
    shown = {name: made[name] for name in names}
    if reader.backend.dialect_name == "sqlite" or not can_group(query):
        # SQLite would follow the key to group, and knows no time zones.
        alike = [made[name] for name in dict.fromkeys([*_RUN, *names])]
    else:
        alike = reader.alike(shown, query)
        if "run_created_at" in shown:
            shown["run_created_at"] = sa.func.min(shown["run_created_at"])
    ms = sa.func.coalesce(made["step_ms"], made["duration_ms"], 0)
    shown["ms"] = sa.type_coerce(sa.func.sum(ms), sa.BigInteger)
    return _rows(reader, query, shown, joined.group_by(*alike))


def spending_runs(reader: "Reader", query: Query) -> pd.DataFrame:
    """How many of the query's runs have finished, by its keys, as ``runs``.

    Where keys are of steps a run counts in each group in which a step of it ran.
    """
    if OF_STEPS.isdisjoint(query.keys):
        found = reader.counted(query, ["is_finished"], where=["is_finished"])
        return found.rename(columns={"is_finished": "runs"})
    made, joined = _joined(reader, query, ())
    names = dict.fromkeys([*_RUN, *reader.wanted(v_steps, query, ())])
    rows = _rows(reader, query, {name: made[name] for name in names}, joined.distinct())
    return tally(Groups(rows, [*query.keys, *_RUN]).keys, query.keys, rows="runs")


def _joined(reader: "Reader", query: Query, flags: Sequence[str]) -> tuple[_Made, sa.Select[Any]]:
    """Runs with what their steps that ran took by runner, ``step_ms``; that and all keys are null
    where there is none."""
    of_runs = replace(query, by=keys_of_runs(query.by), implied=())
    of_run = reader.wanted(v_runs, of_runs, [*_RUN, *flags, "duration_ms"])
    runs = reader.select(v_runs, query, of_run, ["is_finished"], quick=False)
    of_steps = replace(query, by=keys_of_steps(query.keys), implied=(), every=None)
    keys = reader.wanted(v_steps, of_steps, ["pipeline_id", "run_id", "runner"])
    # SQLite would rather follow the key, through all history, than the index of the window.
    is_bounded = reader.backend.dialect_name == "sqlite" and query.window.since is not None
    first = keys["pipeline_id"] + 0 if is_bounded else keys["pipeline_id"]
    step_ms = sa.type_coerce(sa.func.sum(v_steps.c.duration_ms), sa.BigInteger)
    steps = reader.select(v_steps, query, {**keys, "step_ms": step_ms}, ["ran"], quick=False)
    steps = steps.group_by(first, *(one for name, one in keys.items() if name != "pipeline_id"))
    run, step = runs.subquery("run"), steps.subquery("step")
    of = dict(zip([*keys, "step_ms"], step.c, strict=True))
    made = {**of, **dict(zip(of_run, run.c, strict=True))}
    is_same = (of["pipeline_id"] == made["pipeline_id"]) & (of["run_id"] == made["id"])
    return made, sa.select().select_from(run.outerjoin(step, is_same))


def _rows(reader: "Reader", query: Query, shown: _Made, joined: sa.Select[Any]) -> pd.DataFrame:
    columns = map(reader.quick, shown.values())
    return with_keys(reader.backend.fetch(joined.with_only_columns(*columns), shown), query)
