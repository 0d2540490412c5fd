"""Where an archive lies: a folder, or a place that fsspec knows by a URL such as ``s3://bucket/ci``.

A file appears whole or not at all, under a name that no other content has; only the manifest is
replaced. So whoever reads by the manifest never sees a half-written archive.
"""

import errno
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from runsync.errors import ArchiveError, ConfigError, LockedError

LOCK_NAME = "_runsync.lock"
_BUCKETS = {"s3", "gs", "gcs", "abfs", "az"}
_CLIENTS = {
    "botocore",
    "aiobotocore",
    "aiohttp",
    "ftplib",
    "paramiko",
    "requests",
    "gcsfs",
    "azure",
}
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_MENDS = {
    errno.ENOSPC: "make room, then export again; the archive is as it was",
    errno.EDQUOT: "make room, then export again; the archive is as it was",
}


def located(place: "str | Path | ArchiveLocation") -> "ArchiveLocation":
    """The archive at a path or URL.

    Raises:
        ConfigError: it is empty; fsspec, or what it needs for that URL, is not installed.
        ArchiveError: the URL's server does not answer.
    """
    if isinstance(place, ArchiveLocation):
        return place
    text = str(place)
    if not text:
        raise ConfigError("the archive's folder has an empty name; write . for this folder")
    if isinstance(place, Path) or "://" not in text:
        return FolderLocation(Path(text).expanduser())
    if text.startswith("file://"):
        return FolderLocation(Path(text.removeprefix("file://")))
    return RemoteLocation(text)


class ArchiveLocation(ABC):
    """The files of one archive, by their paths within it, such as ``runs/2024-05.parquet``.

    Attributes:
        name: the path or URL, for people.
        filesystem: what DuckDB and pyarrow read the files by; None for local ones.
    """

    name: str
    filesystem: Any = None

    @abstractmethod
    def address(self, path: str) -> str:
        """The file's path or URL, as DuckDB takes it."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read.
        """

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Its length in bytes; None where there is no such file."""

    @abstractmethod
    def open(self, path: str) -> Any:
        """The file, to be read anywhere in it and then closed."""

    @abstractmethod
    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        """A new file to be filled, which is there once the block has ended well."""
        yield from ()

    @abstractmethod
    def replace(self, path: str, content: bytes) -> None:
        """Puts a file in the place of another at once."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Takes a file away, if it is there."""

    @abstractmethod
    def sizes(self, folder: str) -> dict[str, int]:
        """All files in a folder and below it, with their lengths in bytes."""

    @abstractmethod
    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the archive's lock: it has one writer.

        Raises:
            LockedError: another export holds it.
        """
        yield


class FolderLocation(ArchiveLocation):
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, str(folder)

    def address(self, path: str) -> str:
        return str(self.folder / path)

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def size(self, path: str) -> int | None:
        try:
            return (self.folder / path).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, path: str) -> Any:
        return (self.folder / path).open("rb")

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with made.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)

    def replace(self, path: str, content: bytes) -> None:
        with self.writing(path) as file:
            file.write(content)

    def delete(self, path: str) -> None:
        target = self.folder / path
        target.unlink(missing_ok=True)
        for folder in target.parents:
            if folder == self.folder or any(folder.iterdir()):
                break
            folder.rmdir()

    def sizes(self, folder: str) -> dict[str, int]:
        found = (p for p in (self.folder / folder).rglob("*") if p.is_file())
        return {p.relative_to(self.folder).as_posix(): p.stat().st_size for p in found}

    @contextmanager
    def lock(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f".{LOCK_NAME}", timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise LockedError(
                f"another export is writing to {self.name}; try again once it has ended"
            ) from None
        try:
            yield
        finally:
            lock.release()


def without_password(url: str) -> str:
    """The URL, for people: ``ftp://user:***@host/ci``."""
    return _PASSWORD.sub(r"\1:***@", url)


