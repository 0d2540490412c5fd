"""The steps of a run as one text, and back: so a database gives a row for each run and not for each
step, which takes a third of the time.

What the steps of a run say, their names and verdicts, is the same for most runs: each such text is
read once. Their numbers stand behind it.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from runsync.reports.backend import Columns, UnlikeText
from runsync.reports.columns import categorical
from runsync.reports.query_spec import Query
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

_OF_RUNS = {"run_id": "id"} | dict.fromkeys(
    ("pipeline_id", "run_created_at", "branch", "commit_hash", "author", "event")
)
"""What steps have of their runs, and what runs call it where that is something else."""
_NUMBERS = frozenset(("duration_ms", "position"))
_FLAGS = frozenset(("is_finished", "is_passed", "is_failed", "in_rate", "ran", "is_error"))
_FLAGS |= {"was_retried"}
_TEXTS = frozenset(("name", "job", "runner", "result"))
_KNOWN = _FLAGS | _TEXTS | _NUMBERS | _OF_RUNS.keys()
_OF_FEW = frozenset(("is_failed", "run_is_aborted"))
_NOTHING = "[]"
_NO_NUMBER = -(1 << 62)


def is_quicker(columns: Sequence[str], where: Sequence[str]) -> bool:
    """Whether these columns of steps can be read so, and of so many steps that it is worth it."""
    return _KNOWN.issuperset(columns) and _OF_FEW.isdisjoint(where)


def steps_of_runs(
    reader: "Reader", query: Query, wanted: Columns, where: Sequence[str], known: Sequence[str]
) -> pd.DataFrame:
    """The steps of the query's runs in a database, as :meth:`.Reader.steps` gives them."""
    of_runs = [name for name in wanted if name in _OF_RUNS]
    numbers = {name: one for name, one in wanted.items() if name in _NUMBERS}
    said = {name: one for name, one in wanted.items() if name not in {*_OF_RUNS, *_NUMBERS}}
    said = said or {"is_finished": v_steps.c.is_finished}
    made = text_of([*said.values()], reader.backend.dialect_name)
    if numbers:
        made = made + "|" + _listed([*numbers.values()])
    runs, texts = runs_with_texts(reader, query, of_runs, made, where, known)
    split = [text.rpartition("|") if numbers else (text, "", "") for text in texts]
    codes, each = pd.factorize(np.array([before for before, _, _ in split], dtype=object))
    table, counts = told_by(list(each), list(said))
    times = counts[codes]
    found = dict(runs.iloc[np.repeat(np.arange(len(runs)), times)].items())
    found |= dict(table.iloc[_places(counts, codes)].items())
    if numbers:
        values = _numbers([listed for _, _, listed in split], len(numbers))
        found |= zip(numbers, map(_number, numbers.values(), values), strict=True)
    return pd.DataFrame({name: found[name].array for name in wanted}, copy=False)


def runs_with_texts(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    text: sa.ColumnElement[str],
    where: Sequence[str],
    known: Sequence[str],
) -> tuple[pd.DataFrame, list[str]]:
    """The query's runs that have such steps, and what is made of those of each.

    Args:
        columns: those of ``v_steps`` that all steps of a run share.
        where, known: as in :meth:`.Reader.steps`.
    """
    own = [v_steps.c.pipeline_id == v_runs.c.pipeline_id, v_steps.c.run_id == v_runs.c.id]
    own += [v_steps.c[flag] == 1 for flag in where]
    own += [v_steps.c[name].is_not(None) for name in known if name not in _OF_RUNS]
    if query.result is not None:
        own.append(v_steps.c.result == query.result)
    steps = sa.select(text).where(*own).correlate(v_runs).scalar_subquery()
    timeless = replace(query, by=(), implied=(), every=None, result=None)
    named = [_OF_RUNS[name] or name for name in columns]
    of_runs = reader.wanted(v_runs, timeless, named)
    shown = {name: of_runs[own_name] for name, own_name in zip(columns, named, strict=True)}
    shown["text"] = sa.type_coerce(steps, UnlikeText())
    asked = [_OF_RUNS[name] or name for name in known if name in _OF_RUNS]
    select = reader.select(v_runs, replace(query, result=None), shown, known=asked)
    runs = reader.backend.fetch(select, shown)
    texts = runs.pop("text")
    has_steps = texts.notna() & (texts != _NOTHING)
    if not has_steps.all():
        runs, texts = runs[has_steps].reset_index(drop=True), texts[has_steps]
        for name in runs.select_dtypes("category"):
            runs[name] = runs[name].cat.remove_unused_categories()
    return runs, texts.to_list()


def text_of(columns: Sequence[sa.ColumnElement[Any]], dialect: str) -> sa.ColumnElement[str]:
    """What the steps of a run say together in these columns, texts and flags, as JSON: equal for
    runs that say the same; of runs that say it in another order it may differ."""
    if dialect == "sqlite":
        return sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text)
    return sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text)


def told_by(
    texts: Sequence[str], names: Sequence[str]
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """A row for each step of each text of :func:`text_of`, and how many steps each text has."""
    read = list(map(json.loads, texts))
    counts = np.array(list(map(len, read)), np.int64)
    steps = [step for steps in read for step in steps]
    columns: list[Any] = list(zip(*steps, strict=True)) or [()] * len(names)
    table = {
        name: np.array(values, np.int64) if name in _FLAGS else _words(values)
        for name, values in zip(names, columns, strict=True)
    }
    return pd.DataFrame(table, copy=False), counts


def _listed(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
    each = [sa.cast(sa.func.coalesce(column, _NO_NUMBER), sa.Text) for column in columns]
    numbers: sa.ColumnElement[str] = reduce(lambda one, other: one + "," + other, each)
    return sa.type_coerce(sa.func.aggregate_strings(numbers, ","), sa.Text)


def _numbers(listed: Sequence[str], fields: int) -> npt.NDArray[np.int64]:
    values = np.fromstring(",".join(listed), np.int64, sep=",") if listed else np.empty(0, np.int64)
    return values.reshape(-1, fields).T


def _number(column: sa.ColumnElement[Any], values: npt.NDArray[np.int64]) -> "pd.Series[Any]":
    """Milliseconds may be missing; other numbers never are."""
    if not isinstance(column.type, sa.BigInteger):
        return pd.Series(values)
    return pd.Series(np.where(values == _NO_NUMBER, np.nan, values.astype(np.float64)))


def _words(values: Sequence[str | None]) -> "pd.Categorical[str]":
    words = sorted({word for word in values if word is not None})
    place: dict[str | None, int] = {word: n for n, word in enumerate(words)} | {None: -1}
    return categorical(np.array([place[word] for word in values], np.int32), words)


def _places(counts: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows of the texts with these numbers, one text after the other."""
    times = counts[codes]
    begins = (np.cumsum(counts) - counts)[codes] - (np.cumsum(times) - times)
    return np.repeat(begins, times) + np.arange(times.sum())
