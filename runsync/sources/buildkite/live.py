"""Buildkite's live API, for people; and what every request of the source goes through."""

import re
from collections.abc import Iterator

from runsync.errors import NotFoundError, RefusedError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Status, Step
from runsync.sources import base
from runsync.sources.buildkite.payloads import SLUG, read_build
from runsync.sources.buildkite.words import RESULT_STATES, STATES
from runsync.sources.discovery import rows_of_pages
from runsync.sources.fields import UUID, BadRowError, Fields, describe, rows_in
from runsync.sources.live import rate_limit

PAGE_SIZE = 100
WITH_RETRIED = ("include_retried_jobs", "true")
_NEEDED_SCOPES = ("read_builds",)
_FILTERS = "pipeline application limit skip sort status result branch commit author"
_LIMITS = ("RateLimit-User-", "RateLimit-")


class LiveApi(base.Source):
    """What people ask for."""

    run_id_pattern = re.compile(r"[1-9]\d{0,18}", re.ASCII)
    run_id_description = "number of a Buildkite build"

    def reread(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        answer = self.client.get(self.path(pipeline, "builds", run_id), [WITH_RETRIED])
        found = self._one(answer, pipeline)
        self.check_run_id(found.run, run_id)
        return found

    def find_runs(self, wanted: base.RunFilter) -> list[Run]:
        self.refuse_unsupported("list runs", wanted, _FILTERS)
        self.provider_word(wanted, "sort", {"creationDateDesc": None})
        if wanted.author and not UUID.fullmatch(wanted.author):
            raise self.lacks(f"list runs by author ({wanted.author!r}), but by a user's id")
        size, page = self.page_number(wanted, PAGE_SIZE)
        own = Pipeline(wanted.pipeline) if wanted.pipeline else None
        if own is None and not wanted.application:
            raise RefusedError(
                f"source {self.name!r} finds builds by pipeline, or by organisation as application"
            )
        organization = (wanted.pipeline or wanted.application or "").partition("/")[0]
        path = self.path(own, "builds") if own else self.organization_path(wanted.application or "")
        given = {"branch": wanted.branch, "commit": wanted.commit, "creator": wanted.author}
        given |= {"per_page": str(size), "page": str(page)}
        asked = [WITH_RETRIED, *((key, value) for key, value in given.items() if value)]
        asked += [("state[]", state) for state in self._states(wanted)]
        answer = self.client.get(path, asked)
        told = (own, organization, self.client.base_url, answer.as_of)
        with self.reading():
            return [read_build(raw, *told).run for raw in rows_in(answer.data, path)]

    def _states(self, wanted: base.RunFilter) -> tuple[str, ...]:
        """Buildkite's states for our words; its own are taken as they are."""
        if wanted.result:
            self.provider_word(wanted, "status", {Status.FINISHED.value: None})
            return self.provider_word(wanted, "result", RESULT_STATES) or ()
        return self.provider_word(wanted, "status", STATES) or ()

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        number = self.valid_run_id(run_id)
        path = self.path(self.require_pipeline(pipeline), "builds", number, "jobs", step.id, "log")
        with self.reading():
            text = Fields(self.client.get(path).data, path).text("content")
        if not text:
            raise NotFoundError(f"{self.name}: job {step.id} has no log, or it was deleted")
        return text

    def trigger(self, wanted: base.TriggerRequest) -> Run:
        self.refuse_unsupported("trigger runs", wanted, "pipeline branch commit message env")
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
        known, number = self.require_pipeline(pipeline), self.valid_run_id(run_id)
        answer = self.client.send("PUT", self.path(known, "builds", number, "cancel"))
        return self._one(answer, known).run

    def discover(self) -> Iterator[base.Discovered | Problem]:
        for found in self._named("v2", "organizations"):
            if isinstance(found, Problem):
                yield found
                continue
            slug, title = found
            yield base.Discovered("application_id", slug, title)
            for one in self._named("v2", "organizations", slug, "pipelines"):
                if isinstance(one, Problem):
                    yield one
                else:
                    yield base.Discovered("id", f"{slug}/{one[0]}", one[1], within=slug)

    def _named(self, *parts: str) -> Iterator[tuple[str, str] | Problem]:
        """The slugs and names of a list, each once."""
        path = checked_path(*parts)

        def ask(page: int) -> Response:
            return self.client.get(path, {"per_page": PAGE_SIZE, "page": page})

        return rows_of_pages(ask, _slug_and_name, PAGE_SIZE, what=path)

    def access(self) -> base.Access:
        path = checked_path("v2", "access-token")
        answer = self.client.get(path)
        with self.reading():
            token = Fields(answer.data, path)
            account = token.first_text("user/name")
        scopes = token.raw.get("scopes")
        held = tuple(map(str, scopes)) if isinstance(scopes, list) else None
        told = [rate_limit(answer, prefix) for prefix in _LIMITS]
        left = [limit for limit in told if limit["limit_left"] is not None] or told
        return base.Access(
            answer.as_of,
            account=account,
            scopes=held,
            missing_scopes=() if held is None else tuple({*_NEEDED_SCOPES} - {*held}),
            **min(left, key=lambda limit: limit["limit_left"] or 0),
        )

    # What every request goes through.

    def organization_path(self, slug: str) -> str:
        """Where the builds of an organisation are listed; what is no slug of one is refused."""
        if not SLUG.fullmatch(slug):
            what = "Buildkite organisation; write its slug, as in https://buildkite.com/my-org"
            raise self.bad_name(slug, what)
        return checked_path("v2", "organizations", slug, "builds")

    def path(self, pipeline: Pipeline, *parts: str) -> str:
        """A path below that of a pipeline.

        Raises:
            ConfigError: its id is none of Buildkite's.
        """
        organization, _, slug = pipeline.external_id.partition("/")
        if not SLUG.fullmatch(organization) or not SLUG.fullmatch(slug):
            what = "Buildkite pipeline; write its slugs, such as my-org/my-pipeline, and no URL"
            raise self.bad_name(pipeline.external_id, what)
        return checked_path("v2", "organizations", organization, "pipelines", slug, *parts)

    def _one(self, answer: Response, pipeline: Pipeline) -> RunWithSteps:
        organization = pipeline.external_id.partition("/")[0]
        url = self.client.base_url
        with self.reading():
            return read_build(answer.data, pipeline, organization, url, answer.as_of)


def _slug_and_name(row: Fields) -> tuple[str, str]:
    slug = row.needed_text("slug")
    if not SLUG.fullmatch(slug):
        raise BadRowError(f"{row.what}: {describe(slug)} is no slug")
    return slug, row.text("name") or slug