class RemoteLocation(ArchiveLocation):
    """A place that fsspec knows by its URL, such as a bucket and a prefix in it."""

    def __init__(self, url: str) -> None:
        self.name = without_password(url.rstrip("/"))
        try:
            import fsspec

            with errors_in_sentences(self):  # some connect at once
                self.filesystem, root = fsspec.url_to_fs(url.rstrip("/"))
        except ImportError as error:
            raise ConfigError(
                f"{self.name} needs more than is installed ({error}); pip install "
                "'runsync[archive]' and the package that it names"
            ) from None
        except ValueError as error:
            raise ConfigError(f"{self.name} is no URL that an archive can be at: {error}") from None
        self._root = PurePosixPath(root)
        self._scheme = url.partition("://")[0]

    def _full(self, path: str) -> str:
        return str(self._root / path)

    def address(self, path: str) -> str:
        return f"{self._scheme}://{self._full(path).lstrip('/')}"

    def read(self, path: str) -> bytes:
        content: bytes = self.filesystem.cat_file(self._full(path))
        return content

    def size(self, path: str) -> int | None:
        try:
            return int(self.filesystem.info(self._full(path), refresh=True)["size"])
        except FileNotFoundError:
            return None

    def open(self, path: str) -> Any:
        return self.filesystem.open(self._full(path), "rb")

    @contextmanager
    def writing(self, path: str) -> Iterator[BinaryIO]:
        self._make_folder(path)
        with self.filesystem.open(self._full(path), "wb") as file:
            yield file

    def replace(self, path: str, content: bytes) -> None:
        self._make_folder(path)
        self.filesystem.pipe_file(self._full(path), content)

    def delete(self, path: str) -> None:
        try:
            self.filesystem.rm_file(self._full(path))
        except FileNotFoundError:
            return

    def sizes(self, folder: str) -> dict[str, int]:
        self.filesystem.invalidate_cache()
        try:
            found = self.filesystem.find(self._full(folder), detail=True)
        except FileNotFoundError:
            return {}
        # A file system may name its files with a root of its own, such as a slash.
        start = str(self._root).strip("/") + "/"
        return {
            str(path).strip("/").removeprefix(start): int(known["size"])
            for path, known in found.items()
        }

    def _make_folder(self, path: str) -> None:
        """Makes the file's folder; a bucket has none, and must be there."""
        protocol = self.filesystem.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        if not names & _BUCKETS:
            self.filesystem.makedirs(str((self._root / path).parent), exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """An object that only one can make; whoever was killed leaves it behind."""
        path = self._full(LOCK_NAME)
        self._make_folder(LOCK_NAME)
        try:
            self._create(path, f"{time.strftime('%FT%TZ', time.gmtime())} {os.getpid()}".encode())
        except FileExistsError:
            since = self.filesystem.cat_file(path).decode(errors="replace").partition(" ")[0]
            raise LockedError(
                f"another export has been writing to {self.name} since {since}; where none runs "
                f"any more, delete {self.address(LOCK_NAME)}"
            ) from None
        try:
            yield
        finally:
            self.delete(LOCK_NAME)

    def _create(self, path: str, content: bytes) -> None:
        self.filesystem.invalidate_cache()
        if self.filesystem.exists(path):
            raise FileExistsError(path)
        try:
            self.filesystem.pipe_file(path, content, mode="create")
        except NotImplementedError:
            self.filesystem.pipe_file(path, content)


@contextmanager
def errors_in_sentences(location: ArchiveLocation, *, writing: bool = False) -> Iterator[None]:
    """Says of what goes wrong with an archive's files where it is, and what to do.

    Raises:
        ArchiveError: a file cannot be read, or a disk is full.
        ConfigError: the place may not be written to.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        where = error.filename or location.name
        if not writing:
            raise ArchiveError(
                f"cannot read the archive {where}: {reason}; see that it is there and may be read"
            ) from error
        if error.errno in _MENDS:
            raise ArchiveError(
                f"cannot write to {where}: {reason}; {_MENDS[error.errno]}"
            ) from error
        raise ConfigError(
            f"cannot write to {where}: {reason}; name a folder that you may write to"
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in _CLIENTS:
            what = " ".join(str(error).split())[:200]
            raise ArchiveError(f"the archive {location.name} cannot be reached: {what}") from error
        raise
