"""A simulated GitHub: what it holds, and how it shows it. Written from the published contract.

The reading is our own and shares nothing with the source under test. Harsher than the contract
where that leaves room: runs are created at fractions of a second but shown in whole ones, and a
re-run shows the jobs that it did not run again once more, under new ids and without steps.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

NOW = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
REPO = "Octo-Org/Hello.World"
_REPOSITORY_URLS = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors "
    "deployments downloads events forks git_commits git_refs git_tags hooks issue_comment "
    "issue_events issues keys labels languages merges milestones notifications pulls releases "
    "stargazers statuses subscribers subscription tags teams trees"
).split()
_USER_URLS = (
    "avatar events followers following gists html organizations received_events repos starred "
    "subscriptions"
).split()


@dataclass
class Workflow:
    id: int
    name: str
    path: str


@dataclass
class Job:
    id: int
    name: str
    attempt: int
    created: datetime
    started: datetime
    completed: datetime | None
    status: str = "completed"
    conclusion: str | None = "success"
    runner: int | None = 7
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Attempt:
    number: int
    started: datetime
    updated: datetime
    status: str
    conclusion: str | None
    actor: str
    jobs: list[Job]


@dataclass
class Run:
    id: int
    number: int
    workflow: Workflow
    name: str
    created: datetime
    attempts: list[Attempt]
    branch: str | None = "main"
    sha: str = "f" * 40
    message: str = "Say hello"
    event: str = "push"
    actor: str = "octocat"
    head_repository: str = REPO

    @property
    def newest(self) -> Attempt:
        return self.attempts[-1]


class World:
    """One repository with its workflows and runs. ``now`` stands still until it is moved.

    ``counts`` is how filtered runs are counted: true, capped, none (beyond the cap), or lagging.
    """

    def __init__(self, *, page: int = 100, cap: int = 1000, unfiltered_cap: int = 40_000) -> None:
        self.now = NOW
        self.page, self.cap, self.unfiltered_cap = page, cap, unfiltered_cap
        self.counts = "true"
        self.default_branch = "main"
        self.lock = threading.RLock()
        self.workflows: dict[int, Workflow] = {}
        self.runs: dict[int, Run] = {}
        self._ids = itertools.count(5001)
        self._jobs = itertools.count(900_001)
        self.add_workflow("CI", ".github/workflows/ci.yml")

    # History.

    def add_workflow(self, name: str, path: str) -> Workflow:
        made = Workflow(101 + len(self.workflows), name, path)
        self.workflows[made.id] = made
        return made

    def add_run(
        self,
        created: datetime,
        conclusion: str | None = "success",
        *,
        status: str = "completed",
        workflow: Workflow | None = None,
        jobs: list[Job] | None = None,
        **facts: Any,
    ) -> Run:
        """A run created then, two jobs of three steps each unless told otherwise."""
        with self.lock:
            of = workflow or next(iter(self.workflows.values()))
            run = Run(next(self._ids), len(self.runs) + 1, of, of.name, created, [], **facts)
            self._attempt(run, created, status, conclusion, run.actor, jobs)
            self.runs[run.id] = run
            return run

    def rerun(
        self,
        run: Run,
        at: datetime,
        conclusion: str | None = "success",
        *,
        status: str = "completed",
        actor: str = "hubot",
        failed_only: bool = False,
    ) -> Attempt:
        """Another attempt; with ``failed_only`` the jobs that had passed are only shown again."""
        with self.lock:
            before = run.newest.jobs
            attempt = self._attempt(run, at, status, conclusion, actor, None)
            if failed_only:
                copies = [
                    Job(next(self._jobs), j.name, attempt.number, j.created, j.started, j.completed)
                    for j in before
                    if j.conclusion == "success"
                ]
                attempt.jobs = copies + attempt.jobs[len(copies) :]
            return attempt

    def finish(self, run: Run, at: datetime, conclusion: str = "success") -> None:
        with self.lock:
            newest = run.newest
            newest.status, newest.conclusion, newest.updated = "completed", conclusion, at
            newest.jobs = self.two_jobs(newest.number, newest.started, at, conclusion)

    def delete(self, run: Run) -> None:
        with self.lock:
            del self.runs[run.id]

    def forget_steps(self, before: datetime) -> None:
        """As GitHub does with the logs, after 90 days."""
        with self.lock:
            for run in self.runs.values():
                if run.created < before:
                    for attempt in run.attempts:
                        for job in attempt.jobs:
                            job.steps = []

    def two_jobs(
        self, attempt: int, begin: datetime, end: datetime, conclusion: str | None
    ) -> list[Job]:
        first = self.job("build", attempt, begin, begin + 5 * SECOND, max(end - 4 * SECOND, begin))
        second = self.job("test", attempt, begin, begin + 9 * SECOND, end, conclusion)
        return [first, second]

    def job(
        self,
        name: str,
        attempt: int,
        created: datetime,
        started: datetime,
        completed: datetime | None,
        conclusion: str | None = "success",
        **facts: Any,
    ) -> Job:
        job = Job(next(self._jobs), name, attempt, created, started, completed, **facts)
        job.conclusion = conclusion
        names = ("Set up job", f"Run make {name}", "Complete job")
        if job.status == "completed" and "steps" not in facts and conclusion != "skipped":
            job.steps = [
                _step(number, step, conclusion, started + i * SECOND)
                for i, (number, step) in enumerate(zip((1, 2, 17), names, strict=True))
            ]
        return job

    def _attempt(
        self,
        run: Run,
        at: datetime,
        status: str,
        conclusion: str | None,
        actor: str,
        jobs: list[Job] | None,
    ) -> Attempt:
        number, end = len(run.attempts) + 1, at + 60 * SECOND
        if status != "completed":
            conclusion, end = None, at
        if jobs is None:
            ended = status == "completed"
            jobs = (
                self.two_jobs(number, at, end, conclusion) if ended else self._waiting(number, at)
            )
        attempt = Attempt(number, at, end, status, conclusion, actor, jobs)
        run.attempts.append(attempt)
        return attempt

    def _waiting(self, number: int, at: datetime) -> list[Job]:
        return [self.job("build", number, at, at, None, None, status="queued", runner=None)]

    # What is asked of it.

    def counted(self, found: int) -> int:
        """How many GitHub says it found. Beyond the cap its word cannot be relied on, and the
        count may lag behind."""
        if self.counts == "lagging":
            return max(found - 1, 0)
        if self.counts == "true" or found <= self.cap:
            return found
        return self.cap if self.counts == "capped" else 0

    def listed(self, workflow: int | None = None) -> list[Run]:
        """Newest first."""
        runs = [r for r in self.runs.values() if workflow in (None, r.workflow.id)]
        return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)

    def find_workflow(self, ref: str) -> Workflow | None:
        return next(
            (
                w
                for w in self.workflows.values()
                if ref in (str(w.id), w.path.removeprefix(".github/workflows/"))
            ),
            None,
        )

    def run_json(self, run: Run, attempt: Attempt, base: str) -> dict[str, Any]:
        api, html = f"{base}/repos/{REPO}", f"https://github.com/{REPO}"
        url = f"{api}/actions/runs/{run.id}"
        earlier = f"{url}/attempts/{attempt.number - 1}" if attempt.number > 1 else None
        return {
            "id": run.id,
            "name": run.name,
            "node_id": f"WFR_{run.id}",
            "check_suite_id": 40_000 + run.id,
            "check_suite_node_id": f"CS_{run.id}",
            "head_branch": run.branch,
            "head_sha": run.sha,
            "path": run.workflow.path,
            "run_number": run.number,
            "run_attempt": attempt.number,
            "referenced_workflows": [],
            "event": run.event,
            "display_title": run.message.partition("\n")[0],
            "status": attempt.status,
            "conclusion": attempt.conclusion,
            "workflow_id": run.workflow.id,
            "url": url,
            "html_url": f"{html}/actions/runs/{run.id}",
            "pull_requests": [],
            "created_at": shown(run.created),
            "updated_at": shown(attempt.updated),
            "run_started_at": shown(attempt.started),
            "actor": _user(run.actor, base),
            "triggering_actor": _user(attempt.actor, base),
            "jobs_url": f"{url}/jobs",
            "logs_url": f"{url}/logs",
            "check_suite_url": f"{api}/check-suites/{40_000 + run.id}",
            "artifacts_url": f"{url}/artifacts",
            "cancel_url": f"{url}/cancel",
            "rerun_url": f"{url}/rerun",
            "previous_attempt_url": earlier,
            "workflow_url": f"{api}/actions/workflows/{run.workflow.id}",
            "head_commit": _commit(run),
            "repository": _repository(REPO, base),
            "head_repository": _repository(run.head_repository, base),
        }

    def repository_json(self, base: str) -> dict[str, Any]:
        return {**_repository(REPO, base), "default_branch": self.default_branch, "topics": []}

    def workflow_json(self, workflow: Workflow, base: str) -> dict[str, Any]:
        file = workflow.path.rpartition("/")[2]
        return {
            "id": workflow.id,
            "node_id": f"W_{workflow.id}",
            "name": workflow.name,
            "path": workflow.path,
            "state": "active",
            "created_at": "2020-01-08T23:48:37.000-08:00",
            "updated_at": "2020-01-08T23:50:21.000-08:00",
            "url": f"{base}/repos/{REPO}/actions/workflows/{workflow.id}",
            "html_url": f"https://github.com/{REPO}/blob/main/{workflow.path}",
            "badge_url": f"https://github.com/{REPO}/workflows/{file}/badge.svg",
        }

    def job_json(self, run: Run, job: Job, base: str) -> dict[str, Any]:
        api = f"{base}/repos/{REPO}"
        return {
            "id": job.id,
            "run_id": run.id,
            "run_url": f"{api}/actions/runs/{run.id}",
            "run_attempt": job.attempt,
            "node_id": f"CR_{job.id}",
            "head_sha": run.sha,
            "url": f"{api}/actions/jobs/{job.id}",
            "html_url": f"https://github.com/{REPO}/actions/runs/{run.id}/job/{job.id}",
            "status": job.status,
            "conclusion": job.conclusion,
            "created_at": shown(job.created),
            "started_at": shown(job.started),
            "completed_at": shown(job.completed) if job.completed else None,
            "name": job.name,
            "steps": job.steps,
            "check_run_url": f"{api}/check-runs/{job.id}",
            "labels": ["ubuntu-latest"],
            "runner_id": job.runner,
            "runner_name": "GitHub Actions 7" if job.runner else None,
            "runner_group_id": 2 if job.runner else None,
            "runner_group_name": "GitHub Actions" if job.runner else None,
            "workflow_name": run.name,
            "head_branch": run.branch,
        }

    def attempts(self) -> Iterator[tuple[Run, Attempt]]:
        for run in self.runs.values():
            for attempt in run.attempts:
                yield run, attempt


def shown(at: datetime) -> str:
    """A time as GitHub shows it: whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _step(number: int, name: str, conclusion: str | None, at: datetime) -> dict[str, Any]:
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "name": name,
        "status": "completed",
        "conclusion": conclusion,
        "number": number,
        "started_at": text,
        "completed_at": (at + SECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


@cache
def _user(login: str, base: str) -> dict[str, Any]:
    number = sum(login.encode())
    own = f"{base}/users/{login}"
    urls = {f"{name}_url": f"{own}/{name}" for name in _USER_URLS}
    facts = {"login": login, "id": number, "node_id": f"U_{number}", "gravatar_id": "", "url": own}
    return {**facts, **urls, "type": "User", "site_admin": False}


def _commit(run: Run) -> dict[str, Any]:
    person = {"name": "Octo Cat", "email": "octocat@example.com"}
    return {
        "id": run.sha,
        "tree_id": "e" * 40,
        "message": run.message,
        "timestamp": shown(run.created - 30 * SECOND),
        "author": person,
        "committer": person,
    }


@cache
def _repository(full_name: str, base: str) -> dict[str, Any]:
    owner, name = full_name.split("/")
    own = f"{base}/repos/{full_name}"
    return {
        "id": sum(full_name.encode()),
        "node_id": f"R_{name}",
        "name": name,
        "full_name": full_name,
        "owner": _user(owner, base),
        "private": False,
        "html_url": f"https://github.com/{full_name}",
        "description": None,
        "fork": full_name != REPO,
        "url": own,
        **{f"{key}_url": f"{own}/{key}" for key in _REPOSITORY_URLS},
    }
