"""Stored pipelines as reports and exports name and choose them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runsync.errors import ConfigError
from runsync.text import did_you_mean

_SHORT = 8


@dataclass(frozen=True, slots=True)
class StoredPipeline:
    """A pipeline. ``label`` is its name, told apart by its id where another bears the same."""

    id: int
    source: str
    external_id: str
    name: str
    label: str


def labelled(rows: Iterable[tuple[int, str, str, str]]) -> tuple[StoredPipeline, ...]:
    """Pipelines from (id, source, external id, name), by label.

    Wercker calls a pipeline ``build`` in every application. Such a one is labelled
    ``build (5751377e)``, with as much of its id as tells it from the others.
    """
    known = list(rows)
    bearers = Counter(name for _, _, _, name in known)
    twins = [row for row in known if bearers[row[3]] > 1]
    made = (
        StoredPipeline(*row, row[3] if bearers[row[3]] == 1 else f"{row[3]} ({_mark(row, twins)})")
        for row in known
    )
    return tuple(sorted(made, key=lambda p: (p.label, p.source, p.id)))


def chosen(
    known: Sequence[StoredPipeline], wanted: str | int | Iterable[str | int] | None
) -> tuple[StoredPipeline, ...] | None:
    """The pipelines that were asked for: by name, label, id, or the beginning of an id.

    A name that several pipelines bear chooses them all. None chooses without a limit.

    Raises:
        ConfigError: a word fits none, or is the beginning of several ids.
    """
    if wanted is None:
        return None
    words = [wanted] if isinstance(wanted, str | int) else list(wanted)
    found = {pipeline for word in words for pipeline in _fitting(known, word)}
    return tuple(p for p in known if p in found)


def _fitting(known: Sequence[StoredPipeline], word: str | int) -> list[StoredPipeline]:
    exact = [p for p in known if word in (p.id, p.name, p.label, p.external_id)]
    if exact or not isinstance(word, str) or not word:
        return exact or _none(known, word)
    begun = [p for p in known if p.external_id.startswith(word)]
    if len(begun) > 1:
        names = ", ".join(f"{p.label} ({p.external_id})" for p in begun[:5])
        raise ConfigError(f"{word!r} is the beginning of several pipelines' ids: {names}")
    return begun or _none(known, word)


def _none(known: Sequence[StoredPipeline], word: str | int) -> list[StoredPipeline]:
    words = list(dict.fromkeys([p.label for p in known] + [p.external_id for p in known]))
    raise ConfigError(
        f"no pipeline in the database is called {word!r}{did_you_mean(str(word), words)}"
    )


def _mark(row: tuple[int, str, str, str], twins: Sequence[tuple[int, str, str, str]]) -> str:
    """The shortest beginning of an id, eight signs or more, that no twin's id shares."""
    _, source, external_id, name = row
    others = [t[2] for t in twins if t[3] == name and t[:3] != row[:3]]
    if external_id in others:
        return f"{source} {external_id}"
    for length in range(_SHORT, len(external_id)):
        if not any(other.startswith(external_id[:length]) for other in others):
            return external_id[:length]
    return external_id
