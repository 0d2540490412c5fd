"""A Jenkins controller's items and builds, as its published classes have them.

It knows nothing of runsync. Times are whole milliseconds; builds are numbered per job, and a job
that is deleted and made again numbers anew.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]
PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
FREESTYLE = "hudson.model.FreeStyleProject"
FOLDER = "com.cloudbees.hudson.plugins.folder.Folder"
MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
BRANCH_PROPERTY = "org.jenkinsci.plugins.workflow.multibranch.BranchJobProperty"
RUN_CLASSES = {
    PIPELINE: "org.jenkinsci.plugins.workflow.job.WorkflowRun",
    FREESTYLE: "hudson.model.FreeStyleBuild",
}
USER_CAUSE = {
    "_class": "hudson.model.Cause$UserIdCause",
    "shortDescription": "Started by user Ada L.",
    "userId": "ada",
    "userName": "Ada L.",
}


@dataclass
class Stage:
    """A stage of a Pipeline build; its id is that of the flow node that begins it."""

    id: int
    name: str
    status: str
    started: int
    duration: int = 0
    paused: int = 0
    agent: str | None = None
    children: list["Stage"] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)


@dataclass
class Build:
    number: int
    kind: str
    timestamp: int
    actions: list[Json]
    queue_id: int
    building: bool = True
    in_progress: bool = True
    result: str | None = None
    duration: int = 0
    built_on: str = ""
    display_name: str | None = None
    change_sets: list[Json] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    log: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass
class Item:
    """A folder, a multibranch project, or a job."""

    name: str
    kind: str
    children: dict[str, "Item"] = field(default_factory=dict)
    builds: dict[int, Build] = field(default_factory=dict)
    next_number: int = 1
    is_branch: bool = False
    parameterized: bool = False
    buildable: bool = True

    @property
    def is_job(self) -> bool:
        return self.kind in RUN_CLASSES

    def newest_first(self) -> list[Build]:
        return [self.builds[number] for number in sorted(self.builds, reverse=True)]


class World:
    """All items. The clock stands still unless it is told to go on."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.root = Item("", FOLDER)
        self.spoilt: dict[tuple[str, int], Callable[[Json], Any]] = {}
        self.queue: dict[int, Json] = {}
        self._last_queued, self._last_node = 100, 3

    @property
    def now_ms(self) -> int:
        return round(self.now.timestamp() * 1000)

    def pass_time(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    # Items.

    def add(self, path: str, kind: str = PIPELINE) -> Item:
        """An item; the folders above it are made where there are none."""
        at = self.root
        *above, name = path.split("/")
        for part in above:
            at = at.children.setdefault(part, Item(part, FOLDER))
        made = at.children[name] = Item(name, kind, is_branch=at.kind == MULTIBRANCH)
        return made

    def find(self, path: str) -> Item | None:
        at: Item | None = self.root
        for part in path.split("/") if path else []:
            at = at.children.get(part) if at else None
        return at

    def remove(self, path: str) -> Item:
        above, _, name = path.rpartition("/")
        parent = self.find(above)
        assert parent is not None
        return parent.children.pop(name)

    def jobs(self, at: Item | None = None, path: str = "") -> Iterator[tuple[str, Item]]:
        """Every job by its full name."""
        for item in list((at or self.root).children.values()):
            full = f"{path}/{item.name}" if path else item.name
            if item.is_job:
                yield full, item
            yield from self.jobs(item, full)

    # Builds.

    def start(
        self, job: Item, *names: str, causes: list[Json] | None = None, queued: int | None = None
    ) -> Build:
        """A build with a stage of each name, of which the first is under way."""
        self._last_queued += 3
        cause = {"_class": "hudson.model.CauseAction", "causes": causes or [USER_CAUSE]}
        build = Build(
            job.next_number,
            RUN_CLASSES[job.kind],
            self.now_ms,
            [cause, {}, {"_class": "org.jenkinsci.plugins.displayurlapi.actions.RunDisplayAction"}],
            self._last_queued,
        )
        if queued is not None:
            build.actions.append(time_in_queue(queued))
        if job.kind == FREESTYLE:
            build.built_on = "linux-7"
        job.next_number += 1
        job.builds[build.number] = build
        for name in names if job.kind == PIPELINE else ():
            self._last_node += 5
            build.stages.append(Stage(self._last_node, name, "IN_PROGRESS", self.now_ms))
        return build

    def end(self, build: Build, result: str = "SUCCESS", failing: str | None = None) -> None:
        """Ends a build and its stages, each with success but the failing one and those behind."""
        build.building = build.in_progress = False
        build.result = result
        build.duration = self.now_ms - build.timestamp
        build.log = f"log of {build.number}\nFinished: {result}\n"
        failed = False
        for stage in build.stages:
            if failed:
                stage.status, stage.duration, stage.started = "NOT_EXECUTED", 0, 0
                continue
            failed = stage.name == failing
            stage.status = "FAILED" if failed else "SUCCESS"
            stage.duration = self.now_ms - stage.started
            stage.logs = [f"log of {stage.name} &lt;{stage.id}&gt;\n"]

    def history(self, job: Item, count: int, *, seed: int = 1, gap: float = 600) -> list[Build]:
        """Finished builds, some seconds apart."""
        draw, made = random.Random(seed), []
        for _ in range(count):
            build = self.start(job, "Checkout", "Test", "Deploy", queued=draw.randrange(9000))
            self.pass_time(milliseconds=draw.randrange(1, int(gap * 1000)))
            bad = draw.random() < 0.3
            self.end(build, "FAILURE" if bad else "SUCCESS", "Test" if bad else None)
            made.append(build)
            self.pass_time(milliseconds=draw.randrange(1, int(gap * 1000)))
        return made

    def enqueue(self, path: str, job: Item, parameters: dict[str, str]) -> int:
        """A request that waits for :meth:`dequeue`; its number in the queue."""
        self._last_queued += 3
        self.queue[self._last_queued] = {"path": path, "job": job, "parameters": parameters}
        return self._last_queued

    def dequeue(self, number: int) -> Build:
        """Starts what waits."""
        entry = self.queue[number]
        build = self.start(entry["job"], "Checkout")
        build.queue_id, build.parameters = number, entry["parameters"]
        values = [
            {"_class": "hudson.model.StringParameterValue", "name": name, "value": value}
            for name, value in build.parameters.items()
        ]
        build.actions.append({"_class": "hudson.model.ParametersAction", "parameters": values})
        entry["build"] = build
        return build


def time_in_queue(milliseconds: int) -> Json:
    return {
        "_class": "jenkins.metrics.impl.TimeInQueueAction",
        "blockedDurationMillis": 0,
        "buildableDurationMillis": milliseconds // 3,
        "buildableTimeMillis": 999999,
        "waitingDurationMillis": milliseconds - milliseconds // 3,
    }


def git(sha: str, branch: str) -> Json:
    return {
        "_class": "hudson.plugins.git.util.BuildData",
        "buildsByBranchName": {},
        "lastBuiltRevision": {"SHA1": sha, "branch": [{"SHA1": sha, "name": branch}]},
        "remoteUrls": ["https://git.example/app.git"],
        "scmName": "",
    }


def scm_revision(sha: str) -> Json:
    kind = "jenkins.plugins.git.AbstractGitSCMSource$SCMRevisionImpl"
    revision = {"_class": kind, "hash": sha}
    return {"_class": "jenkins.scm.api.SCMRevisionAction", "revision": revision}


def change_set(*commits: tuple[str, str, str]) -> Json:
    """Commits as (id, author's name, message), the oldest first."""
    items = [
        {
            "_class": "hudson.plugins.git.GitChangeSet",
            "commitId": sha,
            "author": {"absoluteUrl": "https://ci.example/user/x", "fullName": author},
            "authorEmail": "x@example.org",
            "comment": f"{message}\n\nmore\n",
            "msg": message,
            "affectedPaths": ["a", "b"],
        }
        for sha, author, message in commits
    ]
    return {"_class": "hudson.plugins.git.GitChangeSetList", "items": items, "kind": "git"}
