"""The live API for people: lists, logs, starting and stopping, what a token is good for."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runsync.config import PipelineConfig
from runsync.errors import (
    ConfigError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    SourceError,
    TokenRefusedError,
)
from runsync.records import Pipeline, Problem, Result, Status
from runsync.sources.base import Discovered, RunFilter, TriggerRequest
from runsync.sources.github.source import GitHub
from tests.sources.github.rig import listed, run_ids, walked, workflow
from tests.sources.github.server import Fault, Service
from tests.sources.github.world import NOW, SECOND, World

AT = NOW - timedelta(days=2)
CI = "octo-org/hello.world/ci.yml"
REPO = "Octo-Org/Hello.World"
PIPELINE = Pipeline("octo-org/hello.world/101")


@pytest.mark.parametrize(
    "wanted",
    [
        PipelineConfig("gh", id="hello"),
        PipelineConfig("gh", id="octo-org/hello"),
        PipelineConfig("gh", id="octo-org/hello/ci.txt"),
        PipelineConfig("gh", id="octo-org/hello/../ci.yml"),
        PipelineConfig("gh", id="octo-org/../ci.yml"),
        PipelineConfig("gh", id="octo-org/hello/ci.yml?x=1.yml/"),
        PipelineConfig("gh", repository="hello"),
        PipelineConfig("gh", repository="octo-org/.."),
        PipelineConfig("gh", repository="octo-org/hello/ci.yml"),
        PipelineConfig("gh", repository="https://github.com/octo-org/hello"),
        PipelineConfig("gh", application_id="5751377e7e1bd5f17f050bc0"),
    ],
)
def test_a_listing_that_github_cannot_have(github: GitHub, wanted: PipelineConfig) -> None:
    with pytest.raises(ConfigError, match=r"write `(repository|id) = \"owner/repo"):
        github.listing(wanted)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (CI, f"gh/workflow/{CI}"),
        ("Octo-Org/Hello.World/CI.yaml", "gh/workflow/octo-org/hello.world/CI.yaml"),
        ("octo-org/hello.world/.github/workflows/ci.yml", f"gh/workflow/{CI}"),
        ("octo-org/hello.world/101", "gh/workflow/octo-org/hello.world/101"),
    ],
)
def test_how_a_workflow_may_be_written(github: GitHub, written: str, key: str) -> None:
    listing = github.listing(PipelineConfig("gh", id=written, name="mine"))
    assert (listing.key, listing.label) == (key, "mine")


def test_a_repository_is_a_listing_without_a_label(github: GitHub) -> None:
    listing = github.listing(PipelineConfig("gh", repository=REPO, name="mine"))
    assert (listing.key, listing.label) == ("gh/repository/octo-org/hello.world", None)


def test_lists_by_state_and_conclusion(github: GitHub, service: Service, world: World) -> None:
    conclusions = ["success", "failure", "timed_out", "cancelled", "stale", "neutral", "skipped"]
    for n, conclusion in enumerate(conclusions):
        world.add_run(AT + n * SECOND, conclusion)
    world.add_run(AT + 50 * SECOND, status="waiting")
    world.add_run(AT + 51 * SECOND, status="in_progress")

    def found(**wanted: str | int) -> list[str]:
        runs = github.find_runs(RunFilter(application=REPO, **wanted))  # type: ignore[arg-type]
        return [run.raw_result or run.raw_status or run.result.value for run in runs]

    assert found(result="passed") == ["neutral", "success"]
    assert found(result="failed") == ["timed_out", "failure"]
    assert found(result="aborted", status="finished") == ["stale", "cancelled"]
    assert found(result="skipped") == ["completed"]
    assert found(status="notstarted") == ["waiting"]
    assert found(status="running") == ["in_progress"]
    assert len(found(status="finished")) == 7
    assert found(limit=2) == ["in_progress", "waiting"]
    assert found(limit=2, skip=1) == ["waiting", "completed"]
    assert all("created" not in asked.query for asked in service.asked)


def test_lists_by_branch_commit_and_author(github: GitHub, world: World) -> None:
    world.add_run(AT, branch="main", sha="a" * 40, actor="mona")
    world.add_run(AT + SECOND, branch="topic", sha="b" * 40)
    for wanted in (
        RunFilter(pipeline=CI, branch="main"),
        RunFilter(pipeline=CI, commit="a" * 40),
        RunFilter(pipeline="octo-org/hello.world/101", author="mona"),
    ):
        assert [run.id for run in github.find_runs(wanted)] == ["5001"]


def test_a_list_longer_than_a_page(github: GitHub, service: Service, world: World) -> None:
    for n in range(230):
        world.add_run(AT + n * SECOND)
    runs = github.find_runs(RunFilter(pipeline=CI, limit=200, skip=20))
    assert [run.id for run in runs] == [str(5210 - n) for n in range(200)]
    assert len(service.asked) == 3
    assert len(github.find_runs(RunFilter(pipeline=CI, limit=1000))) == 230


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(),
        RunFilter(pipeline="hello"),
        RunFilter(pipeline=CI, source_run="5"),
        RunFilter(pipeline=CI, sort="creationDateAsc"),
        RunFilter(pipeline=CI, status="started"),
        RunFilter(pipeline=CI, result="unknown"),
        RunFilter(pipeline=CI, status="running", result="passed"),
    ],
)
def test_what_github_cannot_filter_by(github: GitHub, service: Service, wanted: RunFilter) -> None:
    with pytest.raises(RefusedError, match=r"GitHub (lists|cannot list)"):
        github.find_runs(wanted)
    assert service.asked == []


def test_a_row_of_a_list_that_cannot_be_read(github: GitHub, service: Service) -> None:
    service.mangle = lambda _, body: {"total_count": 1, "workflow_runs": [{"id": 1}]}
    with pytest.raises(SourceError, match="gh: run 1: `created_at` is missing"):
        github.find_runs(RunFilter(pipeline=CI))


def test_a_log_of_another_host_is_fetched_without_the_token(
    github: GitHub, service: Service
) -> None:
    seen: list[tuple[str, str | None]] = []

    class Logs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(200)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"log text\n")

        def log_message(self, *_: object) -> None:
            pass

    service.world.add_run(AT)
    (item,) = listed(walked(github))
    step = github.complete(item.run).steps[0]
    with ThreadingHTTPServer(("127.0.0.1", 0), Logs) as host:
        threading.Thread(target=host.serve_forever, args=(0.01,), daemon=True).start()
        service.log_host = f"http://127.0.0.1:{host.server_port}"
        assert github.log(item.run.pipeline, item.run.id, step) == "log text\n"
        host.shutdown()
    assert seen == [("/signed/900001?sig=secret", None)]


@pytest.mark.parametrize("text", ["../../etc", "", "12x", "1.2.3", "-1"])
def test_what_is_no_id_is_refused_unasked(github: GitHub, service: Service, text: str) -> None:
    for ask in (github.find_run, github.abort):
        with pytest.raises(RefusedError, match="no id of a GitHub run"):
            ask(PIPELINE, text)
    assert service.asked == []


def test_an_id_means_the_newest_attempt(github: GitHub, world: World) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, AT + timedelta(days=1))
    assert github.find_run(PIPELINE, str(run.id)).run.id == f"{run.id}.2"
    assert github.find_run(PIPELINE, f"{run.id}.2").run.id == f"{run.id}.2"
    first = github.find_run(PIPELINE, f"{run.id}.1")
    assert (first.run.id, first.run.result) == (str(run.id), "failed")
    assert len(first.steps) == 6


def test_a_log_of_the_same_host_is_the_whole_job_s(github: GitHub, service: Service) -> None:
    service.world.add_run(AT)
    service.log_host = None
    (item,) = listed(walked(github))
    step = github.complete(item.run).steps[0]
    assert github.log(item.run.pipeline, item.run.id, step) == "log of job 900001\n"


def test_a_log_that_is_gone(github: GitHub, service: Service) -> None:
    service.world.add_run(AT)
    (item,) = listed(walked(github))
    step = github.complete(item.run).steps[0]
    service.faults.append(Fault(410, {"message": "Server Error"}))
    with pytest.raises(NotFoundError):
        github.log(item.run.pipeline, item.run.id, step)


def test_starting_a_run(github: GitHub, service: Service, world: World) -> None:
    run = github.trigger(TriggerRequest(CI, branch="main", env=(("who", "mona"), ("n", "1"))))
    assert run is not None
    assert (run.id, run.status, run.pipeline.name) == ("5001", Status.NOTSTARTED, "CI")
    assert service.dispatched == [
        {"ref": "main", "inputs": {"who": "mona", "n": "1"}, "return_run_details": True}
    ]
    assert run.env == ()


def test_starting_a_run_on_an_older_server(github: GitHub, service: Service) -> None:
    service.takes_details = False
    assert github.trigger(TriggerRequest(f"{REPO}/101", branch="v1")) is None
    assert service.dispatched == [{"ref": "v1", "inputs": {}}]


def test_a_start_that_github_refuses(github: GitHub, service: Service) -> None:
    with pytest.raises(RefusedError, match="No ref found for: nowhere"):
        github.trigger(TriggerRequest(CI, branch="nowhere"))
    assert service.dispatched == []


def test_a_start_whose_answer_is_lost_is_not_sent_again(github: GitHub, service: Service) -> None:
    service.faults.append(Fault(502))
    with pytest.raises(SourceError, match="look before you send it again"):
        github.trigger(TriggerRequest(CI, branch="main"))
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        TriggerRequest(CI),
        TriggerRequest("hello", branch="main"),
        TriggerRequest(CI, branch="main", commit="a" * 40),
        TriggerRequest(CI, branch="main", message="hello"),
        TriggerRequest(CI, branch="main", source_run="5"),
    ],
)
def test_a_start_that_github_cannot_do(
    github: GitHub, service: Service, wanted: TriggerRequest
) -> None:
    with pytest.raises(RefusedError, match="GitHub starts a workflow"):
        github.trigger(wanted)
    assert service.asked == []


def test_aborting_a_run(github: GitHub, service: Service, world: World) -> None:
    run = world.add_run(AT, status="in_progress")
    github.abort(PIPELINE, str(run.id))
    assert service.cancelled == [run.id]
    assert github.reread(PIPELINE, str(run.id)).run.result is Result.ABORTED
    with pytest.raises(RefusedError, match="Cannot cancel a workflow run that is completed"):
        github.abort(PIPELINE, str(run.id))


def test_aborting_a_later_attempt(github: GitHub, service: Service, world: World) -> None:
    run = world.add_run(AT, "failure")
    world.rerun(run, NOW, status="in_progress")
    github.abort(PIPELINE, f"{run.id}.2")
    assert service.cancelled == [run.id]


def test_a_run_is_known_in_its_repository_alone(github: GitHub, service: Service) -> None:
    with pytest.raises(RefusedError, match="GitHub knows run 5001 only within its repository"):
        github.abort(None, "5001")
    assert service.asked == []


@pytest.mark.parametrize("run_id", ["", "latest", "5001.", "5001.2.3", "../5001", "5001/jobs"])
def test_an_id_that_is_none(github: GitHub, service: Service, run_id: str) -> None:
    with pytest.raises(RefusedError, match="is no id of a GitHub run"):
        github.reread(PIPELINE, run_id)
    assert service.asked == []


def test_a_run_that_is_gone(github: GitHub, world: World) -> None:
    run = world.add_run(AT)
    with pytest.raises(NotFoundError):
        github.reread(PIPELINE, f"{run.id}.2")
    (item,) = listed(walked(github))
    world.delete(run)
    with pytest.raises(NotFoundError):
        github.reread(PIPELINE, str(run.id))
    with pytest.raises(NotFoundError) as caught:
        github.complete(item.run)
    assert caught.value.as_of == world.now


def test_what_a_classic_token_is_good_for(github: GitHub, service: Service) -> None:
    walked(github)
    access = github.access()
    assert access.account == "octocat"
    assert access.scopes == ("repo", "workflow")
    assert access.missing_scopes == ()
    assert (access.limit_left, access.limit) == (4999, 5000)
    assert access.clock == NOW


def test_a_fine_grained_token_and_one_without_scopes(github: GitHub, service: Service) -> None:
    service.scopes = None
    assert github.access().scopes is None
    service.scopes = ""
    assert github.access().scopes == ()


def test_a_token_of_an_app_is_nobody_s(github: GitHub, service: Service) -> None:
    service.login = None
    assert github.access().account is None


def test_a_server_without_limits(github: GitHub, service: Service) -> None:
    service.limit = None
    access = github.access()
    assert (access.account, access.limit_left, access.limit) == ("octocat", None, None)


def test_a_token_that_is_refused(
    github: GitHub, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TEST_TOKEN", "ghp_wrong")
    with pytest.raises(TokenRefusedError, match="Bad credentials") as caught:
        github.access()
    assert "ghp_wrong" not in str(caught.value)
    service.limit = None
    with pytest.raises(TokenRefusedError, match="Bad credentials"):
        github.access()


def test_the_headers_of_every_request() -> None:
    assert GitHub.headers("t") == {
        "Authorization": "Bearer t",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    assert "Authorization" not in GitHub.headers(None)


def test_the_primary_limit_is_waited_for(github: GitHub, service: Service) -> None:
    service.world.add_run(AT)
    service.exhaust(1)
    began = time.monotonic()
    assert run_ids(walked(github)) == ["5001"]
    assert 1 <= time.monotonic() - began < 4
    assert [asked.status for asked in service.listed] == [403, 200]


def test_a_limit_that_lasts_is_an_error(github: GitHub, service: Service) -> None:
    service.exhaust(3000)
    with pytest.raises(RateLimitedError, match="asks to wait 3000 s"):
        walked(github)
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_the_secondary_limit_is_waited_for(github: GitHub, service: Service, status: int) -> None:
    message = {"message": "You have exceeded a secondary rate limit."}
    service.faults.append(Fault(status, message, {"Retry-After": "1"}))
    began = time.monotonic()
    assert walked(github)[0].at_start
    assert time.monotonic() - began >= 1


def test_an_unchanged_answer_costs_no_limit(github: GitHub, service: Service) -> None:
    service.world.add_run(AT)
    listing = workflow(github)
    memory: dict[str, object] = {}
    list(github.pages(listing, None, memory))
    left = github.access().limit_left
    for _ in range(5):
        assert next(iter(github.pages(listing, None, memory))).unchanged
    # What was spent since is the one look at whose token it is.
    assert github.access().limit_left == (left or 0) - 1


def test_no_token_in_what_is_shown(github: GitHub, service: Service) -> None:
    service.faults.extend([Fault(500, {"message": "ghp_simulated broke"})] * 9)
    with pytest.raises(SourceError) as caught:
        walked(github)
    assert "ghp_simulated" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_that_names_no_time_is_waited_for(
    github: GitHub, service: Service, status: int
) -> None:
    """For a minute, says GitHub."""
    message = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
    service.faults.append(Fault(status, message))
    with pytest.raises(RateLimitedError, match="asks to wait 60 s"):
        walked(github)


def seen(github: GitHub) -> list[Discovered]:
    return [one for one in github.discover() if isinstance(one, Discovered)]


def test_a_repository_that_cannot_be_read_is_named_and_hides_no_other(
    github: GitHub, service: Service
) -> None:
    service.visible = ["octo-org/other-0", "", "octo-org/other-1"]
    assert [one.value for one in seen(github)] == ["octo-org/other-0", "octo-org/other-1"]
    assert [one.what for one in github.discover() if isinstance(one, Problem)] == [
        "an entry of /user/repos: `full_name` is missing"
    ]


def test_a_token_sees_repositories_and_their_workflows(github: GitHub, service: Service) -> None:
    service.world.add_workflow("Pages", "dynamic/pages/pages-build-deployment")
    assert [(one.key, one.value, one.title, one.within) for one in seen(github)] == [
        ("repository", REPO, REPO, None),
        ("id", f"{REPO}/ci.yml", "CI", REPO),
        ("id", f"{REPO}/102", "Pages", REPO),
        ("repository", "octo-org/other-0", "octo-org/other-0", None),
        ("repository", "octo-org/other-1", "octo-org/other-1", None),
    ]
    for one in seen(github):
        github.listing(PipelineConfig("gh", **{one.key: one.value}))


def test_repositories_on_many_pages_are_all_found(github: GitHub, service: Service) -> None:
    service.others = 150
    found = [one.value for one in seen(github) if one.key == "repository"]
    assert len(set(found)) == len(found) == 151


def test_the_token_of_an_app_sees_where_it_is_installed(github: GitHub, service: Service) -> None:
    service.is_app = True
    assert [one.value for one in seen(github) if one.key == "repository"] == [
        REPO,
        "octo-org/other-0",
        "octo-org/other-1",
    ]
