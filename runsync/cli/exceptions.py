"""The two ways for a command to end early that are no error of anybody's."""

from runsync.errors import RunsyncError


class InterruptedHereError(RunsyncError):
    """Ctrl-C. A command that knows better what stays raises it with a text of its own."""

    exit_code = 130

    def __init__(self, said: str = "interrupted; what was committed until then stays") -> None:
        super().__init__(said)


class BrokenOffError(RunsyncError):
    """Whoever read the output has gone (``| head``): nothing to say, and 141 as of SIGPIPE."""

    exit_code = 141

    def __init__(self) -> None:
        super().__init__("")
