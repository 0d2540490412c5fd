"""Revision 0003 tells of old rows what a sync of today would have stored.

Runs of each source are read from its own JSON and stored; the schema goes down to 0002, where the
new columns are not, and up again.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from runsync.records import Pipeline, Run, RunWithSteps
from runsync.sources.buildbot.payloads import read_attempts
from runsync.sources.buildbot.payloads import read_step as read_buildbot_step
from runsync.sources.buildbot.words import NAMES
from runsync.sources.fields import Fields
from runsync.sources.github import payloads as github
from runsync.sources.github import words as github_words
from runsync.sources.github.jobs import read_jobs
from runsync.sources.gitlab import payloads as gitlab
from runsync.sources.gitlab import words as gitlab_words
from runsync.sources.wercker import source as wercker
from runsync.sources.wercker import words as wercker_words
from runsync.storage import schema
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore, RunToWrite

AT = "2024-05-06T12:00:00Z"
END = "2024-05-06T12:01:00Z"
NOW = datetime.fromisoformat(END) + timedelta(days=2)
LIFE = {"created_at": AT, "started_at": AT, "completed_at": END, "updated_at": END}
QUERY = {
    "runs": "SELECT pipeline_id, id, number, event, outcome, web_url FROM runs ORDER BY 1, 2",
    "steps": "SELECT pipeline_id, run_id, id, runner, outcome FROM steps ORDER BY 1, 2, 3",
}


def of_wercker() -> list[RunWithSteps]:
    runs = []
    for number, word in enumerate([*wercker_words.ENDINGS, "odd"]):
        raw = {"id": f"{number:024x}", "status": "finished", "result": word, "createdAt": AT}
        raw["url"] = f"http://ci.example/api/v3/runs/{raw['id']}"
        causes: list[dict[str, Any]] = [{}, {"sourceRun": {"id": "a"}}, {"pullRequest": {"n": 1}}]
        run = wercker.read_run(
            raw | causes[number % 3], Pipeline("w"), "http://ci.example", details=True
        )
        step = {"id": "s", "status": "finished", "result": word, "createdAt": AT}
        runs.append(RunWithSteps(run, (wercker.read_step(step, 1),), NOW))
    unfinished = {"id": "f" * 24, "status": "running", "result": "unknown", "createdAt": AT}
    run = wercker.read_run(unfinished, Pipeline("w"), "http://ci.example", details=False)
    url = f"http://ci.example/api/v3/runs/{run.id}"
    told_late = unfinished | {"url": url}
    run = wercker.read_run(told_late, Pipeline("w"), "http://ci.example", details=False)
    return [*runs, RunWithSteps(run, (), NOW)]


def of_github() -> list[RunWithSteps]:
    repository = github.Repository("octo/hello", "https://github.com")
    events = ["push", "pull_request", "schedule", "merge_group", *github_words.EVENTS]
    runs = []
    for number, word in enumerate([*github_words.ENDINGS, "odd"], 1):
        raw = LIFE | {"id": number, "run_number": 40 + number, "run_attempt": 1 + number % 2}
        raw |= {"status": "completed", "conclusion": word, "workflow_id": 1}
        raw |= {"event": events[number % len(events)], "run_started_at": AT}
        fields = github.run_fields(raw)
        run = github.read_run(fields, repository, Pipeline("octo/hello/1"))
        runs.append(_with_jobs(run, word, repository))
    return runs


def _with_jobs(run: Run, word: str, repository: github.Repository) -> RunWithSteps:
    steps = [{"name": "a", "status": "completed", "conclusion": word, "number": n} for n in (1, 7)]
    job = LIFE | {"status": "completed", "conclusion": word, "run_attempt": run.attempt}
    rows = [
        job | {"id": 1, "name": "x", "labels": ["self-hosted", "x64"], "steps": steps},
        job | {"id": 11, "name": "x", "labels": [], "runner_name": "lab 7", "steps": steps},
        job | {"id": 2, "name": "y", "labels": ["ubuntu-latest"], "runner_id": 3, "steps": []},
        job | {"id": 3, "name": "z", "labels": ["ubuntu-latest"], "runner_id": 0, "steps": []},
    ]
    return RunWithSteps(*read_jobs(rows, run, repository)[:2], NOW)


def of_gitlab() -> list[RunWithSteps]:
    base, named = "https://gitlab.example", Pipeline("group/project")
    reasons = ["script_failure", "unknown_failure", "odd", *gitlab_words.REASONS]
    sources = ["push", "schedule", "odd", *gitlab_words.EVENTS]
    runs = []
    for number, reason in enumerate(reasons, 1):
        raw: dict[str, Any] = {"id": number, "iid": 40 + number, "created_at": AT}
        raw |= {"status": "failed", "source": sources[number % len(sources)], "finished_at": END}
        raw |= {"web_url": f"{base}/group/project/-/pipelines/{number}"}
        raw |= {"yaml_errors": "no jobs"} if number == 2 else {}
        jobs: list[object] = [
            _job(10 * number, "test", reason),
            _job(10 * number + 1, "lint", "script_failure", allow_failure=True),
            _job(10 * number + 2, "unit", "script_failure"),  # which is run again below
            _job(10 * number + 3, "unit", reasons[-1 - number % 3]),
        ]
        runs.append(gitlab.read_details(gitlab.read_run(raw, named, base), jobs, [], NOW))
    for number, word in enumerate([*gitlab_words.ENDINGS, *gitlab_words.STATUSES, "odd"], 100):
        raw = {"id": number, "iid": number, "created_at": AT, "status": word, "source": "push"}
        raw |= {"web_url": f"{base}/group/project/-/pipelines/{number}"}
        jobs = [{**_job(10 * number, "test", None), "status": word}]
        runs.append(gitlab.read_details(gitlab.read_run(raw, named, base), jobs, [], NOW))
    return runs


def _job(number: int, name: str, reason: str | None, **more: Any) -> dict[str, Any]:
    job = {"id": number, "name": name, "stage": "s", "status": "failed", "created_at": AT}
    return {**job, "failure_reason": reason, "runner": {"description": f"big {name}"}, **more}


def of_buildbot() -> list[RunWithSteps]:
    runs = []
    causes: list[dict[str, Any]] = [{}, {"reason": ["again", "Force Build Form"]}]
    for number, result in enumerate([*NAMES, 99], 1):
        ids: dict[str, Any] = {"buildrequestid": number, "builderid": 1, "buildsetid": number}
        request = ids | {"submitted_at": 1700000000, "waited_for": number % 3 == 0}
        properties: dict[str, Any] = {
            "scheduler": ["nightly", "Scheduler"],
            "workername": ["w1", "Worker"],
        }
        build: dict[str, Any] = {
            "buildid": number,
            "number": 7,
            "complete_at": 1700000100,
            "results": result,
        }
        build |= {"started_at": 1700000050, "properties": properties | causes[number % 2]}
        pipeline, web = Pipeline("b"), "http://bot/#"
        step: dict[str, Any] = {
            "stepid": number,
            "number": 0,
            "results": result,
            "started_at": 1700000050,
        }
        for run in read_attempts(Fields(request, "it"), [build], pipeline, web):
            worker = run.extra.get("workername")
            steps = (read_buildbot_step(step | {"complete_at": 1700000100}, worker),)
            runs.append(RunWithSteps(run, steps if run.number else (), NOW))
    return runs


def rows_of(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.read() as connection:
        return {
            table: [tuple(row) for row in connection.execute(text(query))]
            for table, query in QUERY.items()
        }


def downgrade(database: Database, revision: str) -> None:
    with database.write() as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def filled(database: Database) -> None:
    everything = {"w": of_wercker(), "h": of_github(), "g": of_gitlab(), "b": of_buildbot()}
    for source, runs in everything.items():
        store = ListingStore(database, source, f"{source}/x")
        store.save(Batch([RunToWrite(one, settled=True) for one in runs]))


def test_old_rows_get_what_a_sync_of_today_would_store(database: Database) -> None:
    filled(database)
    before = rows_of(database)
    assert {row[4] for row in before["runs"]} == {
        None, "success", "failure", "timeout", "error", "cancellation", "skip"
    }  # fmt: skip
    assert {None, "lab 7", "self-hosted,x64", "big test", "w1"} <= {
        row[3] for row in before["steps"]
    }
    downgrade(database, "0002")
    schema.upgrade(database)
    assert rows_of(database) == before


def test_the_views_show_the_new_columns(database: Database) -> None:
    filled(database)
    with database.read() as connection:
        errors = "SELECT count(*) FROM {} WHERE is_error = 1 AND outcome = 'error'"
        for view in ("v_runs", "v_steps"):
            assert connection.execute(text(errors.format(view))).scalar_one() > 5
        query = (
            "SELECT event, number, web_url, run_outcome, runner FROM v_steps WHERE event = 'api'"
        )
        assert len(connection.execute(text(query)).all()) > 0


def test_what_users_made_of_the_views_outlives_the_upgrade(
    database: Database, request: pytest.FixtureRequest
) -> None:
    downgrade(database, "0002")
    with database.write() as connection:
        connection.execute(text("CREATE VIEW mine AS SELECT id, is_passed FROM v_runs"))
        if not database.is_sqlite:
            connection.execute(text("GRANT SELECT ON v_runs TO PUBLIC"))
    schema.upgrade(database)
    filled(database)
    with database.write() as connection:
        assert connection.execute(text("SELECT count(*) FROM mine")).scalar_one() > 50
        if not database.is_sqlite:
            allowed = "SELECT has_table_privilege('pg_monitor', 'v_runs', 'SELECT')"
            assert connection.execute(text(allowed)).scalar_one()
        connection.execute(text("DROP VIEW mine"))
