"""What runs in another process, or as another user, for tests of what holds between those."""

import os
import select
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def as_nobody(act: Callable[[], object]) -> str:
    """What ``act`` returns or raises, as text, where file permissions count (root has none)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = _said(act)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)
    return text


def _said(act: Callable[[], object]) -> str:
    try:
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return str(act())
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        return f"{type(error).__name__}: {error}\n{traceback.format_exc()}"


PROGRAM = """
import sys
from runsync.storage.database import Database
database = Database(sys.argv[2])
def say(word):
    print(word, flush=True)
{body}
"""


class Other:
    """A process that has said that it is ready, and does what it is told by a line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def hear(self, seconds: float = 20) -> str:
        """The next word that it says."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, "the other process says nothing"
        return self.process.stdout.readline().strip()

    def tell(self, word: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()


@contextmanager
def other(body: str, url: str, *arguments: str) -> Iterator[Other]:
    """Another process with a ``database`` of that URL, that runs ``body``."""
    program = PROGRAM.format(body=body)
    with subprocess.Popen(
        [sys.executable, "-c", program, "-", url, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    ) as process:
        try:
            yield Other(process)
        finally:
            process.kill()
