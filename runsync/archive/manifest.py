"""What an archive holds: each pipeline's folder, and a fingerprint of each of its months."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, select

from runsync.archive.files import replacing
from runsync.errors import ConfigError
from runsync.storage import tables
from runsync.storage.pipelines import labelled

TABLES = ("runs", "steps")
_FILE = "_runsync.json"
_LAYOUT = 1


@dataclass(frozen=True, slots=True)
class Label:
    """A pipeline's name in the files, which may change, and its key, which does not."""

    label: str
    key: str


def pipeline_labels(connection: Connection) -> dict[int, Label]:
    """Names as reports give them: made distinct where several pipelines have the same."""
    p = tables.pipelines.c
    query = select(p.id, p.source, p.external_id, p.name)
    named = labelled((row[0], row[1], row[2], row[3]) for row in connection.execute(query))
    return {one.id: Label(one.label, f"{one.source}/{one.external_id}") for one in named}


def pipeline_folder(label: str) -> str:
    """``pipeline=NAME`` as Hive writes it, so that no name can leave its place."""
    escaped = quote(label, safe=" ()+,@")
    if len(escaped) > 200:
        escaped = f"{escaped[:180]}-{hashlib.sha256(label.encode()).hexdigest()[:16]}"
    return f"pipeline={escaped}"


class Manifest:
    """What the last export left: of each pipeline its folder, and each month's fingerprint."""

    def __init__(self, folder: Path, format: str) -> None:
        self._folder, self._path = folder, folder / _FILE
        self._format = format
        self._pipelines: dict[str, dict[str, Any]] = {}
        self._keys: dict[int, str] = {}
        if self._path.exists():
            self._pipelines = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            found, layout = state["format"], state["layout"]
            pipelines: dict[str, dict[str, Any]] = state["pipelines"]
        except (ValueError, KeyError, TypeError):
            return {}  # written by something else; all months are written anew
        if found != self._format:
            raise ConfigError(
                f"{self._folder} holds an export as {found}; name another folder for {self._format}"
            )
        return pipelines if layout == _LAYOUT else {}

    def rename(self, labels: dict[int, Label]) -> None:
        """Moves the folders of pipelines that have another name than before."""
        for id, label in labels.items():
            self._keys[id] = label.key
            entry = self._pipelines.setdefault(
                label.key, {"folder": pipeline_folder(label.label), "months": {}}
            )
            if entry["folder"] != pipeline_folder(label.label):
                self._move(entry, pipeline_folder(label.label))
        self.save()

    def _move(self, entry: dict[str, Any], name: str) -> None:
        for table in TABLES:
            old, new = self._folder / table / entry["folder"], self._folder / table / name
            if new.exists():  # another pipeline had this name: its months are written anew
                entry["months"] = {}
            elif old.exists():
                old.rename(new)
        entry["folder"] = name

    def holds(self, id: int, month: str, found: str) -> bool:
        """Whether that month was written as it is now."""
        entry = self._pipelines[self._keys[id]]
        path = self._folder / "runs" / entry["folder"] / f"month={month}"
        return bool(entry["months"].get(month) == found) and path.is_dir()

    def keep(self, id: int, month: str, found: str) -> None:
        self._pipelines[self._keys[id]]["months"][month] = found

    def save(self) -> None:
        state = {"format": self._format, "layout": _LAYOUT, "pipelines": self._pipelines}
        with replacing(self._path) as made:
            made.write_text(json.dumps(state, indent=1, sort_keys=True), encoding="utf-8")
