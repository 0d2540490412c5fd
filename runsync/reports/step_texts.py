"""The steps of a run as one text, and back: so a database gives a row for each run and not for each
step, which takes a third of the time.

What the steps of a run say, their names and verdicts, is the same for most runs: each such text is
read once. Their numbers stand behind it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from runsync.reports.backend import Columns, UnlikeText, numbers_in
from runsync.reports.columns import categorical
from runsync.reports.query_spec import Query
from runsync.storage.tables import v_runs, v_steps

if TYPE_CHECKING:
    from runsync.reports.load import Reader

Integers = npt.NDArray[np.int64]
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


class StepTexts:
    """The steps of runs, of which many say the same.

    Args:
        runs: a row for each run, with what its steps share; each has at least one step.
        codes: for each run which of the texts its steps say.
        table: a row for each step of each text, text after text.
        counts: how many steps each text has.
        numbers: of each step of each run, by name.
    """

    def __init__(
        self,
        runs: pd.DataFrame,
        codes: Integers,
        table: pd.DataFrame,
        counts: Integers,
        numbers: Mapping[str, npt.NDArray[Any]],
    ) -> None:
        self.runs, self.codes, self.table, self.counts = runs, codes, table, counts
        self.numbers = dict(numbers)

    def rows(self, names: Sequence[str]) -> pd.DataFrame:
        """These columns of all steps."""
        of_run = np.repeat(np.arange(len(self.runs)), self.counts[self.codes])
        of_text = _places(self.counts, self.codes)
        found: dict[str, Any] = {}
        for name in names:
            if name in self.numbers:
                found[name] = self.numbers[name]
            elif name in self.table:
                found[name] = self.table[name].array.take(of_text)
            else:
                found[name] = self.runs[name].array.take(of_run)
        return pd.DataFrame(found, copy=False)

    def narrowed(self, where: Sequence[str], known: Sequence[str]) -> "StepTexts":
        """The steps in which these flags are 1 and these columns are not null; of no others than
        runs that have such a step."""
        is_wanted = np.ones(len(self.table), bool)
        for flag in where:
            is_wanted &= self.table[flag].to_numpy() == 1
        for name in known:
            is_wanted &= self.table[name].notna().to_numpy() if name in self.table else True
        of_text = np.repeat(np.arange(len(self.counts)), self.counts)
        counts = np.bincount(of_text[is_wanted], minlength=len(self.counts)).astype(np.int64)
        has_some = counts[self.codes] > 0
        for name in known:
            has_some &= self.runs[name].notna().to_numpy() if name in self.runs else True
        is_kept = is_wanted[_places(self.counts, self.codes)]
        is_kept &= np.repeat(has_some, self.counts[self.codes])
        numbers = {name: values[is_kept] for name, values in self.numbers.items()}
        runs = _of_these(self.runs, has_some)
        table = self.table[is_wanted].reset_index(drop=True)
        return StepTexts(runs, self.codes[has_some], table, counts, numbers)

    def profiles(self, names: Sequence[str]) -> tuple[Integers, pd.DataFrame]:
        """For each run a number of what its steps say in these columns, from 0; and a row for each
        step of each number, ``profile``."""
        rows = list(zip(*(self.table[name].tolist() for name in names), strict=True))
        ends = np.cumsum(self.counts).tolist()
        said = [tuple(rows[b:e]) for b, e in zip([0, *ends], ends, strict=False)]
        used = np.unique(self.codes)
        numbers: dict[Any, int] = {}
        first: list[int] = []
        number_of = np.zeros(len(said), np.int64)
        for text in used.tolist():
            if said[text] not in numbers:
                numbers[said[text]] = len(first)
                first.append(text)
            number_of[text] = numbers[said[text]]
        chosen = np.array(first, np.int64)
        steps = self.table[list(names)].take(_places(self.counts, chosen)).reset_index(drop=True)
        profile = np.repeat(np.arange(len(chosen)), self.counts[chosen])
        return number_of[self.codes], _used(steps).assign(profile=profile)


def read_step_texts(
    reader: "Reader", query: Query, wanted: Columns, where: Sequence[str], known: Sequence[str]
) -> StepTexts:
    """The steps of the query's runs in a database.

    Args:
        wanted: columns of ``v_steps`` that :func:`is_quicker` knows.
        where, known: as in :meth:`.Reader.steps`.
    """
    of_runs = [name for name in wanted if name in _OF_RUNS]
    numbers = {name: one for name, one in wanted.items() if name in _NUMBERS}
    said = {name: one for name, one in wanted.items() if name not in {*_OF_RUNS, *_NUMBERS}}
    said = said or {"is_finished": v_steps.c.is_finished}
    made = _text_of([*said.values()], reader.backend.dialect_name)
    if numbers:
        made = made + "|" + _listed([*numbers.values()])
    runs, texts = _runs_with(reader, query, of_runs, made, where, known)
    split = [text.rpartition("|") if numbers else (text, "", "") for text in texts]
    codes, each = pd.factorize(np.array([before for before, _, _ in split], dtype=object))
    table, counts = _told_by(list(each), list(said))
    listed = numbers_in(",".join(behind for _, _, behind in split) if numbers else "")
    values = listed.reshape(-1, len(numbers) or 1).T[: len(numbers)]
    named = zip(numbers, map(_number, numbers.values(), values), strict=True)
    return StepTexts(runs, codes.astype(np.int64), table, counts, dict(named))


def _runs_with(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    text: sa.ColumnElement[str],
    where: Sequence[str],
    known: Sequence[str],
) -> tuple[pd.DataFrame, list[str]]:
    """The query's runs that have such steps, and what is made of those of each."""
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
    return _of_these(runs, has_steps.to_numpy()), texts[has_steps].to_list()


def _of_these(runs: pd.DataFrame, these: npt.NDArray[np.bool_]) -> pd.DataFrame:
    return runs if these.all() else _used(runs[these].reset_index(drop=True))


def _used(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without words that none of them has."""
    words = {str(name): rows[name] for name in rows.select_dtypes("category")}
    return rows.assign(**{name: one.cat.remove_unused_categories() for name, one in words.items()})


def _text_of(columns: Sequence[sa.ColumnElement[Any]], dialect: str) -> sa.ColumnElement[str]:
    """What the steps of a run say together in these columns, texts and flags, as JSON: equal for
    runs that say the same; of runs that say it in another order it may differ."""
    if dialect == "sqlite":
        return sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text)
    return sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text)


def _told_by(texts: Sequence[str], names: Sequence[str]) -> tuple[pd.DataFrame, Integers]:
    """A row for each step of each text of :func:`_text_of`, and how many steps each text has."""
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


def _number(column: sa.ColumnElement[Any], values: Integers) -> npt.NDArray[Any]:
    """Milliseconds may be missing; other numbers never are."""
    if not isinstance(column.type, sa.BigInteger):
        return values
    return np.where(values == _NO_NUMBER, np.nan, values.astype(np.float64))


def _words(values: Sequence[str | None]) -> "pd.Categorical[str]":
    words = sorted({word for word in values if word is not None})
    place: dict[str | None, int] = {word: n for n, word in enumerate(words)} | {None: -1}
    return categorical(np.array([place[word] for word in values], np.int32), words)


def _places(counts: Integers, codes: Integers) -> Integers:
    """The rows of the texts with these numbers, one text after the other."""
    times = counts[codes]
    begins = (np.cumsum(counts) - counts)[codes] - (np.cumsum(times) - times)
    return np.repeat(begins, times) + np.arange(times.sum())
