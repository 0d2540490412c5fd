"""A reader for several reports: what more than one of them wants of runs and steps is read once."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

import pandas as pd
import sqlalchemy as sa

from runsync.reports.backend import Columns
from runsync.reports.columns import sources_of, with_keys
from runsync.reports.load import Reader
from runsync.reports.query_spec import Query
from runsync.reports.step_texts import StepTexts
from runsync.storage.tables import v_runs, v_steps

_KEPT: dict[sa.Table, tuple[str, ...]] = {
    v_runs: (
        *("pipeline_id", "run_created_at", "queued_ms", "duration_ms", "is_finished", "is_passed"),
        *("is_failed", "is_aborted", "is_skipped", "in_rate", "never_started"),
        *("id", "is_failed_by_error", "is_superseded"),
    ),
    v_steps: (
        *("pipeline_id", "run_id", "run_created_at", "commit_hash", "name", "job", "runner"),
        *("duration_ms", "is_finished", "is_passed", "is_failed", "in_rate", "ran", "was_retried"),
    ),
}
"""The columns that are read together; what needs others is read on its own."""


class KeptReader(Reader):
    """Keeps the rows of each window and reduces them to what each report asks for.

    A long history is not kept, but for one part of it: each is as large as memory should hold.

    Args:
        of_one_part: whether it reads no more than one part of the history.
    """

    def __init__(self, reader: Reader, *, of_one_part: bool = False) -> None:
        super().__init__(reader.backend, reader.crew)
        self._of_one_part = of_one_part
        self._frames: dict[Hashable, pd.DataFrame] = {}
        self._texts: dict[Hashable, StepTexts] = {}
        self._numbers: dict[Hashable, int] = {}

    def number_of_runs(self, query: Query) -> int:
        """As :meth:`.Reader.number_of_runs`; each window's are counted once."""
        key = query.window, query.pipeline_ids, query.part
        if key not in self._numbers:
            self._numbers[key] = super().number_of_runs(query)
        return self._numbers[key]

    def can_group(self, query: Query) -> bool:
        """As :meth:`.Reader.can_group`; rows of SQLite that are kept are grouped here."""
        return super().can_group(query) and not (self.is_sqlite and self._keeps(query))

    def _keeps(self, query: Query) -> bool:
        is_small = query.part is None and self.number_of_runs(query) <= self.part_runs
        return is_small or self._of_one_part

    def step_texts(
        self, query: Query, wanted: Columns, where: Sequence[str], known: Sequence[str]
    ) -> StepTexts:
        """As :meth:`.Reader.step_texts`; those of each window are read once.

        What ran has a duration; of other steps those with one are read on their own.
        """
        asked = [name for name in known if name != "duration_ms" or "ran" not in where]
        is_kept = {*wanted, *where, *asked} <= {*_KEPT[v_steps]} and "duration_ms" not in asked
        if not is_kept or not self._keeps(query):
            return super().step_texts(query, wanted, where, known)
        key = query.window, query.pipeline_ids, query.branches, query.result, query.part
        if key not in self._texts:
            timeless = replace(query, by=(), implied=(), every=None)
            of_all = self.wanted(v_steps, timeless, _KEPT[v_steps])
            self._texts[key] = super().step_texts(query, of_all, (), ())
        return self._texts[key].narrowed(where, asked)

    def _read(
        self,
        view: sa.Table,
        query: Query,
        columns: Sequence[str],
        where: Sequence[str],
        known: Sequence[str],
        ids: Sequence[str] | None,
    ) -> pd.DataFrame:
        wanted = list(dict.fromkeys([*sources_of(query.keys), *columns]))
        is_kept = {*wanted, *where, *known} <= {*_KEPT[view]}
        are_texts = view is v_steps and not self.is_archive
        if ids is not None or are_texts or not is_kept or not self._keeps(query):
            return super()._read(view, query, columns, where, known, ids)
        rows = self._rows(view, query)
        is_wanted = pd.Series(True, rows.index)
        for flag in where:
            is_wanted &= rows[flag] == 1
        for name in known:
            is_wanted &= rows[name].notna()
        return with_keys(rows.loc[is_wanted, wanted].reset_index(drop=True), query)

    def _rows(self, view: sa.Table, query: Query) -> pd.DataFrame:
        key = view.name, query.window, query.pipeline_ids, query.branches, query.result, query.part
        if key not in self._frames:
            wanted = {name: self._column(view, name, query) for name in _KEPT[view]}
            self._frames[key] = self.backend.fetch(self.select(view, query, wanted), wanted)
        return self._frames[key]
