"""The parts of reports in a temporary file, so that memory holds those of one report at a time."""

import pickle
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import IO

from runsync.errors import DatabaseError
from runsync.reports.parts import Piece, together
from runsync.reports.report import Frames

_Places = list[list[int]]
_LITTLE = 8 << 20
"""How many bytes of parts are held together where they need not be."""


class PartFile:
    """Parts of reports, by the names of these. The file has no name, and goes when it is closed."""

    def __init__(self) -> None:
        self._places: dict[str, dict[tuple[int, ...] | None, _Places]]
        self._places = defaultdict(lambda: defaultdict(list))
        self._sizes: dict[tuple[str, tuple[int, ...] | None], int] = defaultdict(int)

    @cached_property
    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile()

    def __contains__(self, report: str) -> bool:
        return report in self._places

    def close(self) -> None:
        """Gives the room back."""
        if "_file" in vars(self):
            with suppress(OSError):  # what there was no room for is not missed
                self._file.close()

    def add(self, report: str, pipeline_ids: tuple[int, ...] | None, frames: Frames) -> None:
        """Keeps a part.

        Args:
            pipeline_ids: whose runs it holds, of which no part with other ids holds any; None: of
                any.

        Raises:
            DatabaseError: it cannot be written.
        """
        places: list[int] = []
        try:
            self._file.seek(0, 2)
            for piece in frames:
                places.append(self._file.tell())
                pickle.dump(piece, self._file, pickle.HIGHEST_PROTOCOL)
            self._file.flush()
            end = self._file.tell()
        except OSError as error:
            raise DatabaseError(
                f"the parts of the page cannot be kept in a temporary file ({error.strerror}); "
                "make room for it, or name a folder that has room in TMPDIR"
            ) from error
        self._places[report][pipeline_ids].append(places)
        self._sizes[report, pipeline_ids] += end - places[0] if places else 0

    def by_pipelines(self, report: str) -> Iterator[Frames]:
        """Its parts, merged: those of a pipeline together, and as many as take little room."""
        some: _Places = []
        size = 0
        for ids, places in self._places[report].items():
            if some and size + self._sizes[report, ids] > _LITTLE:
                yield self._merged(some)
                some, size = [], 0
            some, size = some + places, size + self._sizes[report, ids]
        yield self._merged(some)

    def whole(self, report: str) -> Frames:
        """All its parts, merged."""
        each = self._places[report].values()
        return self._merged([places for some in each for places in some])

    def _merged(self, parts: Sequence[Sequence[int]]) -> Frames:
        return tuple(
            together(map(self._piece, places), map(self._piece, places))
            for places in zip(*parts, strict=True)
        )

    def _piece(self, place: int) -> Piece:
        self._file.seek(place)
        piece: Piece = pickle.load(self._file)  # noqa: S301 - no one else can write to it
        return piece
