"""Stored pipelines as commands, reports and exports name and choose them. SQLAlchemy is loaded only
where the database is read: `runsync report --help` needs none of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from runsync.errors import ConfigError
from runsync.text import did_you_mean

if TYPE_CHECKING:
    from runsync.storage.default_branches import ReadRows

_NAMED = 12
_SHORT = 8


_Row: TypeAlias = tuple[int, str, str, str]
"""A pipeline's id, source, external id and name."""


@dataclass(frozen=True, slots=True)
class StoredPipeline:
    """A pipeline. ``label`` is its name, with a part of its id where another has the same name."""

    id: int
    source: str
    external_id: str
    name: str
    label: str


def labelled(rows: Iterable[_Row]) -> tuple[StoredPipeline, ...]:
    """The pipelines, sorted by label; no two have the same one.

    Wercker calls a pipeline ``build`` in every application. Such a one is labelled
    ``build (5751377e)``, with as much of its id as tells it from the others.
    """
    known = sorted(rows, key=lambda row: (row[3], row[1], row[0]))
    times = Counter(name for *_, name in known)
    taken = {name for name, number in times.items() if number == 1}
    made = []
    for row in known:
        label = row[3]
        if times[label] > 1:
            label = next(one for one in _labels(row, known) if one not in taken)
            taken.add(label)
        made.append(StoredPipeline(*row, label))
    return tuple(sorted(made, key=lambda p: (p.label, p.source, p.id)))


def all_labelled(read: "ReadRows") -> tuple[StoredPipeline, ...]:
    """Every stored pipeline, as :func:`labelled` names them."""
    from sqlalchemy import select

    from runsync.storage.tables import pipelines

    p = pipelines.c
    return labelled(read(select(p.id, p.source, p.external_id, p.name)))


def labels_by_id(read: "ReadRows") -> dict[int, str]:
    """What each stored pipeline is called, by its number."""
    return {one.id: one.label for one in all_labelled(read)}


def chosen(
    known: Sequence[StoredPipeline], wanted: str | int | Iterable[str | int] | None
) -> tuple[StoredPipeline, ...] | None:
    """The pipelines that were asked for: by label, name, id, or a unique beginning of these.

    A name that several pipelines have chooses them all. None chooses without a limit.

    Raises:
        ConfigError: a word fits none, or is the beginning of several.
    """
    if wanted is None:
        return None
    found = {pipeline for word in listed("pipelines", wanted) for pipeline in _fitting(known, word)}
    return tuple(p for p in known if p in found)


def listed(argument: str, names: Any) -> list[Any]:
    """The names that an argument holds: one alone, or several.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(names, str) or (argument == "pipelines" and isinstance(names, int)):
        return [names]
    try:
        return list(names)
    except TypeError:
        raise ConfigError(f"{argument}={names!r} is neither a name nor a list of names") from None


def _fitting(known: Sequence[StoredPipeline], word: str | int) -> list[StoredPipeline]:
    exact = [p for p in known if word in (p.id, p.name, p.label, p.external_id)]
    if exact or not isinstance(word, str) or not word:
        return exact or _none(known, word)
    begun = [p for p in known if any(n.startswith(word) for n in (p.external_id, p.label))]
    if len(begun) > 1:
        names = ", ".join(f"{p.label} ({p.external_id})" for p in begun[:5])
        raise ConfigError(f"{word!r} is the beginning of several pipelines: {names}")
    return begun or _none(known, word)


def _none(known: Sequence[StoredPipeline], word: str | int) -> list[StoredPipeline]:
    labels = [p.label for p in known]
    words = list(dict.fromkeys([*labels, *(p.external_id for p in known)]))
    mend = did_you_mean(word, words) or _listing(labels)
    raise ConfigError(f"there is no pipeline {word!r}{mend}")


def _listing(labels: Sequence[str]) -> str:
    """The end of a sentence that lists what is known, and how many more there are."""
    more = len(labels) - _NAMED
    rest = f" and {more} more; `runsync pipelines` lists all" if more > 0 else ""
    return f"; known: {', '.join(labels[:_NAMED])}{rest}" if labels else ""


def _labels(row: _Row, known: Sequence[_Row]) -> Iterator[str]:
    """Labels of one of several pipelines with one name, the shortest first, without an end.

    Of the id at least eight characters, and as many as tell it from the others' ids.
    """
    id, source, external_id, name = row
    others = [one[2] for one in known if one[3] == name and one[0] != id]
    if external_id not in others:
        for length in range(_SHORT, len(external_id)):
            if not any(other.startswith(external_id[:length]) for other in others):
                yield f"{name} ({external_id[:length]})"
        yield f"{name} ({external_id})"
    yield f"{name} ({source} {external_id})"
    yield from (f"{name} ({source} {external_id} #{number})" for number in count(1))
