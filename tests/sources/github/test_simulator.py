"""The simulator itself: what it answers has the published form, and it is as strict as it says."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import jsonschema
import pytest

from tests.sources.github.server import TOKEN, VERSION, Service
from tests.sources.github.world import NOW, REPO, SECOND, World, shown

SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text())
RUNS = f"/repos/{REPO}/actions/runs"
AT = NOW - timedelta(days=2)
HEADERS = {
    "User-Agent": "a test",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": VERSION,
    "Authorization": f"Bearer {TOKEN}",
}


def ask(
    service: Service, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(urlsplit(service.base).netloc, timeout=5)
    method = "GET" if body is None else "POST"
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, HEADERS if headers is None else headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, json.loads(data) if data else None, response.headers


def check(data: Any, name: str) -> None:
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    jsonschema.Draft202012Validator(schema).validate(data)


def test_answers_have_the_published_form(service: Service, world: World) -> None:
    skipped = world.job("deploy", 1, AT, AT, AT, "skipped", runner=None)
    run = world.add_run(AT, jobs=[*world.two_jobs(1, AT, AT + 60 * SECOND, "success"), skipped])
    world.rerun(run, AT + 90 * SECOND, failed_only=True)
    world.add_run(AT, status="queued")
    for path, name in (
        (RUNS, "runs"),
        (f"/repos/{REPO}/actions/workflows/ci.yml/runs", "runs"),
        (f"{RUNS}/{run.id}", "workflow-run"),
        (f"{RUNS}/{run.id}/attempts/1", "workflow-run"),
        (f"{RUNS}/{run.id}/attempts/1/jobs", "jobs"),
        (f"{RUNS}/{run.id}/attempts/2/jobs", "jobs"),
        (f"{RUNS}/{run.id + 1}/attempts/1/jobs", "jobs"),
        ("/rate_limit", "rate-limit-overview"),
        ("/nothing", "basic-error"),
    ):
        check(ask(service, path)[1], name)
    path = f"/repos/{REPO}/actions/workflows/101/dispatches"
    status, data, _ = ask(service, path, body={"ref": "main", "return_run_details": True})
    assert status == 200
    check(data, "workflow-dispatch-response")


def test_the_schema_can_refuse() -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"total_count": 1, "workflow_runs": [{"id": 1}]}, "runs")
    with pytest.raises(jsonschema.ValidationError):
        check({"total_count": 0, "jobs": [], "more": 1}, "jobs")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (RUNS, {**HEADERS, "Authorization": "Bearer wrong"}, 401),
        (RUNS, {**HEADERS, "X-GitHub-Api-Version": "1999-01-01"}, 400),
        (RUNS, {**HEADERS, "Accept": "text/html"}, 415),
        (RUNS, {k: v for k, v in HEADERS.items() if k != "User-Agent"}, 403),
        (f"{RUNS}?colour=red", HEADERS, 422),
        (f"{RUNS}?status=sleepy", HEADERS, 422),
        (f"{RUNS}?created=yesterday", HEADERS, 422),
        (f"{RUNS}/1", HEADERS, 404),
        ("/repos/octo-org/other/actions/runs", HEADERS, 404),
    ],
)
def test_it_is_strict(
    service: Service, world: World, path: str, headers: dict[str, str], status: int
) -> None:
    world.add_run(AT)
    assert ask(service, path, headers)[0] == status


def test_its_caps(service: Service, world: World) -> None:
    world.page, world.cap, world.unfiltered_cap = 3, 6, 9
    for n in range(12):
        world.add_run(AT + n * SECOND)

    def rows(query: str) -> list[int]:
        return [run["id"] for run in ask(service, f"{RUNS}?{query}")[1]["workflow_runs"]]

    assert rows("per_page=100") == [5012, 5011, 5010]
    assert rows("per_page=100&page=3") == [5006, 5005, 5004]
    assert ask(service, f"{RUNS}?per_page=100&page=4")[0] == 422
    created = quote(f"*..{shown(AT + 9 * SECOND)}")
    assert rows(f"per_page=100&created={created}") == [5010, 5009, 5008]
    assert rows(f"per_page=100&created={created}&page=2") == [5007, 5006, 5005]
    assert rows(f"per_page=100&created={created}&page=3") == []
    assert ask(service, f"{RUNS}?created={created}")[1]["total_count"] == 10


def test_times_are_compared_by_fractions_and_shown_without(service: Service, world: World) -> None:
    world.add_run(AT + 0.5 * SECOND)
    created = quote(f"*..{shown(AT)}")
    assert ask(service, f"{RUNS}?created={created}")[1]["total_count"] == 0
    assert ask(service, RUNS)[1]["workflow_runs"][0]["created_at"] == shown(AT)
    before = quote(f"<{shown(AT + SECOND)}")
    assert ask(service, f"{RUNS}?created={before}")[1]["total_count"] == 1


@pytest.mark.parametrize(
    ("counts", "total"), [("true", 12), ("capped", 6), ("none", 0), ("lagging", 11)]
)
def test_how_it_counts_what_it_filters(
    service: Service, world: World, counts: str, total: int
) -> None:
    world.page, world.cap, world.counts = 3, 6, counts
    for n in range(12):
        world.add_run(AT + n * SECOND)
    assert ask(service, RUNS)[1]["total_count"] == 12
    assert ask(service, f"{RUNS}?branch=main")[1]["total_count"] == total


def test_etags_change_with_the_answer(service: Service, world: World) -> None:
    run = world.add_run(AT)
    etag = ask(service, RUNS)[2]["ETag"]
    conditional = {**HEADERS, "If-None-Match": etag}
    status, data, headers = ask(service, RUNS, conditional)
    assert (status, data, headers["X-RateLimit-Used"]) == (304, None, "1")
    world.rerun(run, NOW)
    assert ask(service, RUNS, conditional)[0] == 200


def test_the_limit_is_spent_and_fills_again(service: Service) -> None:
    service.limit = 2
    assert [ask(service, RUNS)[0] for _ in range(2)] == [200, 200]
    service.exhaust(0.2)
    status, data, headers = ask(service, RUNS)
    assert (status, headers["X-RateLimit-Remaining"]) == (403, "0")
    assert "rate limit exceeded" in data["message"]
    assert ask(service, "/rate_limit")[0] == 200
