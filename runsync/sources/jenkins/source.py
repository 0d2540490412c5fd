"""Jenkins, through its remote access API: any version that tells classes, from 2.0 on.

A job is our pipeline, a build of it our run; its steps are the stages of a Pipeline job, or the
build itself. ``id`` is a job's full name, ``application_id`` that of a folder or a multibranch
project, which stands for every job in it. In a full name a branch's slashes are written ``%2F``,
as Jenkins itself has them.

A job's list tells its builds whole; only stages take a request more. They come from the stage view
(``wfapi``), or from the graph view that newer servers have instead (``stages``).
"""

import html
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from runsync.config import PipelineConfig
from runsync.errors import ForbiddenError, NotFoundError, RefusedError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Problem, Run, RunWithSteps, Step
from runsync.sources import base
from runsync.sources.base import Discovered, Listing, Page, ResumePoint
from runsync.sources.fields import object_in
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.payloads import job_path, whole_build
from runsync.sources.jenkins.reader import Folder, JenkinsReader, job_tree

FIRST_BUILDS = 5
"""How many builds of each job of a folder are asked for at once."""
_QUEUE_ITEM = re.compile(r"/queue/item/(\d{1,19})/?$", re.ASCII)
_SESSION = re.compile(r"JSESSIONID[\w.]*=[\w.!:-]+", re.ASCII)
_HEADER = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_TAG = re.compile(r"<[^>]*>")


