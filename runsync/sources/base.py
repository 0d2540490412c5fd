"""What a source must do, so that the engine needs to know no provider.

A source turns a provider's answers into records and knows how the provider pages; it knows no
database. The engine asks it four things: which listing a ``[[pipelines]]`` means, the pages of a
listing, what completes a listed run, and one run again by its id. The rest is the live API for
people; a provider that lacks a part of it says so.

All methods may be called from several threads at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from runsync.config import PipelineConfig, SourceConfig
from runsync.errors import RefusedError
from runsync.http.client import Client, Limits
from runsync.providers import provider
from runsync.records import (
    GRACE,
    Cursor,
    Pipeline,
    Problem,
    Run,
    RunWithSteps,
    Status,
    Step,
    settles_at,
)

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


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What ``runs list`` may ask for: the parameters of the Wercker contract."""

    pipeline: str | None = None
    application: str | None = None
    limit: int | None = None
    skip: int | None = None
    sort: str | None = None
    status: str | None = None
    result: str | None = None
    branch: str | None = None
    commit: str | None = None
    source_run: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """A run to be started. The order of ``env`` is kept."""

    pipeline: str
    branch: str | None = None
    commit: str | None = None
    message: str | None = None
    source_run: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """What ``doctor`` wants to know: is the token accepted, and how much may still be asked."""

    account: str | None
    scopes: tuple[str, ...] | None
    missing_scopes: tuple[str, ...]
    limit_left: int | None
    limit: int | None
    clock: datetime


@dataclass(frozen=True, slots=True)
class Discovered:
    """Something that the token can see and a ``[[pipelines]]`` can name.

    ``key`` is the way it is named there (``id``, ``application_id`` or ``repository``), ``value``
    what stands behind it, ``title`` what people call it. ``within`` is what it belongs to (a
    repository, a folder, an organisation), where there is such a thing.
    """

    key: str
    value: str
    title: str
    within: str | None = None


class Source(ABC):
    """One configured CI service."""

    grace: ClassVar[timedelta] = GRACE
    """How long after its finish a run may still change."""
    recheck: ClassVar[timedelta] = timedelta(0)
    """How far back from now the listing is read at every sync, though it is covered: as long as a
    finished run may be run again without moving to the top."""

    lasting_memory: ClassVar[tuple[str, ...]] = ()
    """Keys of a listing's memory that are kept where the walk came to its end, though some run
    could not be read: what they say holds of the walk alone."""

    run_ids_are_unique: ClassVar[bool] = False
    """Whether a run's id alone says which run it is, without its pipeline."""
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

    @property
    def title(self) -> str:
        """The provider's name, as people write it."""
        return provider(self.type).title

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
        return now - self.recheck

    def close(self) -> None:
        """Gives back the connections."""
        if "client" in vars(self):
            self.client.close()

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

    @abstractmethod
    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """One run with its steps, by its id.

        Raises:
            NotFoundError: the provider does not know it any more.
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

    # The live API for people.

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """One run, by the id that a person has typed, with all that the provider tells of it.

        An id without an attempt means the newest one. The run may hold what is never stored.

        Raises:
            NotFoundError: the provider does not know it.
            RefusedError: it is no id of this provider's; nothing was asked.
        """
        return self.reread(pipeline, run_id)

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        """One page of runs, newest first unless ``wanted.sort`` says otherwise.

        Raises:
            RefusedError: the provider cannot filter so.
        """
        raise self.lacks("list runs live")

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        """The log of one step, as text.

        Raises:
            NotFoundError: there is none, or none any more.
        """
        raise self.lacks("show logs")

    def trigger(self, wanted: TriggerRequest) -> Run | None:
        """Starts a run, once: it is never asked for again by itself.

        Returns:
            The run; None where the provider only says that it will come.
        """
        raise self.lacks("trigger runs")

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run | None:
        """Aborts a run that is under way; its new state, where the provider answers it."""
        raise self.lacks("abort runs")

    def discover(self) -> Iterator[Discovered]:
        """What the token can see, as far as the provider lists it, in the provider's order.

        Each is found once: what stands for several pipelines comes before those in it.

        Raises:
            SourceError: the provider cannot be read.
        """
        raise self.lacks("list what a token can see")

    def access(self) -> Access:
        """Whether the token is accepted, and for what."""
        raise self.lacks("tell about a token")

    def _refuse_given(self, what: str, **given: str | None) -> None:
        """Refuses what the provider cannot do by any of the things that are given.

        Raises:
            RefusedError: one of them is not None.
        """
        for name, value in given.items():
            if value is not None:
                raise self.lacks(f"{what} by {name} ({value!r})")

    def lacks(self, what: str) -> RefusedError:
        """An error that says what this provider does not offer."""
        return RefusedError(f"{self.title} cannot {what} (source {self.name!r})")


def header_number(headers: Mapping[str, str], name: str) -> int | None:
    """A header's whole number; None where it is missing or none."""
    value = headers.get(name, "")
    return int(value) if value.isdigit() else None


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
    "header_number",
]
