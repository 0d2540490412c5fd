"""The live API of Azure Pipelines, for people."""

import json
import re
from collections.abc import Iterator
from functools import partial

from runsync.errors import (
    ConfigError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.http.client import checked_path
from runsync.records import Pipeline, Problem, Run, Step
from runsync.sources.azure.api import CONTINUATION, VERSION, Asked, Organisation, counted_rows
from runsync.sources.azure.payloads import Project, read_run
from runsync.sources.azure.words import RESULT_FILTERS, STATUS_FILTERS
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.discovery import TokenPage, pages_by_token
from runsync.sources.fields import BadRowError, Fields, or_problem
from runsync.sources.live import rate_limit

_SORTS = {"creationDateDesc": "queueTimeDescending", "creationDateAsc": "queueTimeAscending"}
_FILTERS = "pipeline application limit skip sort status result branch author"
_MOST, _MOST_LISTED = 5000, 1000


class LiveApi(Organisation):
    """What people ask of a source."""

    run_id_pattern = re.compile(r"[0-9]+")
    run_id_description = "id of a build; those are numbers"
    pipeline_word = "project"

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        self.refuse_unsupported("list runs", wanted, _FILTERS)
        limit, skip = wanted.limit or 20, wanted.skip or 0
        if skip + limit > _MOST:
            raise self.lacks(f"list runs by skip ({skip!r}), beyond the first {_MOST}")
        project, number = self._wanted(wanted)
        asked: Asked = {
            **VERSION,
            "definitions": number,
            "queryOrder": self.provider_word(wanted, "sort", _SORTS) or "queueTimeDescending",
            "statusFilter": self.provider_word(wanted, "status", STATUS_FILTERS),
            "resultFilter": self.provider_word(wanted, "result", RESULT_FILTERS),
            "branchName": _ref(wanted.branch),
            "requestedFor": wanted.author,
            "$top": limit + skip,
        }
        answer = self.client.get(self.builds(project), asked)
        rows = counted_rows(answer, f"{self.name}: the builds of {project.name}")
        with self.reading():
            return [read_run(raw, project) for raw in rows[skip : skip + limit]]

    def _wanted(self, wanted: RunFilter) -> tuple[Project, int | None]:
        if wanted.pipeline:
            return self.definition(wanted.pipeline)
        if wanted.application:
            return self.project(wanted.application), None
        raise RefusedError(f"source {self.name!r} lists runs of a pipeline or a project: name one")

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        number = step.extra.get("log")
        path = self._path(pipeline, run_id)
        if not isinstance(number, int):
            raise NotFoundError(f"{self.name}: step {step.name!r} has no log")
        answer = self.client.get_text(f"{path}{checked_path('logs', str(number))}", VERSION)
        if "json" not in answer.headers.get("Content-Type", ""):
            return str(answer.data)
        try:
            return "".join(f"{line}\n" for line in json.loads(answer.data)["value"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SourceError(f"{self.name}: the log of step {step.name!r} has no lines") from None

    def trigger(self, wanted: TriggerRequest) -> Run:
        """Queues a build; ``env`` becomes its variables."""
        self.refuse_unsupported("trigger runs", wanted, "pipeline branch commit env")
        project, number = self.definition(wanted.pipeline)
        told = {
            "sourceBranch": _ref(wanted.branch),
            "sourceVersion": wanted.commit,
            "parameters": json.dumps(dict(wanted.env)) if wanted.env else None,
        }
        body = {"definition": {"id": number}} | {k: v for k, v in told.items() if v}
        answer = self.client.send("POST", self.builds(project), params=VERSION, body=body)
        return self.one(answer, project.pipeline(number))

    def abort(self, pipeline: Pipeline | None, run_id: str) -> Run:
        path, body = self._path(pipeline, run_id), {"status": "cancelling"}
        answer = self.client.send("PATCH", path, params=VERSION, body=body)
        return self.one(answer, pipeline or Pipeline(""))

    def access(self) -> Access:
        """Azure DevOps tells no scopes, so it is tried whether builds may be read."""
        answer = self.client.get("/_apis/connectionData", {"api-version": "7.1-preview"})
        with self.reading():
            told = Fields(answer.data, "the connection")
            account = told.first_text("authenticatedUser/providerDisplayName")
        missing: tuple[str, ...] = ()
        try:
            answer = self.client.get(checked_path("_apis", "build", "controllers"), VERSION)
        except TokenRefusedError:
            missing = ("vso.build",)
        return Access(answer.as_of, account, missing_scopes=missing, **rate_limit(answer))

    def discover(self) -> Iterator[Discovered | Problem]:
        for raw in self._all("_apis", "projects"):
            try:
                name = Fields(raw, "a project").needed_text("name")
                self.project(name)
            except (BadRowError, ConfigError) as error:
                yield Problem(str(error))
                continue
            yield Discovered("application_id", name, name)
            # There a token may not be allowed to see them, or pipelines are switched off.
            try:
                for one in self._all(name, "_apis", "build", "definitions"):
                    yield or_problem(partial(_definition, name, one))
            except (ForbiddenError, NotFoundError) as error:
                yield Problem(str(error))

    def _all(self, *parts: str) -> Iterator[object]:
        """The rows of all pages of a list."""
        path = checked_path(*parts)
        what = f"{self.name}: {path}"

        def ask(token: str | None) -> TokenPage[object]:
            asked: Asked = {**VERSION, "$top": _MOST_LISTED, "continuationToken": token}
            answer = self.client.get(path, asked)
            rows, token = counted_rows(answer, what), answer.headers.get(CONTINUATION)
            return TokenPage(rows, answer.as_of, token)

        for page in pages_by_token(ask, what=what):
            yield from page.rows

    def _path(self, pipeline: Pipeline | None, run_id: str) -> str:
        return self.path(self.require_pipeline(pipeline), "builds", self.valid_run_id(run_id))


def _definition(project: str, raw: object) -> Discovered:
    fields = Fields(raw, f"a definition of {project}")
    folder, title = (fields.text("path") or "").strip("\\"), fields.needed_text("name")
    shown = "\\".join(filter(None, [folder, title]))
    return Discovered("id", f"{project}/{fields.needed_number('id')}", shown, within=project)


def _ref(branch: str | None) -> str | None:
    return branch if branch is None or branch.startswith("refs/") else f"refs/heads/{branch}"
