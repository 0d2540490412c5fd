"""The live API of a source: what people ask of it, and what it refuses before anything is sent.

A sync asks for nothing of this. What a provider does not offer its source leaves out, and
:class:`LiveSource` says so in a sentence.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, TypedDict, TypeVar

from runsync.errors import RefusedError
from runsync.http.client import Response
from runsync.providers import provider
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Status, Step

_Word = TypeVar("_Word")


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
    """What ``doctor`` wants to know: is the token accepted, and how much may still be asked.

    ``clock`` is the provider's; what it does not tell is None, and no scope is then missing.
    """

    clock: datetime
    account: str | None = None
    scopes: tuple[str, ...] | None = None
    missing_scopes: tuple[str, ...] = ()
    limit_left: int | None = None
    limit: int | None = None


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


class LiveSource(ABC):
    """What ``runsync runs``, ``doctor`` and ``init --discover`` ask of a source."""

    name: str
    type: str

    run_ids_are_unique: ClassVar[bool] = False
    """Whether a run's id alone says which run it is, without its pipeline."""
    run_id_pattern: ClassVar[re.Pattern[str]] = re.compile(".*")
    """The form of a run's id."""
    run_id_description: ClassVar[str] = "id of a run"
    """What such an id is called in an error."""
    pipeline_word: ClassVar[str] = "pipeline"
    """What an error calls that without which a run's id says nothing."""

    @property
    def title(self) -> str:
        """The provider's name, as people write it."""
        return provider(self.type).title

    @abstractmethod
    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """One run with its steps, by its id.

        Raises:
            NotFoundError: the provider does not know it any more.
            ForbiddenError: the token may not read this run.
            SourceError: the provider cannot be read.
        """

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """One run, by the id that a person has typed, with all that the provider tells of it.

        An id without an attempt means the newest one. The run may hold what is never stored.

        Raises:
            NotFoundError: the provider does not know it.
            RefusedError: it is no id of this provider's; nothing was asked.
        """
        return self.reread(pipeline, self.valid_run_id(run_id))

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

    def discover(self) -> Iterator[Discovered | Problem]:
        """What the token can see, as far as the provider lists it, in the provider's order; and
        what of it cannot be read, or named in a config.

        Each is found once: what stands for several pipelines comes before those in it.

        Raises:
            SourceError: the provider cannot be read.
        """
        raise self.lacks("list what a token can see")

    def access(self) -> Access:
        """Whether the token is accepted, and for what."""
        raise self.lacks("tell about a token")

    # What is refused before anything is sent; each raises RefusedError.

    def lacks(self, what: str) -> RefusedError:
        """An error that says what this provider does not offer."""
        return RefusedError(f"{self.title} cannot {what} (source {self.name!r})")

    def valid_run_id(self, run_id: str) -> str:
        """A run's id that a person has typed, in lower case, if it has the form of one."""
        if not self.run_id_pattern.fullmatch(run_id):
            raise RefusedError(f"{run_id!r} is no {self.run_id_description}")
        return run_id.lower()

    def require_pipeline(self, pipeline: Pipeline | None) -> Pipeline:
        """The pipeline of a run, where a run's id says nothing without it."""
        if pipeline is None or not pipeline.external_id:
            word = self.pipeline_word
            raise RefusedError(f"source {self.name!r} finds runs only by {word}: name it as well")
        return pipeline

    def refuse_if_over(self, run: Run) -> None:
        """Refuses to abort a run that is over."""
        if run.status is Status.FINISHED:
            raise RefusedError(f"{self.name}: run {run.id} is over; nothing is left to abort")

    def refuse_unsupported(
        self, what: str, wanted: RunFilter | TriggerRequest, supported: str
    ) -> None:
        """Refuses what is wanted by any other field than those, separated by spaces, that the
        provider supports."""
        for name in wanted.__slots__:
            value = getattr(wanted, name)
            if name not in supported.split() and value not in (None, ()):
                raise self.lacks(f"{what} by {name} ({value!r})")

    def provider_word(
        self, wanted: RunFilter, name: str, words: Mapping[str, _Word]
    ) -> _Word | None:
        """The provider's word for what is wanted by a field; None where nothing is."""
        value = getattr(wanted, name)
        if value is not None and value not in words:
            raise self.lacks(f"list runs by {name} ({value!r})")
        return None if value is None else words[value]

    def page_number(self, wanted: RunFilter, longest: int, usual: int = 20) -> tuple[int, int]:
        """How many runs a page is to have, and its number from 1 on, at a provider that numbers
        whole pages."""
        limit, skip = min(wanted.limit or usual, longest), wanted.skip or 0
        if skip % limit:
            raise self.lacks(f"list runs by skip ({skip}), which is no multiple of {limit}")
        return limit, skip // limit + 1


class RateLimit(TypedDict):
    """How much may still be asked, of how much: keywords of :class:`Access`."""

    limit_left: int | None
    limit: int | None


def rate_limit(answer: Response, prefix: str = "X-RateLimit-") -> RateLimit:
    """What the headers of an answer tell of a limit."""
    left, limit = (header_number(answer.headers, f"{prefix}{n}") for n in ("Remaining", "Limit"))
    return RateLimit(limit_left=left, limit=limit)


def has_next(answer: Response) -> bool:
    """Whether the answer names a next page. Where it leads is built by the source, not read."""
    return 'rel="next"' in answer.headers.get("Link", "")


def header_number(headers: Mapping[str, str], name: str) -> int | None:
    """A header's whole number; None where it is missing or none."""
    value = headers.get(name, "")
    return int(value) if value.isdigit() else None
