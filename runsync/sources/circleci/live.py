"""The live API for people: what `runsync runs`, `doctor` and `init --discover` ask CircleCI."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from runsync.errors import NotFoundError
from runsync.http.client import checked_path
from runsync.records import Pipeline, Run, Step
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.circleci.asking import Asking
from runsync.sources.circleci.payloads import Origin, Project, job_number, read_run
from runsync.sources.discovery import rows_by_token
from runsync.sources.fields import UUID, Fields, rows_in

_SHOWN = 20


class LiveAPI(Asking):
    """What CircleCI can do at once."""

    run_id_pattern = UUID
    run_id_description = "id of a CircleCI workflow; those are UUIDs"

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        """The newest runs; of what may be asked for CircleCI filters by branch alone."""
        self.refuse_unsupported("list runs", wanted, "pipeline application limit skip sort branch")
        self.provider_word(wanted, "sort", {"creationDateDesc": None})
        project = self._project(wanted.pipeline or wanted.application or "")
        first = wanted.skip or 0
        found = self._runs(project, wanted.branch)
        return list(islice(found, first, first + (wanted.limit or _SHOWN)))

    def _runs(self, project: Project, branch: str | None) -> Iterator[Run]:
        def ask(token: str | None) -> tuple[Sequence[object], str | None]:
            part = self._show(project, token, branch)
            return part.rows, part.token

        for origin in rows_by_token(ask, what=f"{self.name}: the pipelines of {project.slug}"):
            if isinstance(origin, Origin):
                yield from self._runs_in(project, origin)

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
            own = known or self._workflow(self.valid_run_id(run_id)).needed_text("project_slug")
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

    def discover(self) -> Iterator[Discovered]:
        """The projects that the token's user follows: API v2 has no list of projects."""
        answer = self.client.get(checked_path("api", "v1.1", "projects"))
        rows = rows_in(answer.data, f"{self.name}: the projects")
        seen: set[str] = set()
        for row in rows:
            found = _discovered(row)
            if found and found.value not in seen:
                seen.add(found.value)
                yield found


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
