"""Two ways for a command to end early that are nobody's error."""

from runsync.errors import RunsyncError


class InterruptedHereError(RunsyncError):
    """Ctrl-C. A command that knows more of what stays gives a text of its own."""

    exit_code = 130

    def __init__(self, said: str = "interrupted; what was committed until then stays") -> None:
        super().__init__(said)


class ReaderGoneError(RunsyncError):
    """The reader of the output has gone (``| head``): no message, and 141 as after SIGPIPE."""

    exit_code = 141

    def __init__(self) -> None:
        super().__init__("")
