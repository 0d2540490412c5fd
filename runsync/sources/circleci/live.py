"""The live API for people: what `runsync runs`, `doctor` and `init --discover` ask CircleCI."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from runsync.errors import NotFoundError, RefusedError, SourceError
from runsync.http.client import checked_path
from runsync.records import Pipeline, Run, RunWithSteps, Step
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.circleci.asking import Asking
from runsync.sources.circleci.payloads import Origin, Project, job_number, read_run
from runsync.sources.fields import UUID, Fields, describe

_SHOWN = 20
_NEWEST_FIRST = "creationDateDesc"


class LiveAPI(Asking):
    """What CircleCI can do at once."""

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self.reread(pipeline, self._checked_id(run_id))

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        """The newest runs; of what may be asked for CircleCI filters by branch alone."""
        sort = None if wanted.sort == _NEWEST_FIRST else wanted.sort
        self._refuse_given("list runs", status=wanted.status, result=wanted.result, sort=sort)
        self._refuse_given("list runs", commit=wanted.commit, author=wanted.author)
        self._refuse_given("list runs", source_run=wanted.source_run)
        project = self._project(wanted.pipeline or wanted.application or "")
        first = wanted.skip or 0
        found = self._runs(project, wanted.branch)
        return list(islice(found, first, first + (wanted.limit or _SHOWN)))

    def _runs(self, project: Project, branch: str | None) -> Iterator[Run]:
        tokens: list[str | None] = [None]
        while tokens[-1] not in tokens[:-1]:
            part = self._show(project, tokens[-1], branch)
            for origin in part.rows:
                if isinstance(origin, Origin):
                    yield from self._runs_in(project, origin)
            tokens.append(part.token)

    def _runs_in(self, project: Project, origin: Origin) -> list[Run]:
        """The runs of an origin that can be read, newest first."""
        (found, _), _ = self._workflows(origin.id)
        url = self.client.base_url
        with self.reading():
            runs = [
                read_run(one, origin, project, project.pipeline(one.name, url), url)
                for one in found.values()
                if project.workflow in (None, one.name)
            ]
        return sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        """The log of a job, all that its commands wrote; API v1.1 alone has it."""
        number = job_number(step)
        if number is None:
            raise NotFoundError(f"{self.name}: job {step.name!r} never ran, so it has no log")
        with self.reading():
            known = pipeline and pipeline.external_id
            own = known or self._workflow(self._checked_id(run_id)).needed_text("project_slug")
            job = partial(self._project(own).old_path, number)
            places = [
                (action.integer("step") or 0, action.integer("index") or 0)
                for row in Fields(self.client.get(job()).data, f"job {number}").objects("steps")
                for action in row.objects("actions")
                if action.raw.get("has_output")
            ]
        ask = partial(self.client.get_text, params={"file": "true"}, follow_elsewhere=True)
        texts = [ask(job("output", *place)).data for place in places]
        if not any(texts):
            raise NotFoundError(f"{self.name}: job {number} has no log, or none any more")
        return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts if text)

    def trigger(self, wanted: TriggerRequest) -> None:
        """Starts what the config has for a branch; ``env`` becomes the parameters. CircleCI
        answers no run: its workflows come later."""
        self._refuse_given("trigger runs", commit=wanted.commit, message=wanted.message)
        self._refuse_given("trigger runs", source_run=wanted.source_run)
        project = self._project(wanted.pipeline)
        if project.vcs == "circleci":
            raise self.lacks("trigger runs of a project that no OAuth app connects")
        body: dict[str, Any] = {"branch": wanted.branch} if wanted.branch else {}
        body |= {"parameters": dict(wanted.env)} if wanted.env else {}
        self.client.send("POST", project.path("pipeline"), body=body)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        """Cancels a workflow. CircleCI answers no new state."""
        path = checked_path("api", "v2", "workflow", self._checked_id(run_id), "cancel")
        self.client.send("POST", path)

    def access(self) -> Access:
        """Personal tokens may all that their user may, and are told no limit."""
        answer = self.client.get(checked_path("api", "v2", "me"))
        with self.reading():
            login = Fields(answer.data, "the token's user").text("login")
        return Access(answer.as_of, login)

    def discover(self) -> Iterator[Discovered]:
        """The projects that the token's user follows: API v2 has no list of projects."""
        rows = self.client.get(checked_path("api", "v1.1", "projects")).data
        if not isinstance(rows, list):
            raise SourceError(
                f"{self.name}: a list of projects is due and {describe(rows)} came; check base_url"
            )
        seen: set[str] = set()
        for row in rows:
            found = _discovered(row)
            if found and found.value not in seen:
                seen.add(found.value)
                yield found

    def _checked_id(self, run_id: str) -> str:
        if not UUID.fullmatch(run_id):
            raise RefusedError(f"{run_id!r} is no id of a CircleCI workflow; those are UUIDs")
        return run_id.lower()


def _discovered(raw: object) -> Discovered | None:
    """A project that can be named in a config; None for another thing."""
    if not isinstance(raw, dict):
        return None
    vcs, org, repo = (raw.get(key) for key in ("vcs_type", "username", "reponame"))
    slug = f"{vcs}/{org}/{repo}"
    if vcs == "circleci":
        # Such a project is known by two ids, which stand in its address alone.
        slug = f"circleci/{str(raw.get('vcs_url')).partition('circleci.com/')[2]}"
    project = Project.parse(slug)
    if project is None or project.workflow is not None:
        return None
    return Discovered("repository", project.slug, title=str(repo), within=str(org))
