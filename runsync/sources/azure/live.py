"""The live API of Azure Pipelines, for people."""

import json
from collections.abc import Iterator

from runsync.errors import NotFoundError, RefusedError, SourceError, TokenRefusedError
from runsync.http.client import checked_path
from runsync.records import Pipeline, Run, RunWithSteps, Step
from runsync.sources.azure.api import CONTINUATION, VERSION, Asked, Organisation, rows_of
from runsync.sources.azure.payloads import Project, needed_number, read_run
from runsync.sources.azure.words import RESULT_FILTERS, STATUS_FILTERS
from runsync.sources.base import Access, Discovered, RunFilter, TriggerRequest
from runsync.sources.fields import Fields
from runsync.sources.live import header_number

_SORTS = {"creationDateDesc": "queueTimeDescending", "creationDateAsc": "queueTimeAscending"}
_MOST, _MOST_LISTED = 5000, 1000


class LiveApi(Organisation):
    """What people ask of a source."""

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        return self.reread(pipeline, _checked_id(run_id))

    def find_runs(self, wanted: RunFilter) -> list[Run]:
        limit, skip = wanted.limit or 20, wanted.skip or 0
        sort = wanted.sort or "creationDateDesc"
        self._refuse_given(
            "list runs",
            commit=wanted.commit,
            source_run=wanted.source_run,
            status=None if wanted.status in {None, *STATUS_FILTERS} else wanted.status,
            result=None if wanted.result in {None, *RESULT_FILTERS} else wanted.result,
            sort=None if sort in _SORTS else sort,
            skip=str(skip) if skip + limit > _MOST else None,
        )
        project, number = self._wanted(wanted)
        asked: Asked = {
            **VERSION,
            "definitions": number,
            "queryOrder": _SORTS[sort],
            "statusFilter": STATUS_FILTERS.get(wanted.status or ""),
            "resultFilter": RESULT_FILTERS.get(wanted.result or ""),
            "branchName": _ref(wanted.branch),
            "requestedFor": wanted.author,
            "$top": limit + skip,
        }
        answer = self.client.get(self.builds(project), asked)
        rows = rows_of(answer, f"{self.name}: the builds of {project.name}")[skip : skip + limit]
        with self.reading():
            return [read_run(raw, project) for raw in rows]

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
        self._refuse_given("trigger runs", message=wanted.message, source_run=wanted.source_run)
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
            user = Fields(answer.data, "the connection").child("authenticatedUser")
            account = user.text("providerDisplayName") if user else None
        missing: tuple[str, ...] = ()
        try:
            answer = self.client.get(checked_path("_apis", "build", "controllers"), VERSION)
        except TokenRefusedError:
            missing = ("vso.build",)
        return Access(
            account=account,
            scopes=None,
            missing_scopes=missing,
            limit_left=header_number(answer.headers, "X-RateLimit-Remaining"),
            limit=header_number(answer.headers, "X-RateLimit-Limit"),
            clock=answer.as_of,
        )

    def discover(self) -> Iterator[Discovered]:
        for row in self._all("_apis", "projects"):
            with self.reading():
                name = row.needed_text("name")
            yield Discovered("application_id", name, name)
            for one in self._all(name, "_apis", "build", "definitions"):
                with self.reading():
                    ref = f"{name}/{needed_number(one, 'id')}"
                    folder, title = (one.text("path") or "").strip("\\"), one.needed_text("name")
                yield Discovered("id", ref, "\\".join(filter(None, [folder, title])), within=name)

    def _all(self, *parts: str) -> Iterator[Fields]:
        """The rows of all pages of a list.

        Raises:
            SourceError: one cannot be read, or the pages have no end.
        """
        path, token = checked_path(*parts), None
        seen: set[str | None] = set()
        while token not in seen:
            seen.add(token)
            asked: Asked = {**VERSION, "$top": _MOST_LISTED, "continuationToken": token}
            answer = self.client.get(path, asked)
            with self.reading():
                rows = [Fields(raw, path) for raw in rows_of(answer, f"{self.name}: {path}")]
            yield from rows
            token = answer.headers.get(CONTINUATION)
            if not token:
                return
        raise SourceError(f"{self.name}: {path} shows the same page again; check base_url")

    def _path(self, pipeline: Pipeline | None, run_id: str) -> str:
        checked = _checked_id(run_id)
        if pipeline is None:
            raise RefusedError(f"source {self.name!r} finds runs only by project: name it as well")
        return self.path(pipeline, "builds", checked)


def _checked_id(run_id: str) -> str:
    if not (run_id.isascii() and run_id.isdecimal()):
        raise RefusedError(f"{run_id!r} is no id of a build; those are numbers")
    return run_id


def _ref(branch: str | None) -> str | None:
    return branch if branch is None or branch.startswith("refs/") else f"refs/heads/{branch}"
