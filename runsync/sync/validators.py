"""By what a provider can be asked whether a run that has not settled has changed, across syncs.

It is kept in the listing's memory until the run has settled, beside what the source keeps there.
An answer that says "unchanged" is worth as much as one that brings the same run again: it settles
the run when its time has come, if what is stored is still what was read then.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runsync import __version__
from runsync.errors import SourceError
from runsync.records import Pipeline, RunWithSteps, parse_time, settles_at
from runsync.sources.base import Source, Unchanged
from runsync.storage.store import RunKey

MEMORY_KEY = "validators"
_MOST = 1000
"""How many are kept; about 300 bytes each."""


@dataclass(frozen=True, slots=True)
class Validator:
    """What a source gave with a run. ``settles_at`` is from when on an unchanged run has settled;
    all times are the provider's."""

    text: str
    read_at: datetime
    settles_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnchangedRun:
    """A run of which the provider says that it is as it was."""

    pipeline: Pipeline
    id: str
    validator: Validator
    """By what to ask the next time."""
    as_of: datetime

    @classmethod
    def of(
        cls, run: tuple[Pipeline, str], known: Validator | None, said: Unchanged
    ) -> "UnchangedRun":
        """What the answer says of a run that was asked for by ``known``."""
        if known is None:
            raise SourceError(f"run {run[1]} is said to be unchanged, but nothing is known of it")
        validator = Validator(said.validator, known.read_at, known.settles_at)
        return cls(*run, validator, said.as_of)

    @property
    def key(self) -> RunKey:
        return self.pipeline.external_id, self.id

    @property
    def settled(self) -> bool:
        at = self.validator.settles_at
        return at is not None and self.as_of >= at


def load(memory: dict[str, Any]) -> dict[RunKey, Validator]:
    """Those of a listing's memory that holds some. Another version may read more of a run, so it
    knows none."""
    kept = memory[MEMORY_KEY]
    rows = kept["runs"] if kept["version"] == __version__ else ()
    return {
        (pipeline, run_id): Validator(text, parse_time(read), parse_time(at) if at else None)
        for pipeline, run_id, text, read, at in rows
    }


def given(found: RunWithSteps, source: Source) -> dict[RunKey, Validator]:
    """What came with a run; nothing where the run is to be read whole again."""
    if found.validator is None or found.problems or not found.steps_read:
        return {}
    at = settles_at(found, source.grace)
    return {found.run.key: Validator(found.validator, found.as_of, at)}


def save(memory: dict[str, Any], validators: dict[RunKey, Validator]) -> dict[str, Any]:
    """A listing's memory with these, or the first of them where they are very many."""
    others = {key: value for key, value in memory.items() if key != MEMORY_KEY}
    if not validators:
        return others
    rows = [
        [*key, one.text, one.read_at.isoformat(), one.settles_at and one.settles_at.isoformat()]
        for key, one in sorted(validators.items())[:_MOST]
    ]
    return others | {MEMORY_KEY: {"version": __version__, "runs": rows}}
