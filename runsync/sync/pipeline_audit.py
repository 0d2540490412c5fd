"""The audit of the pipelines themselves: their names and default branches."""

from collections.abc import Iterator
from dataclasses import replace

from runsync.records import Pipeline
from runsync.sources.base import REMEMBERED_NAMES
from runsync.storage.audit import AuditStore
from runsync.storage.store import Batch


class PipelineAudit:
    """Notes what the provider tells of pipelines beside their runs, and compares it at the end."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._told: dict[str, Pipeline] = {}

    def note(self, told: Pipeline) -> None:
        """Takes what a run tells of its pipeline; what a newer run told stays."""
        name = None if told.named_by_run else told.name
        known = self._told.get(told.external_id, replace(told, name=name, named_by_run=False))
        self._told[told.external_id] = replace(
            known,
            name=known.name or name,
            default_branch=known.default_branch or told.default_branch,
        )

    def differing(self) -> Iterator[tuple[Pipeline, tuple[str, ...]]]:
        """The pipelines that are not stored as they were told, with the columns that differ.

        A name from the config wins, so it is not compared.
        """
        stored = self._store.stored_pipelines(self._told)
        for external_id, told in self._told.items():
            if row := stored.get(external_id):
                expected = {
                    "name": row["label"] or told.name,
                    "default_branch": told.default_branch,
                }
                names = tuple(n for n, value in expected.items() if value and value != row[n])
                if names:
                    yield told, names

    def mend(self, told: Pipeline) -> None:
        """Stores a pipeline as it was told, and has the next sync ask for its names again: it
        would go by those that it remembers."""
        self._store.save(Batch(pipelines=[told]))
        memory = self._store.memory()
        self._store.save_memory({k: v for k, v in memory.items() if k not in REMEMBERED_NAMES})
