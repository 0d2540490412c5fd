"""Jenkins, through its remote access API: any version that tells classes, from 2.0 on.

A job is our pipeline, a build of it our run; its steps are the stages of a Pipeline job, or the
build itself. ``id`` is a job's full name, ``application_id`` that of a folder or a multibranch
project, which stands for every job in it. In a full name a branch's slashes are written ``%2F``,
as Jenkins itself has them.

A job's list tells its builds whole; only stages take a request more. They come from the stage view
(``wfapi``), or from the graph view that newer servers have instead (``stages``).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

from runsync.config import PipelineConfig
from runsync.errors import ConfigError
from runsync.records import Pipeline, Problem
from runsync.sources.base import Listing, Page, ResumePoint
from runsync.sources.jenkins import walk
from runsync.sources.jenkins.live import LiveJenkins

FIRST_BUILDS = 5
"""How many builds of each job of a folder are asked for at once."""


class Jenkins(LiveJenkins):
    """One Jenkins controller."""

    # Of builds that begin at about the same time in a folder's jobs, one may be told a sync later
    # than another that began after it.
    recheck = timedelta(minutes=10)
    needs_begin = True
    lasting_memory: ClassVar[tuple[str, ...]] = (walk.JOBS_KEY,)
    walked_key = walk.ASKED_KEY

    def listing(self, wanted: PipelineConfig) -> Listing:
        kind, value = wanted.key
        if kind == "repository":
            raise ConfigError(
                f"source {self.name!r} is a Jenkins one and has no `repository`; write `id`, a "
                "job's full name, or `application_id`, that of a folder or multibranch project"
            )
        self._checked_name(value)
        if kind == "application_id":
            return Listing(f"{self.name}/application/{value}", value)
        return Listing(f"{self.name}/job/{value}", value, wanted.name, (Pipeline(value),))

    def pages(
        self, listing: Listing, resume_point: ResumePoint | None, memory: dict[str, Any]
    ) -> Iterator[Page]:
        if listing.pipelines:
            job = self._job(listing.ref, 0, walk.PAGE_SIZE)
            jobs, as_of = [(self._job_list(listing.ref), job)], job.as_of
        else:
            found, as_of = self._items(listing.ref, f"{{0,{FIRST_BUILDS}}}")
            named = [(name, job) for name, job in found if isinstance(name, str)]
            jobs = [(self._job_list(name), job) for name, job in named if job]
            bad = tuple(item for item, _ in found if isinstance(item, Problem))
            if bad:
                yield Page(bad, as_of, aside=True)
        is_folder = not listing.pipelines
        yield from walk.pages(jobs, resume_point, memory, as_of, is_folder=is_folder)
