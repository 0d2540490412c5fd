"""CircleCI's live API, for people; and what every request of the source goes through."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from runsync.errors import NotFoundError
from runsync.http.client import checked_path
from runsync.records import Pipeline, Problem, Run, Step
from runsync.sources import base
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.circleci import payloads
from runsync.sources.circleci.payloads import Origin, Project, Siblings, job_number, read_origin
from runsync.sources.discovery import TokenPage, pages_by_token
from runsync.sources.fields import (
    UUID,
    BadRowError,
    Fields,
    check_one,
    distinct,
    or_problem,
    rows_in,
)


class LiveAPI(base.Source):
    """What people ask for."""

    run_id_pattern = UUID
    run_id_description = "id of a CircleCI workflow; those are UUIDs"

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        return {"Circle-Token": token} if token else {}

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        """The newest runs; of what may be asked for CircleCI filters by branch alone."""
        self.refuse_unsupported("list runs", wanted, "pipeline application limit skip sort branch")
        self.provider_word(wanted, "sort", {"creationDateDesc": None})
        project = self._project(wanted.pipeline or wanted.application or "")
        ask = partial(self._show, project, branch=wanted.branch)
        pages = pages_by_token(ask, what=f"{self.name}: the pipelines of {project.slug}")
        origins = (row for page in pages for row in page.rows if isinstance(row, Origin))
        found = (run for origin in origins for run in self._runs_in(project, origin))
        first = wanted.skip or 0
        return list(islice(found, first, first + (wanted.limit or 20)))

    def _runs_in(self, project: Project, origin: Origin) -> list[Run]:
        """The runs of an origin that can be read, newest first."""
        (found, _), _ = self._workflows(origin.id)
        read = partial(payloads.read_run, origin, project, base_url=self.client.base_url)
        with self.reading():
            runs = [read(one) for one in found.values() if project.has(one.name)]
        return sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        """The log of a job, all that its commands wrote; API v1.1 alone has it."""
        number = job_number(step)
        if number is None:
            raise NotFoundError(f"{self.name}: job {step.name!r} never ran, so it has no log")
        with self.reading():
            project = self._project_of(pipeline, self.valid_run_id(run_id))
            job = partial(project.path, number, api="v1.1")
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
        self.refuse_unsupported("trigger runs", wanted, "pipeline branch env")
        project = self._project(wanted.pipeline)
        if project.vcs == "circleci":
            raise self.lacks("trigger runs of a project that no OAuth app connects")
        body: dict[str, Any] = {"branch": wanted.branch} if wanted.branch else {}
        body |= {"parameters": dict(wanted.env)} if wanted.env else {}
        self.client.send("POST", project.path("pipeline"), body=body)

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        """Cancels a workflow. CircleCI answers no new state."""
        path = checked_path("api", "v2", "workflow", self.valid_run_id(run_id), "cancel")
        self.client.send("POST", path)

    def access(self) -> Access:
        """Personal tokens may all that their user may, and are told no limit."""
        answer = self.client.get(checked_path("api", "v2", "me"))
        with self.reading():
            login = Fields(answer.data, "the token's user").text("login")
        return Access(answer.as_of, login)

    def discover(self) -> Iterator[Discovered | Problem]:
        """The projects that the token's user follows: API v2 has no list of projects."""
        answer = self.client.get(checked_path("api", "v1.1", "projects"))
        rows = rows_in(answer.data, f"{self.name}: the projects")
        yield from dict.fromkeys(or_problem(partial(_discovered, raw)) for raw in rows)

    # What every request goes through.

    def _project(self, text: str) -> Project:
        project = Project.parse(text)
        if project is None:
            what = "project of CircleCI's; write gh/org/repo, or gh/org/repo/workflow"
            raise self.bad_name(text, what)
        return project

    def _project_of(self, pipeline: Pipeline | None, run_id: str) -> Project:
        """The project of a run: that of its pipeline, or what the workflow itself says."""
        known = pipeline.external_id if pipeline else ""
        return self._project(known or self._workflow(run_id).needed_text("project_slug"))

    def _default_branch(self, project: Project) -> str | None:
        told = Fields(self.client.get(project.path()).data, project.slug)
        return told.first_text("vcs_info/default_branch")

    def _workflow(self, run_id: str) -> Fields:
        """A workflow by its id, as CircleCI tells of it without its pipeline."""
        path = checked_path("api", "v2", "workflow", run_id)
        return Fields(self.client.get(path).data, f"run {run_id}")

    def _workflows(self, origin_id: str) -> tuple[Siblings, datetime]:
        """The workflows of an origin, and the time of the answer."""
        raws, as_of = self._all(checked_path("api", "v2", "pipeline", origin_id, "workflow"))
        return payloads.siblings(raws, origin_id), as_of

    def _show(
        self, project: Project, token: str | None, branch: str | None = None
    ) -> TokenPage[Origin | Problem]:
        """A page of a project's origins, newest first."""
        path = project.path("pipeline")
        page = self._page(path, token, branch=branch)
        check_one(distinct(page.rows, "project_slug"), f"{self.name}: {path} mixes projects")
        rows = [or_problem(partial(read_origin, raw)) for raw in page.rows]
        return TokenPage(rows, page.as_of, page.token)

    def _all(self, path: str) -> tuple[list[object], datetime]:
        """The rows of all pages of a list, each once, and the time of the first page."""
        pages = [*pages_by_token(partial(self._page, path), what=f"{self.name}: {path}")]
        rows = [row for page in pages for row in page.rows]
        return [row for n, row in enumerate(rows) if row not in rows[:n]], pages[0].as_of

    def _page(self, path: str, token: str | None, branch: str | None = None) -> TokenPage[object]:
        answer = self.client.get(path, {"branch": branch, "page-token": token})
        rows = rows_in(answer.data, f"{self.name}: {path}", "items")
        with self.reading():
            following = Fields(answer.data, path).text("next_page_token")
        return TokenPage(rows, answer.as_of, following or None)


def _discovered(raw: object) -> Discovered:
    fields = Fields(raw, "a project")
    vcs, org, repo = map(fields.needed_text, ("vcs_type", "username", "reponame"))
    slug = f"{vcs}/{org}/{repo}"
    if vcs == "circleci":
        # Such a project is known by two ids, which stand in its address alone.
        slug = f"circleci/{(fields.text('vcs_url') or '').partition('circleci.com/')[2]}"
    project = Project.parse(slug)
    if project is None or project.workflow is not None:
        raise BadRowError(f"project {slug!r} cannot be named in a config")
    return Discovered("repository", project.slug, title=repo, within=org)
