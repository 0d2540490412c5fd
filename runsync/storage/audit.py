"""What the audit reads of a listing's stored runs, and how it repairs them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, tuple_

from runsync.records import Pipeline, Run
from runsync.storage import tables
from runsync.storage.runs import RunKey, RunToWrite, save_runs
from runsync.storage.store import Batch, ListingStore, runs_of_listing
from runsync.storage.upserts import forget_state

_AT_ONCE = 1000


class AuditStore(ListingStore):
    """The rows of one listing, whole."""

    def stored(self, runs: Iterable[Run]) -> dict[RunKey, dict[str, Any]]:
        """The whole rows of these runs, by their pipeline's external id and their own."""
        p, r = tables.pipelines.c, tables.runs.c
        query = (
            select(p.external_id, tables.runs)
            .join(tables.pipelines, p.id == r.pipeline_id)
            .where(self._are(runs, r.id))
        )
        rows = [row._mapping for row in self.database.rows(query)]
        return {(row["external_id"], row["id"]): dict(row) for row in rows}

    def stored_steps(self, runs: Iterable[Run]) -> dict[RunKey, dict[str, dict[str, Any]]]:
        """The whole rows of these runs' steps by their ids, by the run's key as in ``stored``."""
        p, s = tables.pipelines.c, tables.steps.c
        query = (
            select(p.external_id, tables.steps)
            .join(tables.pipelines, p.id == s.pipeline_id)
            .where(self._are(runs, s.run_id))
        )
        found: dict[RunKey, dict[str, dict[str, Any]]] = {}
        for row in (row._mapping for row in self.database.rows(query)):
            found.setdefault((row["external_id"], row["run_id"]), {})[row["id"]] = dict(row)
        return found

    def stored_pipelines(self, external_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """``name`` and ``default_branch`` of these pipelines, by their external ids, with
        ``label``: the user's own name for one, from whichever listing has it."""
        p, listed = tables.pipelines.c, tables.listing_pipelines.c
        label = select(func.min(listed.label)).where(listed.pipeline_id == p.id).scalar_subquery()
        query = select(p.external_id, p.name, p.default_branch, label.label("label")).where(
            p.source == self.source, p.external_id.in_(list(external_ids))
        )
        return {row.external_id: dict(row._mapping) for row in self.database.rows(query)}

    def _are(self, runs: Iterable[Run], id_column: ColumnElement[str]) -> ColumnElement[bool]:
        wanted = list(runs)
        p = tables.pipelines.c
        return and_(
            p.source == self.source,
            p.external_id.in_({run.pipeline.external_id for run in wanted}),
            id_column.in_([run.id for run in wanted]),
        )

    def present(self, since: datetime | None = None) -> Iterator[tuple[Pipeline, str]]:
        """The runs of this listing that the provider was last known to have, a few at a time."""
        p, r = tables.pipelines.c, tables.runs.c
        columns = (p.external_id, p.name, r.pipeline_id, r.id)
        last: tuple[int, str] = (-1, "")
        present = (
            runs_of_listing(self.listing, *columns)
            .where(*_is_present(since))
            .order_by(r.pipeline_id, r.id)
            .limit(_AT_ONCE)
        )
        while True:
            below = present.where(tuple_(r.pipeline_id, r.id) > tuple_(*last))
            rows = self.database.rows(below)
            for external_id, name, _, run_id in rows:
                yield Pipeline(external_id, name), run_id
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][2], rows[-1][3]

    def count_present(self, since: datetime | None = None) -> int:
        """How many runs ``present`` gives."""
        query = runs_of_listing(self.listing, func.count()).where(*_is_present(since))
        return int(self.database.rows(query)[0][0])

    def mark_vanished(self, pipeline: Pipeline, run_id: str, at: datetime) -> None:
        """Marks a run that the provider no longer knows, ``at`` by its clock."""
        self.save(Batch(vanished=[(pipeline, run_id, at)]))

    def overwrite(self, run: RunToWrite) -> None:
        """Stores a run as it was read, in place of what is stored of it, settled or not.

        Steps that the answer lacks are deleted, unless it has none at all: a provider that
        forgets steps deletes nothing here.
        """
        with self.database.write() as connection:
            pipelines = self._ensure_pipelines(connection, [run.details.run.pipeline])
            key = (pipelines[run.key[0]][0], run.key[1])
            forget_state(connection, key, with_steps=bool(run.details.steps))
            save_runs(connection, self.source, [run], pipelines)


def _is_present(since: datetime | None) -> list[ColumnElement[bool]]:
    wanted = [tables.runs.c.created_at >= since] if since else []
    return [tables.runs.c.vanished_at.is_(None), *wanted]
