"""A reader for a page: what several of its reports want of runs and steps is read once."""

from collections.abc import Hashable, Sequence

import pandas as pd
import sqlalchemy as sa

from runsync.reports.columns import sources_of, with_keys
from runsync.reports.load import Reader
from runsync.reports.query_spec import Query
from runsync.storage.tables import v_runs, v_steps

_KEPT: dict[sa.Table, tuple[str, ...]] = {
    v_runs: (
        *("pipeline_id", "run_created_at", "queued_ms", "duration_ms", "is_finished", "is_passed"),
        *("is_failed", "is_aborted", "is_skipped", "in_rate", "never_started"),
        "is_failed_by_error",
    ),
    v_steps: (
        *("pipeline_id", "run_id", "run_created_at", "commit_hash", "name", "job", "runner"),
        *("duration_ms", "is_finished", "is_passed", "is_failed", "in_rate", "ran", "was_retried"),
    ),
}
"""The columns that are read together; what needs others is read on its own."""


class KeptReader(Reader):
    """Keeps the rows of each window and reduces them to what each report asks for.

    Parts of a long history are not kept: each is as large as memory should hold at once.
    """

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader.backend, reader.crew)
        self._frames: dict[Hashable, pd.DataFrame] = {}
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
        return query.part is None and self.number_of_runs(query) <= self.part_runs

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
        if ids is not None or not is_kept or not self._keeps(query):
            return super()._read(view, query, columns, where, known, ids)
        rows = self._rows(view, query)
        is_wanted = pd.Series(True, rows.index)
        for flag in where:
            is_wanted &= rows[flag] == 1
        for name in known:
            is_wanted &= rows[name].notna()
        return with_keys(rows.loc[is_wanted, wanted].reset_index(drop=True), query)

    def _rows(self, view: sa.Table, query: Query) -> pd.DataFrame:
        key = view.name, query.window, query.pipeline_ids, query.branches, query.result
        if key not in self._frames:
            wanted = {name: self._column(view, name) for name in _KEPT[view]}
            self._frames[key] = self._fetched(view, query, wanted)
        return self._frames[key]