class Jenkins(JenkinsReader):
    """One Jenkins controller."""

    # Of builds that begin at about the same time in a folder's jobs, one may be told a sync later
    # than another that began after it.
    recheck = timedelta(minutes=10)
    needs_begin = True
    lasting_memory: ClassVar[tuple[str, ...]] = (walk.JOBS_KEY,)
    walked_key = walk.ASKED_KEY
    queue_patience = 60.0
    """Seconds that a triggered build is waited for until it has a number."""

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "repository":
            raise self.bad_key(kind, "`id` for a job, or `application_id` for all jobs of a folder")
        self._checked_name(value)
        if kind == "application_id":
            return Listing(f"{self.name}/application/{value}", value)
        return Listing(f"{self.name}/job/{value}", value, wanted.name, (Pipeline(value),))

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        self._view = self._view or None
        is_folder = not listing.pipelines
        if is_folder:
            found = self._folder(listing.ref, job_tree(0, FIRST_BUILDS))
        else:
            job = self._job(listing.ref, 0)
            found = Folder(job.as_of, {listing.ref: job})
        if found.problems:
            yield Page(tuple(found.problems), found.as_of, aside=True)
        jobs = [self._job_list(name, job) for name, job in found.items.items() if job]
        yield from walk.pages(jobs, resume_point, memory, found.as_of, is_folder=is_folder)

    # The live API for people.

    def find_run(self, pipeline: Pipeline, run_id: str) -> RunWithSteps:
        """A build of which no stage is told is shown as one step, so that its log can be read."""
        found = super().find_run(pipeline, run_id)
        return found if found.steps or found.problems else whole_build(found.run, found.as_of)

    def find_runs(self, wanted: base.RunFilter) -> list[Run]:
        self.refuse_unsupported("list runs", wanted, "pipeline limit skip sort")
        self.provider_word(wanted, "sort", {"creationDateDesc": None})
        if wanted.pipeline is None:
            raise RefusedError("Jenkins lists the builds of one job: name one")
        name = self._checked_name(wanted.pipeline)
        job = self._job(name, wanted.skip or 0, min(wanted.limit or 20, walk.PAGE_SIZE))
        with self.reading():
            return [self._read(raw, name, job.as_of).run for raw in job.rows]

    def log(self, pipeline: Pipeline | None, run_id: str, step: Step) -> str:
        known = self.require_pipeline(pipeline)
        if step.id == "build":
            return str(self.client.get_text(self._build_path(known, run_id, "consoleText")).data)
        with suppress(NotFoundError):
            path = self._build_path(known, run_id, "stages", "log")
            return str(self.client.get_text(path, {"nodeId": step.id}).data)
        return self._stage_view_log(known, run_id, step)

    def _stage_view_log(self, pipeline: Pipeline, run_id: str, step: Step) -> str:
        """The logs of a stage's nodes, of which the stage view tells the last 10 KB each."""
        texts: list[str] = []
        for node in self._node(pipeline, run_id, step.id, "describe").get("stageFlowNodes") or ():
            told = self._node(pipeline, run_id, str(node.get("id")), "log")
            if told.get("text"):
                texts += ["[earlier lines are left out by Jenkins]\n"] * bool(told.get("hasMore"))
                texts.append(html.unescape(_TAG.sub("", str(told["text"]))))
        if not texts:
            raise NotFoundError(f"{self.name}: stage {step.name!r} wrote no log of its own")
        return "".join(texts)

    def _node(self, pipeline: Pipeline, run_id: str, node: str, what: str) -> dict[str, Any]:
        path = self._build_path(pipeline, run_id, "execution", "node", node, "wfapi", what)
        return object_in(self.client.get(path).data, path)

    def trigger(self, wanted: base.TriggerRequest) -> Run | None:
        self.refuse_unsupported("trigger runs", wanted, "pipeline env")
        path = job_path(self._checked_name(wanted.pipeline))
        tree = "nextBuildNumber,jobs[name],property[_class]"
        job = self._ask(wanted.pipeline, "nextBuildNumber", tree).data
        takes = "ParametersDefinition" in str(job.get("property"))
        if wanted.env and not takes:
            raise RefusedError(f"{self.name}: job {wanted.pipeline!r} takes no parameters")
        order = checked_path(*path, "buildWithParameters" if takes else "build")
        answer = self._send(order, dict(wanted.env) if takes else None)
        queued = _QUEUE_ITEM.search(urlsplit(answer.headers.get("Location", "")).path)
        return self._once_started(Pipeline(wanted.pipeline), queued[1]) if queued else None

    def _once_started(self, pipeline: Pipeline, queued: str) -> Run | None:
        """The build that a place in the queue becomes; None if that takes too long to wait for.

        Raises:
            SourceError: it was cancelled there.
        """
        deadline, pause = time.monotonic() + self.queue_patience, 0.25
        path, tree = checked_path("queue", "item", queued, "api", "json"), "cancelled,executable"
        with suppress(NotFoundError):
            while time.monotonic() < deadline:
                told = object_in(self.client.get(path, {"tree": f"{tree}[number]"}).data, path)
                if told.get("cancelled"):
                    raise SourceError(f"{self.name}: the build was cancelled in the queue")
                if number := (told.get("executable") or {}).get("number"):
                    return self.reread(pipeline, str(number)).run
                time.sleep(pause)
                pause = min(pause * 1.5, 5)
        return None

    def abort(self, pipeline: Pipeline | None, run_id: str) -> None:
        known = self.require_pipeline(pipeline)
        self.refuse_if_over(self.find_run(known, run_id).run)
        path = self._build_path(known, run_id, "stop")
        shown = urljoin(path, self._send(path, None).headers.get("Location", "."))
        # To the build's page; how a proxy calls the host and the path before it is its own affair.
        if not urlsplit(shown).path.endswith(path.removesuffix("stop")):
            raise SourceError(f"{self.name}: {path} leads elsewhere; see whether it was stopped")

    def _send(self, path: str, form: dict[str, str] | None) -> Response:
        """Gives an order, once. A user with a password needs a crumb for it, and its session."""
        headers: dict[str, str] = {}
        with suppress(NotFoundError, ForbiddenError):
            issuer = checked_path("crumbIssuer", "api", "json")
            answer = self.client.get(issuer)
            crumb = object_in(answer.data, issuer)
            told = [str(crumb.get(key)) for key in ("crumbRequestField", "crumb")]
            if all(_HEADER.fullmatch(text) for text in told):
                cookies = "; ".join(_SESSION.findall(answer.headers.get("Set-Cookie", "")))
                headers = {told[0]: told[1], **({"Cookie": cookies} if cookies else {})}
        return self.client.send(
            "POST", path, form=form, headers=headers, as_json=False, redirect_is_answer=True
        )

    def access(self) -> base.Access:
        path = checked_path("whoAmI", "api", "json")
        answer = self.client.get(path, {"tree": "name,anonymous,authenticated"})
        told = object_in(answer.data, path)
        return base.Access(answer.as_of, None if told.get("anonymous") else told.get("name"))

    def discover(self) -> Iterator[Discovered | Problem]:
        folder = self._folder("", "nextBuildNumber")
        yield from folder.problems
        for name, job in folder.items.items():
            within = name.rpartition("/")[0] or None
            yield Discovered("id" if job else "application_id", name, name, within)
