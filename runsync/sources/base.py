"""What a source must do, so that the engine needs to know no provider.

A source turns a provider's answers into records and knows how the provider pages; it knows no
database. The engine asks it four things: which listing a ``[[pipelines]]`` means, the pages of a
listing, what completes a listed run, and one run again by its id. What people ask stands in
``live.py``.

All methods may be called from several threads at once.
"""

from abc import abstractmethod
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import ConfigError, SourceError
from runsync.http.client import Client, Limits
from runsync.records import (
    GRACE,
    Cursor,
    Pipeline,
    Problem,
    Run,
    RunWithSteps,
    Status,
    Step,
    parse_time,
    settles_at,
)
from runsync.sources.fields import BadRowError
from runsync.sources.live import Access, Discovered, LiveSource, RunFilter, TriggerRequest

BEGUN = "begun"
"""Under which key of a listing's memory the provider's time of its first page stands, as ISO text,
where the source needs it."""
REMEMBERED_NAMES = ("default_branch", "workflow_names")
"""Under which keys of a listing's memory stands what its pipelines are called."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one ``[[pipelines]]`` names: an ordered list of runs, newest first.

    ``key`` names it in the database: ``wercker/pipeline/5751…``. ``pipelines`` are those known
    to be in it beforehand; others show up with their runs. ``ref`` is the source's own.
    """

    key: str
    ref: str
    label: str | None = None
    pipelines: tuple[Pipeline, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where to go on in a listing: from ``cursor`` down, ``cursor`` itself included.

    ``rank`` is how many runs are thought to stand above it, for providers that page by number.
    It is a guess: what stands there may have been deleted since.
    """

    cursor: Cursor
    rank: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A run where it stands in its listing. Of a ``stub`` only the id is sure; ``complete`` tells
    the rest. ``details``: the run with its steps, where the listing itself shows them."""

    cursor: Cursor
    run: Run
    stub: bool = False
    details: RunWithSteps | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, newest first, that joins the page before it without a gap.

    ``items`` are runs, and what could not be read in the place where it stood: there the walk
    has a hole, unless the problem says that nothing was ``lost``. A bare ``Cursor`` is a place
    that was read and holds no run of this listing: history is covered from there on as well.
    ``at_start``: nothing older is left. ``unchanged``: the provider says that the top is as it was
    when ``memory`` was kept; ``items`` is then empty. ``aside``: the items stand outside the order,
    since they have only now come into the listing (a job that was moved into a folder, with its
    history) or were found by their changes, and say nothing of how far the walk has come.
    """

    items: tuple[Listed | Problem | Cursor, ...]
    as_of: datetime
    at_start: bool = False
    unchanged: bool = False
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A run is at ``as_of`` as it was when ``validator``, or the one before it, was given."""

    as_of: datetime
    validator: str


class Source(LiveSource):
    """One configured CI service."""

    grace: ClassVar[timedelta] = GRACE
    """How long after its finish a run may still change."""
    recheck: ClassVar[timedelta] = timedelta(0)
    """How far back from now the listing is read at every sync, though it is covered: as long as a
    finished run may be run again without moving to the top."""

    lasting_memory: ClassVar[tuple[str, ...]] = ()
    """Keys of a listing's memory that say what its covered intervals stand for: they are saved
    before an interval is, and told to every walk but one that is to read all again."""

    walk_memory: ClassVar[tuple[str, ...]] = ()
    """Keys of a listing's memory that tell of the walk alone: they are kept where that came to its
    end, though some run could not be read."""

    walked_key: ClassVar[str | None] = None
    """The key of a listing's memory under which stands when the last whole walk was made, or the
    last change that it saw: from then on, less ``recheck``, the listing is read again. None: from
    now on."""

    page_runs: ClassVar[int] = 100
    """How many runs of a listing one request brings."""
    requests_per_run: ClassVar[int] = 1
    """How many requests it takes to read a listed run with its steps."""
    needs_begin: ClassVar[bool] = False
    """Whether ``memory`` tells under ``BEGUN`` when a listing was first asked for, also where no
    sync of it has come to its end yet."""

    lists_changes: ClassVar[bool] = False
    """Whether a run that changes moves to the top of its listing with another ``version``, so that
    none need be read again by id to learn of that."""

    def __init__(
        self, config: SourceConfig, *, concurrency: int = 8, limits: Limits | None = None
    ) -> None:
        self.name, self.type = config.name, config.type
        # Whether runs are read with what only their detail tells, as `details` in the config says.
        self.has_details = config.details
        self._config, self._concurrency, self._limits = config, concurrency, limits

    @cached_property
    def client(self) -> Client:
        """What asks the service. Made when first needed: naming listings needs no token.

        Raises:
            ConfigError: the token is not where the config says.
        """
        return Client(
            self._config.base_url,
            headers=self.headers(self._config.token()),
            name=self.name,
            concurrency=self._concurrency,
            limits=self._limits,
            is_limit=self.is_limit,
            is_refusal=self.is_refusal,
        )

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        """The headers of every request, the token's among them."""
        return {"Authorization": f"Bearer {token}"} if token else {}

    @staticmethod
    def is_limit(status: int, headers: Mapping[str, str], body: str) -> bool:
        """Whether an error answer means "slow down", and names no time, in this provider's words.

        It is then waited for a minute, and ever longer. 429 and ``Retry-After`` need no words.
        """
        return False

    @staticmethod
    def is_refusal(status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer other than 200 means "this token is refused", in this provider's way.

        401 needs no telling.
        """
        return False

    def settles(self, details: RunWithSteps) -> bool:
        """Whether this run, as it was read, need not be read again unless the listing says so."""
        if self.lists_changes:
            finished = details.run.status is Status.FINISHED
            return finished and details.steps_read and not details.problems
        at = settles_at(details, self.grace)
        return at is not None and details.as_of >= at

    def recheck_since(self, memory: Mapping[str, Any], now: datetime) -> datetime:
        """The time down to which the listing is read at every sync, though it is covered.

        Args:
            memory: as the last whole sync left it.
            now: the provider's clock.
        """
        told = memory.get(self.walked_key) or memory.get(BEGUN) if self.walked_key else None
        return min(now, parse_time(told) if told else now) - self.recheck

    def close(self) -> None:
        """Gives back the connections."""
        if "client" in vars(self):
            self.client.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around what reads an answer: what it must tell and does not is a SourceError."""
        try:
            yield
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}") from error

    def bad_key(self, kind: str, due: str) -> ConfigError:
        """An error for a ``[[pipelines]]`` with a key that means nothing here.

        Args:
            due: what to write instead.
        """
        return ConfigError(f"{self.title} has no `{kind}` (source {self.name!r}); write {due}")

    def bad_name(self, value: str, what: str) -> ConfigError:
        """An error for what a config names and nothing here can be called.

        Args:
            what: what it is not, and what to write: ``Wercker id; those are 24 hex digits``.
        """
        return ConfigError(f"{value!r} of source {self.name!r} is no {what}")

    def check_run_id(self, run: Run, run_id: str) -> None:
        """Refuses another run than the one that was asked for.

        Raises:
            SourceError: it is another one.
        """
        if run.id != run_id:
            raise SourceError(f"{self.name}: run {run_id} was asked for, and run {run.id} came")

    def listing_name(self, listing: Listing) -> str:
        """What a listing is called in an error."""
        return f"{self.name}: the listing {listing.key}"

    def moves_too_fast(self, listing: Listing) -> SourceError:
        """An error for a listing of which no two readings agree."""
        return SourceError(
            f"{self.listing_name(listing)} moves faster than it can be read; "
            "what was read is kept: sync again"
        )

    # What the engine asks.

    @abstractmethod
    def listing(self, wanted: PipelineConfig) -> Listing:
        """What a ``[[pipelines]]`` means here. Asks nothing over the network.

        Raises:
            ConfigError: the id is not of this provider's form.
        """

    @abstractmethod
    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        """Walks a listing from its top, or from ``resume_point``, to its start, newest first.

        Each page holds what the pages before it did not, and joins them without a gap, however
        the listing moves meanwhile. The caller stops when it has seen enough. ``memory`` is what
        the source wrote there in the last whole sync of this listing (an ETag, say).

        Raises:
            SourceError: the provider cannot be read; what was yielded stays good.
        """

    @abstractmethod
    def complete(self, run: Run) -> RunWithSteps:
        """A listed run with its steps, and whatever else the listing lacked.

        Raises:
            NotFoundError: the provider does not know the run any more. That its steps are not
                found proves nothing: then the run itself is asked for.
            ForbiddenError: the token may not read this run.
            SourceError: the provider cannot be read.
        """

    def complete_if_changed(self, run: Run, validator: str) -> RunWithSteps | Unchanged:
        """Like :meth:`complete`, for a run of which an earlier answer gave this ``validator``."""
        return self.complete(run)

    def reread_if_changed(
        self, pipeline: Pipeline, run_id: str, validator: str
    ) -> RunWithSteps | Unchanged:
        """Like :meth:`reread`, for a run of which an earlier answer gave this ``validator``."""
        return self.reread(pipeline, run_id)


def basic_or_bearer(token: str | None) -> dict[str, str]:
    """The header for a token, or for what is ``user:token`` or ``user:password``."""
    return basic_auth(token) if token and ":" in token else Source.headers(token)


def basic_auth(user_and_password: str) -> dict[str, str]:
    """The header for ``user:password``."""
    return {"Authorization": f"Basic {b64encode(user_and_password.encode()).decode()}"}


__all__ = [
    "BEGUN",
    "Access",
    "Cursor",
    "Discovered",
    "Listed",
    "Listing",
    "Page",
    "Pipeline",
    "Problem",
    "ResumePoint",
    "Run",
    "RunFilter",
    "RunWithSteps",
    "Source",
    "Step",
    "TriggerRequest",
    "Unchanged",
    "basic_auth",
    "basic_or_bearer",
]
