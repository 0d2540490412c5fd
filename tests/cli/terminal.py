"""runsync on a terminal: a process whose stdout and stderr are a pseudo-terminal."""

import fcntl
import os
import struct
import termios
from contextlib import closing

from tests.cli.conftest import process


def on_a_terminal(*args: object, columns: int = 80, **env: str) -> str:
    """What the terminal was sent, until the process ended."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    ended = process(
        *args,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={"TERM": "xterm", "COLUMNS": "", "NO_COLOR": ""} | env,
    )
    os.close(theirs)
    said = b""
    with closing(os.fdopen(ours, "rb", buffering=0)) as terminal:
        while True:
            try:
                part = terminal.read(65536)
            except OSError:  # so Linux says that nobody writes any more
                break
            if not part:
                break
            said += part
    ended.wait()
    return said.decode()
