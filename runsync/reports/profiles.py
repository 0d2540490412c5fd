"""What the steps of runs say together, which is the same for most runs.

A report that counts runs by what their steps came to need not see a row for each step: the database
makes one value of the steps of each run, and only the steps of one run of each value are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from runsync.reports.backend import Columns
from runsync.reports.columns import sources_of, with_keys
from runsync.reports.query_spec import Query, keys_of_runs, keys_of_steps
from runsync.reports.verdicts import RUN
from runsync.storage.tables import v_steps

if TYPE_CHECKING:
    import numpy.typing as npt

    from runsync.reports.load import Reader

APART = ("apart", "apart_2")
_HASH_KEYS = ("runsync commit 1", "runsync commit 2")
_FEW = 4
"""How many runs there must be to one that is looked up by its key, that reading all costs more."""


def profiles_of(
    reader: "Reader",
    query: Query,
    columns: Sequence[str],
    said: Sequence[str] = (),
    *,
    apart: str | None = None,
    where: Sequence[str] = (),
    known: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The query's runs, and what their steps say.

    Args:
        columns: of ``v_steps`` those that all steps of a run share.
        said: columns of ``v_steps`` that tell one step from another, besides the query's keys.
        apart: a text that all steps of a run share and that is never null, and of which it only
            matters whether it is the same: it comes as the numbers of :data:`APART`.
        where: as in :meth:`.Reader.steps`; runs without such a step are left out.

    Returns:
        a row for runs that are alike in all this, with those of the query's keys that runs
        have themselves, ``runs``: how many they are, and ``profile``: a number from 0; and a
        row for each step of one run of each profile, with the other keys.
    """
    of_runs = replace(query, by=keys_of_runs(query.by), implied=())
    of_steps = replace(query, by=keys_of_steps(query.keys), implied=(), every=None)
    named = dict.fromkeys((*sources_of(of_runs.keys), *columns))
    shared = [name for name in named if name not in RUN]
    told = reader.wanted(v_steps, of_steps, said)
    if reader.is_archive:
        return _hashed(reader, query, of_runs, of_steps, shared, told, apart, where, known)
    timeless = replace(query, by=(), implied=(), every=None)
    texts = [] if apart is None else [apart]
    wanted = reader.wanted(v_steps, timeless, [*RUN, *shared, *texts])
    found = reader.step_texts(query, wanted | told, where, known)
    numbers, steps = found.profiles(list(told))
    runs = found.runs[[*RUN, *shared]].assign(profile=numbers, runs=1)
    for text in texts:
        runs = runs.assign(**dict(zip(APART, _numbers(found.runs[text]), strict=True)))
    return with_keys(runs, of_runs), with_keys(steps, of_steps)


def _numbers(words: pd.Series) -> "list[npt.NDArray[np.uint64]]":
    """128 bits for each word, in place of 40 letters and more."""
    texts = np.asarray(words.cat.categories, dtype=object)
    of_texts = (pd.util.hash_array(texts, hash_key=key, categorize=False) for key in _HASH_KEYS)
    return [found[words.cat.codes.to_numpy()] for found in of_texts]


def _hashed(
    reader: "Reader",
    query: Query,
    of_runs: Query,
    of_steps: Query,
    columns: Sequence[str],
    told: Columns,
    apart: str | None,
    where: Sequence[str],
    known: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of an archive, where putting texts together is slow and sums of hashes are not."""
    run_id = v_steps.c.run_id
    texts = [] if apart is None else [apart]
    timeless = replace(query, by=(), implied=(), every=None)
    shared = reader.wanted(v_steps, timeless, [*columns, *texts])
    wanted: dict[str, sa.ColumnElement[Any]] = dict(
        zip(RUN, (v_steps.c.pipeline_id, run_id), strict=True)
    )
    wanted |= {name: sa.func.max(one) for name, one in shared.items()}
    wanted["profile"] = _hash(list(told.values()))
    wanted["runs"] = sa.literal_column("1", sa.Integer)
    select = reader.select(v_steps, query, wanted, where, known)
    each = select.group_by(v_steps.c.pipeline_id, run_id).subquery()
    of_each: dict[str, Any] = dict(zip(wanted, each.c, strict=True))
    for text in texts:
        halves = (sa.func.md5_number_upper, sa.func.md5_number_lower)
        word = of_each.pop(text)
        numbers = (half(word, type_=sa.Integer) for half in halves)
        of_each |= zip(APART, numbers, strict=True)
    runs = reader.backend.fetch(_alike(reader, of_each, of_runs), of_each)
    runs = with_keys(runs, of_runs)
    runs["profile"] = pd.factorize(runs["profile"])[0]
    one_of_each = runs.loc[runs["run_id"].notna(), [*RUN, "profile"]]
    are_few = len(one_of_each) * _FEW < runs["runs"].sum()
    ids = one_of_each["run_id"].unique().tolist() if are_few else None
    said = [name for name in told if name not in sources_of(of_steps.keys)]
    steps = reader.steps(of_steps, [*RUN, *said], where=where, known=known, ids=ids)
    steps, one_of_each = (frame.astype({"run_id": object}) for frame in (steps, one_of_each))
    steps = steps.merge(one_of_each, on=list(RUN))
    return runs, steps.drop(columns=list(RUN))


def _hash(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[int]:
    """What the steps of a run say together in these columns, as a sum of 64-bit hashes."""
    # Hashed twice: with one flag's change alone two hashes are too much alike to be added.
    summed = sa.func.sum(sa.func.hash(sa.func.hash(*columns)))
    return sa.type_coerce(sa.cast(summed % (1 << 63), sa.BigInteger), sa.Integer)


def _alike(reader: "Reader", of: Mapping[str, Any], query: Query) -> sa.Select[Any]:
    """Runs that are alike in these columns, but for their ids, as one row: how many they are, in
    the place of ``runs``; and in one row of each profile the id of a run."""
    made = {"run_id": sa.func.min(of["run_id"]), "runs": sa.func.count()}
    shared = {name: one for name, one in of.items() if name not in made}
    shown, alike = reader.in_groups(shared, query)
    rows = sa.select(*((shown | made)[name] for name in of)).group_by(*alike).subquery()
    found: dict[str, Any] = dict(zip(of, rows.c, strict=True))
    number = sa.func.row_number().over(partition_by=found["profile"])
    found["run_id"] = sa.case((number == 1, found["run_id"]))
    return sa.select(*found.values())
