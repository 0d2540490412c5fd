"""Buildkite's live API, for people; and what every request of the source goes through."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, TypeVar

from runsync.errors import ConfigError, NotFoundError, RefusedError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Run, RunWithSteps, Status, Step
from runsync.sources import base
from runsync.sources.buildkite.payloads import SLUG, read_build
from runsync.sources.buildkite.words import RESULT_STATES, STATES
from runsync.sources.fields import BadRowError, Fields, describe

PAGE_SIZE = 100
WITH_RETRIED = ("include_retried_jobs", "true")
_SHOWN_RUNS = 20
_NEEDED_SCOPES = ("read_builds",)
_LIMITS = ("RateLimit-User-", "RateLimit-")
_NUMBER = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Told = TypeVar("Told")


class LiveApi(base.Source):
    """What people ask for."""

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self.reread(pipeline, self._number(run_id))

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(self.path(pipeline, "builds", run_id), [WITH_RETRIED])
        found = self._one(answer, pipeline)
        if found.run.id != run_id:
            came = f"build {run_id} was asked for, and build {found.run.id} came"
            raise SourceError(f"{self.name}: {came}")
        return found

    def find_runs(self, wanted: base.RunFilter) -> list[Run]:
        limit, skip = min(wanted.limit or _SHOWN_RUNS, PAGE_SIZE), wanted.skip or 0
        self._refuse(
            source_run=wanted.source_run,
            sort=None if wanted.sort == "creationDateDesc" else wanted.sort,
            skip=str(skip) if skip % limit else None,
            author=None if _UUID.fullmatch(wanted.author or "") else wanted.author,
        )
        own = Pipeline(wanted.pipeline) if wanted.pipeline else None
        if own is None and not wanted.application:
            raise RefusedError(
                f"source {self.name!r} finds builds by pipeline, or by organisation as application"
            )
        organization = (wanted.pipeline or wanted.application or "").partition("/")[0]
        path = self.path(own, "builds") if own else self.organization_path(wanted.application or "")
        given = {"branch": wanted.branch, "commit": wanted.commit, "creator": wanted.author}
        given |= {"per_page": str(limit), "page": str(skip // limit + 1)}
        asked = [WITH_RETRIED, *((key, value) for key, value in given.items() if value)]
        asked += [("state[]", state) for state in self._states(wanted)]
        answer = self.client.get(path, asked)
        told = (own, organization, self.client.base_url, answer.as_of)
        return [self._sure(read_build, raw, *told).run for raw in rows_of(answer, path)]

    def _states(self, wanted: base.RunFilter) -> tuple[str, ...]:
        """Buildkite's states for our words; its own are taken as they are."""
        if wanted.result:
            self._refuse(
                status=None if wanted.status in (None, Status.FINISHED) else wanted.status,
                result=None if wanted.result in RESULT_STATES else wanted.result,
            )
            return RESULT_STATES[wanted.result]
        self._refuse(status=None if wanted.status in {None, *STATES} else wanted.status)
        return STATES[wanted.status] if wanted.status else ()

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        number = self._number(run_id)
        path = self.path(self._known(pipeline), "builds", number, "jobs", step.id, "log")
        text = self._sure(Fields, self.client.get(path).data, path).text("content")
        if not text:
            raise NotFoundError(f"{self.name}: job {step.id} has no log, or it was deleted")
        return text

    def trigger(self, wanted: base.TriggerRequest) -> Run:
        if wanted.source_run:
            raise self.lacks(f"trigger runs by source_run ({wanted.source_run!r})")
        if not wanted.branch:
            raise RefusedError("Buildkite builds a commit of a branch: name the branch")
        body = {
            "commit": wanted.commit or "HEAD",
            "branch": wanted.branch,
            "message": wanted.message,
            "env": dict(wanted.env) or None,
        }
        given = {key: value for key, value in body.items() if value is not None}
        pipeline = Pipeline(wanted.pipeline)
        answer = self.client.send("POST", self.path(pipeline, "builds"), body=given)
        return self._one(answer, pipeline).run

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run:
        known, number = self._known(pipeline), self._number(run_id)
        answer = self.client.send("PUT", self.path(known, "builds", number, "cancel"))
        return self._one(answer, known).run

    def discover(self) -> Iterator[base.Discovered]:
        for slug, title in self._named("v2", "organizations"):
            yield base.Discovered("application_id", slug, title)
            for own, name in self._named("v2", "organizations", slug, "pipelines"):
                yield base.Discovered("id", f"{slug}/{own}", name, within=slug)

    def _named(self, *parts: str) -> Iterator[tuple[str, str]]:
        """The slugs and names of a list that is paged by number, each once."""
        path, seen = checked_path(*parts), set[str]()
        for page in count(1):
            answer = self.client.get(path, {"per_page": PAGE_SIZE, "page": page})
            rows = [self._sure(Fields, raw, f"{path}: a row") for raw in rows_of(answer, path)]
            new = {row.text("slug") or "": row.text("name") for row in rows}
            new = {slug: name for slug, name in new.items() if SLUG.fullmatch(slug)}
            yield from ((slug, name or slug) for slug, name in new.items() if slug not in seen)
            if new.keys() <= seen or not has_next(answer):
                return
            seen |= new.keys()

    def access(self) -> base.Access:
        path = checked_path("v2", "access-token")
        answer = self.client.get(path)
        token = self._sure(Fields, answer.data, path)
        user, scopes = token.child("user"), token.raw.get("scopes")
        held = tuple(map(str, scopes)) if isinstance(scopes, list) else None
        left = partial(base.header_number, answer.headers)
        told = [name for name in _LIMITS if left(f"{name}Remaining") is not None]
        lowest = min(told, key=lambda name: left(f"{name}Remaining") or 0, default="")
        return base.Access(
            account=user.text("name") if user else None,
            scopes=held,
            missing_scopes=() if held is None else tuple({*_NEEDED_SCOPES} - {*held}),
            limit_left=left(f"{lowest}Remaining"),
            limit=left(f"{lowest}Limit"),
            clock=answer.as_of,
        )

    # What every request goes through.

    def _refuse(self, **given: str | None) -> None:
        for name, value in given.items():
            if value is not None:
                raise self.lacks(f"list runs by {name} ({value!r})")

    def _known(self, pipeline: Pipeline | None) -> Pipeline:
        if pipeline is None:
            raise RefusedError(f"source {self.name!r} numbers builds by pipeline: name it as well")
        return pipeline

    def _number(self, run_id: str) -> str:
        if not _NUMBER.fullmatch(run_id):
            raise RefusedError(f"{run_id!r} is no number of a Buildkite build")
        return run_id

    def organization_path(self, slug: str) -> str:
        """Where the builds of an organisation are listed; what is no slug of one is refused."""
        if not SLUG.fullmatch(slug):
            raise ConfigError(
                f"{slug!r} of source {self.name!r} is no Buildkite organisation; write its slug, "
                "as in https://buildkite.com/my-org"
            )
        return checked_path("v2", "organizations", slug, "builds")

    def path(self, pipeline: Pipeline, *parts: str) -> str:
        """A path below that of a pipeline.

        Raises:
            ConfigError: its id is none of Buildkite's.
        """
        organization, _, slug = pipeline.external_id.partition("/")
        if not SLUG.fullmatch(organization) or not SLUG.fullmatch(slug):
            raise ConfigError(
                f"id {pipeline.external_id!r} of source {self.name!r} is no Buildkite pipeline; "
                "write its slugs, such as my-org/my-pipeline, and no URL"
            )
        return checked_path("v2", "organizations", organization, "pipelines", slug, *parts)

    def _one(self, answer: Response, pipeline: Pipeline) -> RunWithSteps:
        organization = pipeline.external_id.partition("/")[0]
        url = self.client.base_url
        return self._sure(read_build, answer.data, pipeline, organization, url, answer.as_of)

    def _sure(self, read: Callable[..., Told], *told: object) -> Told:
        """What is read of an answer, which has no rows beside it that could be taken."""
        try:
            return read(*told)
        except BadRowError as error:
            raise SourceError(f"{self.name}: {error}; check base_url") from error


def rows_of(answer: Response, what: str) -> list[Any]:
    """The rows of a page.

    Raises:
        SourceError: it is no list.
    """
    if not isinstance(answer.data, list):
        raise SourceError(f"{what}: a list is due and {describe(answer.data)} came; check base_url")
    return answer.data


def has_next(answer: Response) -> bool:
    """Whether the answer names a next page. Where it leads is built here, not read."""
    return 'rel="next"' in answer.headers.get("Link", "")
