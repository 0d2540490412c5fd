"""What finished runs spent on their runners: the time of their steps that ran; of a run without any
such step its own time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from runsync.reports.columns import with_keys
from runsync.reports.parts import stacked
from runsync.reports.query_spec import OF_STEPS, Query, keys_of_runs, keys_of_steps
from runsync.reports.statistics import Groups, tally
from runsync.reports.verdicts import RUN
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_Made = Mapping[str, sa.ColumnElement[Any]]


def times_of_runs(
    reader: "Reader", query: Query, flags: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How many of the query's runs have finished, and their time.

    Args:
        flags: columns of runs.

    Returns:
        a row for each group with ``runs``, where keys are of steps those of which such a step ran;
        and rows that add up to the time, with the query's keys, ``runner``, the flags, and
        ``ms``: how many milliseconds.
    """
    if reader.is_archive and reader.can_group(query):
        return _counted(reader, query), _added_up(reader, query, flags)
    told = _read(reader, query, flags)
    runs = tally(Groups(told, [*query.keys, *RUN]).keys, query.keys, rows="runs")
    return runs, told.assign(ms=told["duration_ms"].fillna(0))


def _read(reader: "Reader", query: Query, flags: Sequence[str]) -> pd.DataFrame:
    """A row for what the steps of each run took on each runner, and for each run without one."""
    steps = reader.steps(query, [*RUN, "runner", "duration_ms"], where=["ran"])
    alike = [*dict.fromkeys([*query.keys, *RUN, "runner"])]
    steps = tally(steps, alike, ["duration_ms"])
    columns = ["pipeline_id", "id", *flags, "duration_ms"]
    runs = reader.runs(_of_runs(query), columns, where=["is_finished"])
    runs = runs.rename(columns={"id": "run_id"})
    steps, runs = (frame.astype({"run_id": object}) for frame in (steps, runs))
    told = steps.merge(runs[[*RUN, *flags]], on=list(RUN))
    has_steps = pd.MultiIndex.from_frame(runs[[*RUN]]).isin(pd.MultiIndex.from_frame(told[[*RUN]]))
    return stacked([told, runs[~has_steps].reindex(columns=list(told))])


def _of_runs(query: Query) -> Query:
    return replace(query, by=keys_of_runs(query.by), implied=())


def _added_up(reader: "Reader", query: Query, flags: Sequence[str]) -> pd.DataFrame:
    """The time, added up by the database."""
    of, joined = _joined(reader, query, flags)
    names = dict.fromkeys([*flags, "runner", *reader.wanted(v_steps, query, ())])
    shown, alike = reader.in_groups({name: of[name] for name in names}, query)
    ms = sa.func.coalesce(of["step_ms"], of["duration_ms"], 0)
    shown["ms"] = sa.type_coerce(sa.func.sum(ms), sa.BigInteger)
    return _rows(reader, query, shown, joined.group_by(*alike))


def _counted(reader: "Reader", query: Query) -> pd.DataFrame:
    """The finished runs, counted by the database where no key is of steps."""
    if OF_STEPS.isdisjoint(query.keys):
        found = reader.counted(query, ["is_finished"], where=["is_finished"])
        return found.rename(columns={"is_finished": "runs"})
    of, joined = _joined(reader, query, ())
    names = dict.fromkeys([*RUN, *reader.wanted(v_steps, query, ())])
    rows = _rows(reader, query, {name: of[name] for name in names}, joined.distinct())
    return tally(Groups(rows, [*query.keys, *RUN]).keys, query.keys, rows="runs")


def _joined(reader: "Reader", query: Query, flags: Sequence[str]) -> tuple[_Made, sa.Select[Any]]:
    """Runs with what their steps that ran took by runner, ``step_ms``; that and all keys of steps
    are null where there is none."""
    columns = ["pipeline_id", "id", *flags, "duration_ms"]
    of_runs = reader.wanted(v_runs, _of_runs(query), columns)
    runs = reader.select(v_runs, query, of_runs, ["is_finished"]).subquery("run")
    timeless = replace(query, by=keys_of_steps(query.keys), implied=(), every=None)
    keys = reader.wanted(v_steps, timeless, [*RUN, "runner"])
    step_ms = sa.func.sum(v_steps.c.duration_ms)
    grouped = reader.select(v_steps, query, {**keys, "step_ms": step_ms}, ["ran"])
    steps = grouped.group_by(*keys.values()).subquery("step")
    of_step = dict(zip([*keys, "step_ms"], steps.c, strict=True))
    of_run = dict(zip(of_runs, runs.c, strict=True))
    of_run["run_id"] = of_run.pop("id")
    is_same = sa.and_(*(of_step[name] == of_run[name] for name in RUN))
    return of_step | of_run, sa.select().select_from(runs.outerjoin(steps, is_same))


def _rows(reader: "Reader", query: Query, shown: _Made, joined: sa.Select[Any]) -> pd.DataFrame:
    select = joined.with_only_columns(*shown.values())
    return with_keys(reader.backend.fetch(select, shown), query)
