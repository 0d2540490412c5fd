"""What an archive holds: the one file that says which files count, and what is in them.

Readers go by it alone. It is replaced last, at once, so that an export that was killed leaves the
archive as it was, with files that nobody reads and that the next export takes away.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from runsync.archive.location import ArchiveLocation, errors_in_sentences
from runsync.errors import ArchiveError, ConfigError

FILE = "_runsync.json"
LAYOUT = 2
PARQUET, CSV = "parquet", "csv"
TABLES = ("runs", "steps")

MonthKey = tuple[int, str]
"""A pipeline's number, and a month such as ``2024-05``."""
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class ArchivedMonth:
    """One month of a pipeline's runs.

    Attributes:
        file: in which files its rows are, by their stem.
        runs: how many; ``steps`` too.
        version: that of the month in the database when it was exported.
        checksum: of the rows themselves, whatever file they are in.
        sealed: whether it is whole and over: history was walked through it without a gap, its runs
            have settled or vanished, and their steps are in.
    """

    pipeline_id: int
    month: str
    file: str
    runs: int
    steps: int
    version: str
    checksum: str
    sealed: bool

    @property
    def key(self) -> MonthKey:
        return self.pipeline_id, self.month


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """The two files of one stem, by table: their lengths in bytes; 0 where there is none.

    ``revision`` is that of the database's schema, which says what columns they have.
    """

    stem: str
    runs: int
    steps: int
    revision: str


@dataclass(slots=True)
class Manifest:
    """The state of an archive.

    Attributes:
        generation: grows with every change.
        tables: the database's small tables as they were at the last whole export, as lists of
            rows: pipelines, what their listings are, and what is covered.
    """

    revision: str
    format: str = PARQUET
    generation: int = 0
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, ArchivedFile] = field(default_factory=dict)
    months: dict[MonthKey, ArchivedMonth] = field(default_factory=dict)

    @property
    def pipelines(self) -> dict[int, str]:
        """Which pipeline each number means: ``wercker/5751…``."""
        rows = self.tables.get("pipelines", [])
        return {row["id"]: f"{row['source']}/{row['external_id']}" for row in rows}

    def paths(self) -> set[str]:
        """Every file that counts."""
        return {
            file_path(table, one.stem)
            for one in self.files.values()
            for table in TABLES
            if getattr(one, table)
        }

    def save(self, location: ArchiveLocation) -> None:
        """Puts it in the place of the one before.

        Raises:
            ArchiveError: somebody else has written to the archive meanwhile.
        """
        found = manifest_state(location)
        if found is not None and found.get("generation", 0) != self.generation:
            raise ArchiveError(
                f"another export has written to {location.name} meanwhile; export again"
            )
        self.generation += 1
        location.replace(FILE, self._encoded())

    def _encoded(self) -> bytes:
        state = {
            "format": self.format,
            "layout": LAYOUT,
            "revision": self.revision,
            "generation": self.generation,
            "tables": self.tables,
            "files": [list(asdict(one).values()) for one in self.files.values()],
            "months": [list(asdict(one).values()) for _, one in sorted(self.months.items())],
        }
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode()

    def copy(self) -> "Manifest":
        return replace(self, files=dict(self.files), months=dict(self.months))


def file_path(table: str, stem: str) -> str:
    """Where the rows of a table are, within the archive."""
    return f"{table}/{stem}.parquet"


def read_manifest(location: ArchiveLocation) -> Manifest:
    """The state of an archive, to read it by.

    Raises:
        ArchiveError: there is none, it cannot be read, or it is of another layout or format.
    """
    with errors_in_sentences(location):
        state = manifest_state(location)
    if state is None:
        raise ArchiveError(
            f"there is no archive at {location.name}; `runsync export {location.name}` writes one"
        )
    if state.get("format") != PARQUET:
        raise ArchiveError(
            f"{location.name} holds an export as {state.get('format')}, which only people and "
            "spreadsheets read; export to another folder without --format"
        )
    if state.get("layout") != LAYOUT:
        raise ArchiveError(
            f"the archive {location.name} has layout {state.get('layout')} and this runsync reads "
            f"{LAYOUT}; {_layout_mend(state.get('layout'), location)}"
        )
    return _decoded(state, location)


def manifest_to_extend(location: ArchiveLocation, revision: str) -> Manifest:
    """The state of an archive that is to be written to; of a new one, where there is none.

    Raises:
        ConfigError: the place holds an export of another format.
        ArchiveError: it is of a later layout, or cannot be read.
    """
    state = manifest_state(location)
    if state is None:
        return Manifest(revision)
    if state.get("format") != PARQUET:
        raise ConfigError(
            f"{location.name} holds an export as {state.get('format')}; "
            f"name another folder for {PARQUET}"
        )
    if state.get("layout") == 1:
        return Manifest(revision)
    return read_manifest(location)


def old_state(location: ArchiveLocation) -> dict[str, Any] | None:
    """The manifest of an archive of layout 1, where it is one."""
    state = manifest_state(location)
    return state if state is not None and state.get("layout") == 1 else None


def manifest_state(location: ArchiveLocation) -> dict[str, Any] | None:
    """What the manifest of any layout says, unchecked; None where there is none.

    Raises:
        ArchiveError: it is no JSON.
    """
    try:
        content = location.read(FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        state = json.loads(content)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise ArchiveError(
            f"{location.address(FILE)} cannot be read: it is cut off or was written by something "
            "else; put a copy of it back, or export to another folder"
        )
    return state


def _layout_mend(layout: object, location: ArchiveLocation) -> str:
    if layout == 1:
        return f"`runsync export {location.name}` writes it anew"
    return "a newer runsync wrote it: install that one"


def _decoded(state: Mapping[str, Any], location: ArchiveLocation) -> Manifest:
    try:
        files = _records(ArchivedFile, state["files"])
        months = _records(ArchivedMonth, state["months"])
        manifest = Manifest(
            revision=state["revision"],
            generation=state["generation"],
            tables=state["tables"],
            files={one.stem: one for one in files},
            months={one.key: one for one in months},
        )
        if any(one.file not in manifest.files for one in months):
            raise ValueError("a month names a file that is not listed")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveError(
            f"{location.address(FILE)} is not what runsync writes ({error}); put a copy of it "
            "back, or export to another folder"
        ) from None
    return manifest


def _records(kind: type[_Record], rows: Iterable[Iterable[Any]]) -> list[_Record]:
    number = len(fields(kind))  # type: ignore[arg-type]
    made = [kind(*row) for row in rows]
    if any(len(list(row)) != number for row in rows):
        raise ValueError(f"a {kind.__name__} has another number of fields")
    return made
