"""Every error that runsync raises on purpose: its exit code, and one sentence with the mend.

An error's text says what happened, where, and what to do. ``cli.main`` catches
:class:`RunsyncError` once, prints the text and exits with :attr:`RunsyncError.exit_code`;
anything else that gets there is a bug.
"""

from datetime import datetime
from typing import ClassVar, Self


class RunsyncError(Exception):
    """What happened, where, and what to do, in one sentence."""

    exit_code: ClassVar[int] = 1


class BugError(RunsyncError):
    """runsync itself is at fault; the cause has the traceback."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """The same as a sentence."""
        said = " ".join(str(error).split())[:200]
        bug = cls(
            f"this is a bug in runsync ({type(error).__name__}{': ' + said if said else ''}); "
            "`runsync --debug …` shows where, please report that"
        )
        bug.__cause__ = error
        return bug


class ConfigError(RunsyncError):
    """The config, or what was typed on the command line, cannot be used."""

    exit_code = 2


class TokenRefusedError(RunsyncError):
    """The source answered 401 or, as :class:`ForbiddenError`, 403."""

    exit_code = 3


class ForbiddenError(TokenRefusedError):
    """The source answered 403: this token may not read what was asked for."""


class SourceError(RunsyncError):
    """The source cannot be reached, or its answer cannot be used."""

    exit_code = 4


class NotFoundError(SourceError):
    """The source answered 404 or 410: it does not know, or no longer knows, what was asked for.

    ``as_of`` is when, by the provider's clock.
    """

    def __init__(self, text: str, as_of: datetime | None = None) -> None:
        super().__init__(text)
        self.as_of = as_of


class RefusedError(SourceError):
    """The source answered another 4xx: it will not do what was asked."""

    exit_code = 2


class TooLargeError(SourceError):
    """The source answers more than is taken at once."""


class RateLimitedError(SourceError):
    """The source asks to wait for longer than one sync should."""


class CancelledError(SourceError):
    """The request was given up since the sync is being stopped."""


STOPS = (CancelledError, RateLimitedError)
"""After these nothing more is asked of the source, so they are no fault of what was asked for."""
NOTHING_MORE_TO_ASK = (*STOPS, TokenRefusedError)
"""After these every other request of the source would fail in the same way."""


class PartialError(RunsyncError):
    """Done in part: what was done stays, and the text says what was not."""

    exit_code = 4


class DatabaseError(RunsyncError):
    """The database cannot be opened, or its schema does not fit this version."""

    exit_code = 5


class ArchiveError(DatabaseError):
    """The archive cannot be read or written, or does not belong to this database."""


class UnavailableError(DatabaseError):
    """The database refused for the moment, or its connection broke: the same may succeed again."""


START_APART = (
    "nothing was overwritten. Give the source another name in the config, and its runs are stored "
    "apart from the old ones"
)


class HistoryRestartedError(SourceError):
    """The source uses the id of a stored run for another run: its numbers have begun again."""


class CheckFailedError(RunsyncError):
    """A rule of ``[[checks]]`` fails."""

    exit_code = 6


class LockedError(RunsyncError):
    """Another sync holds the lock."""

    exit_code = 75
