"""How CircleCI is asked: projects, pages that go on by a token, and origins by their numbers."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from runsync.errors import ConfigError, ForbiddenError, NotFoundError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Problem
from runsync.sources import base
from runsync.sources.circleci.payloads import Origin, Project, Sibling, read_origin, siblings
from runsync.sources.circleci.walk import Part
from runsync.sources.discovery import rows_by_token
from runsync.sources.fields import BadRowError, Fields, check_one, distinct, or_problem, rows_in

Siblings = tuple[dict[str, Sibling], list[tuple[object, str]]]


class Asking(base.Source):
    """What the listing and the live API both need."""

    @staticmethod
    def headers(token: str | None) -> dict[str, str]:
        return {"Circle-Token": token} if token else {}

    def _project(self, text: str) -> Project:
        project = Project.parse(text)
        if project is None:
            raise ConfigError(
                f"{text!r} of source {self.name!r} is no project of CircleCI's; "
                "write gh/org/repo, or gh/org/repo/workflow"
            )
        return project

    def _default_branch(self, project: Project) -> str | None:
        with suppress(NotFoundError, ForbiddenError, BadRowError):
            info = Fields(self.client.get(project.path()).data, project.slug).child("vcs_info")
            return info.text("default_branch") or None if info else None
        return None

    def _workflow(self, run_id: str) -> Fields:
        """A workflow by its id, as CircleCI tells of it without its pipeline."""
        return Fields(
            self.client.get(checked_path("api", "v2", "workflow", run_id)).data, f"run {run_id}"
        )

    def _own(self, pipeline: Pipeline | None, workflow: Fields) -> Pipeline:
        """The pipeline of a workflow: the one that is known, or what the workflow itself says."""
        if pipeline is not None and pipeline.external_id:
            return pipeline
        project = self._project(workflow.needed_text("project_slug"))
        return project.pipeline(workflow.needed_text("name"), self.client.base_url)

    def _show(self, project: Project, token: str | None, branch: str | None = None) -> Part:
        """A page of a project's origins, newest first."""
        params = {"branch": branch, "page-token": token}
        answer = self.client.get(project.path("pipeline"), params)
        what = f"{self.name}: the pipelines of {project.slug}"
        raws, following = self._page(answer, what)
        check_one(distinct(raws, "project_slug"), f"{what} are of more than one project")
        rows = [or_problem(partial(read_origin, raw)) for raw in raws]
        return Part(rows, answer.as_of, following)

    def _find(self, project: Project, numbers: Sequence[int]) -> list[Origin | Problem | None]:
        """Origins by their numbers; None for each that CircleCI does not know."""

        def find(number: int) -> Origin | Problem | None:
            try:
                raw = self.client.get(project.path("pipeline", number)).data
            except NotFoundError:
                return None
            row = or_problem(partial(read_origin, raw))
            if isinstance(row, Origin) and row.number != number:
                return Problem(f"pipeline {number}: it was asked for, and {row.number} came")
            return row

        return self.client.each(find, numbers)

    def _workflows(self, origin_id: str) -> tuple[Siblings, datetime]:
        """The workflows of an origin, and the time of the answer."""
        raws, as_of = self._all(checked_path("api", "v2", "pipeline", origin_id, "workflow"))
        return siblings(raws, origin_id), as_of

    def _origin(self, origin_id: str) -> Origin:
        """An origin by its id.

        Raises:
            NotFoundError: CircleCI does not know it.
            BadRowError: a field is not what is due.
        """
        return read_origin(self.client.get(checked_path("api", "v2", "pipeline", origin_id)).data)

    def _all(self, path: str) -> tuple[list[object], datetime]:
        """The rows of all pages of a list, each once, and the time of the first page."""
        times: list[datetime] = []
        found: list[object] = []

        def ask(token: str | None) -> tuple[list[object], str | None]:
            answer = self.client.get(path, {"page-token": token})
            times.append(answer.as_of)
            return self._page(answer, path)

        for row in rows_by_token(ask, what=f"{self.name}: {path}"):
            found += [] if row in found else [row]
        return found, times[0]

    def _page(self, answer: Response, what: str) -> tuple[list[object], str | None]:
        """The rows of a page, and the token of the next."""
        rows = rows_in(answer.data, what, "items")
        with self.reading():
            return rows, Fields(answer.data, what).text("next_page_token") or None
