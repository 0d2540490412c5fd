"""``runsync check``: rules of the config against the figures, and what is posted of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from runsync.cli import run as run_command
from runsync.simulator import World
from tests.cli.conftest import NOW, Ended, Shell

BUILD, DEPLOY = "b" * 24, "d" * 24
SECRET = "T000-canary-of-a-webhook"


@pytest.fixture
def history(shell: Shell, home: Path, world: World) -> Path:
    """`our-build` passed 1 of 4 on main and its step `unit` takes 100 s; `deploy` passed 2 of 2."""
    for result in ("passed", "failed", "failed", "failed"):
        run = world.add_run(BUILD, status="finished", result=result, branch="main")
        at = NOW - timedelta(hours=5)
        world.set_step_fields(
            run,
            1,
            displayName="unit",
            startedAt=at.isoformat(),
            finishedAt=(at + timedelta(seconds=100)).isoformat(),
        )
        world.clock.advance(60)
    for _ in range(2):
        world.add_run(DEPLOY, status="finished", result="passed", branch="main")
    assert shell("sync").code == 0
    return home


def checked(shell: Shell, home: Path, rules: str, *args: str) -> Ended:
    config = home / "runsync.toml"
    begin = config.read_text().partition("[[checks]]")[0]
    config.write_text(begin + "".join(f"[[checks]]\n{rule}\n" for rule in rules.split("---")))
    return shell("check", *args)


@pytest.mark.parametrize(
    ("rule", "failing"),
    [
        ("report = 'pass-rates'\nbelow = { pass_rate = 0.8 }",
         "our-build: pass_rate is 25.0%, below 80.0%"),
        ("report = 'pass_rates'\nabove = { failed = 2 }", "our-build: failed is 3, above 2"),
        ("report = 'step-durations'\nstep = 'unit'\nabove = { p95 = '90s' }",
         "our-build / unit: p95 is 1m 40s, above 1m 30s"),
        ("report = 'step-durations'\nstep = 'unit'\nabove = { p95 = 90 }",
         "our-build / unit: p95 is 1m 40s, above 1m 30s"),
        ("report = 'recovery'\nabove = { open_since = '2h' }", "our-build / main: open_since "),
        ("report = 'status'\nabove = { runs = 3 }", "our-build: runs is 4, above 3"),
        ("report = 'status'\npipeline = 'our-build'\nabove = { age = '1s', gaps = 0 }", "age is "),
    ],
)  # fmt: skip
def test_a_rule_that_fails(shell: Shell, history: Path, rule: str, failing: str) -> None:
    if "age" in rule:
        from tests.cli.test_status import aged

        aged(history, 3)
    ended = checked(shell, history, rule, "--json")
    assert ended.code == 6
    assert ended.err == "runsync: 1 of 1 rule fails\n"
    assert failing in [row["text"][: len(failing)] for row in ended.data] or any(
        failing in row["text"] for row in ended.data
    )
    assert {row["status"] for row in ended.data} == {"fail"}


@pytest.mark.parametrize(
    "rule",
    [
        "report = 'pass-rates'\nbelow = { pass_rate = 0.25 }",
        "report = 'pass-rates'\npipeline = 'deploy'\nbelow = { pass_rate = 0.9 }",
        "report = 'step-durations'\nstep = 'unit'\nabove = { p95 = '100s' }",
        "report = 'recovery'\npipeline = 'deploy'\nabove = { open_since = '2h' }",
        "report = 'status'\nabove = { age = '2h', gaps = 0, incomplete = 0 }",
        "report = 'pass-rates'\nsince = '3650d'\nworse = true",
    ],
)
def test_a_rule_that_holds(shell: Shell, history: Path, rule: str) -> None:
    ended = checked(shell, history, rule, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert [row["status"] for row in ended.data] in (["ok"], ["no data"])


def test_minutes_have_the_prices_of_the_config(shell: Shell, history: Path) -> None:
    rule = "report = 'time'\npipeline = 'our-build'\nabove = { cost = 1 }"
    ended = checked(shell, history, f"{rule}\n[cost]\n'*' = 1000\n", "--json")
    assert (ended.code, [row["status"] for row in ended.data]) == (6, ["fail"])
    assert "cost is" in ended.data[0]["text"]


def test_no_runs_is_no_failure_and_no_success(shell: Shell, history: Path) -> None:
    window = "since = '2001-01-01'\nuntil = '2001-01-08'"
    rule = f"report = 'step-durations'\nabove = {{ p50 = 1 }}\n{window}"
    ended = checked(shell, history, rule, "--json")
    assert ended.code == 0
    assert [row["status"] for row in ended.data] == ["no data"]


def test_worse_than_before_beyond_chance(shell: Shell, home: Path, world: World) -> None:
    now = datetime.now(UTC)
    for number in range(216):
        world.add_run(
            BUILD,
            status="finished",
            result="failed" if number < 108 and number % 8 else "passed",
            created_at=now - timedelta(hours=6 * number + 3),
        )
    world.clock.advance(now - NOW)
    assert shell("sync", "our-build").code == 0
    ended = checked(shell, home, "report = 'pass-rates'\nsince = '27d'\nworse = true", "--json")
    assert ended.code == 6
    (row,) = ended.data
    assert row["text"].startswith("our-build: pass_rate became worse: 100.0% → ")
    better = checked(shell, home, "report = 'aborts'\nsince = '27d'\nworse = true", "--json")
    assert better.code == 0


def test_a_change_of_a_duration_is_told_as_one(shell: Shell, home: Path, world: World) -> None:
    now = datetime.now(UTC)
    for number in range(120):
        at = now - timedelta(hours=5 * number + 3)
        begin = at + timedelta(seconds=1)
        took = timedelta(seconds=(200 if number < 60 else 100) + number % 5)
        world.add_run(
            BUILD, status="finished", created_at=at, started_at=begin, finished_at=begin + took
        )
    world.clock.advance(now - NOW)
    assert shell("sync", "our-build").code == 0
    ended = checked(shell, home, "report = 'changes'\nworse = true", "--json")
    assert ended.code == 6
    assert "our-build: p50 became worse: 1m 42s → 3m 22s" in [row["text"] for row in ended.data]


def test_rules_of_one_name_are_counted_each(shell: Shell, history: Path) -> None:
    rule = "report = 'pass-rates'\nname = 'rates'\nbelow = { pass_rate = 0.8 }"
    ended = checked(shell, history, f"{rule}---{rule}")
    assert (ended.code, ended.err) == (6, "runsync: 2 of 2 rules fail\n")


def test_broken_for_longer_than(shell: Shell, home: Path, world: World) -> None:
    now = datetime.now(UTC)
    world.clock.advance(now - NOW)
    for hours, result in ((5, "passed"), (4, "failed")):
        at = now - timedelta(hours=hours)
        world.add_run(BUILD, status="finished", result=result, branch="main", created_at=at)
    assert shell("sync", "our-build").code == 0
    rule = "report = 'broken'\nabove = { since = '%s' }"
    ended = checked(shell, home, rule % "2h", "--json")
    assert ended.code == 6
    (row,) = ended.data
    assert row["text"].startswith("our-build / main: since ")
    assert row["text"].endswith(" h ago, more than 2h 00m")
    assert checked(shell, home, rule % "8h").code == 0


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("report = 'pass-rate'\nbelow = { pass_rate = 1 }", "did you mean 'pass-rates'?"),
        ("report = 'pass-rates'\nbelow = { pas_rate = 1 }", "did you mean 'pass_rate'?"),
        ("report = 'pass-rates'\nbelow = { pass_rate = '2h' }", "pass_rate is no length of time"),
        ("report = 'pass-rates'\nbelow = { pass_rate = 80 }", "write 0.8 for 80%, not 80"),
        ("report = 'aborts'\nabove = { abort_rate = 5 }", "abort_rate is a share of 1"),
        ("report = 'pass-rates'\nbelow = { pass_rate = 'much' }", "must be a number such as 0.8"),
        ("report = 'pass-rates'\nbelow = { pass_rate = true }", "must be a number such as 0.8"),
        ("report = 'pass-rates'\nbelow = { pass_rate = nan }", "must be a number such as 0.8"),
        ("report = 'pass-rates'\nbelow = 0.8", "`below` must be a table, such as below ="),
        ("report = 'pass-rates'\nbelow = {}", "`below` is empty"),
        ("report = 'pass-rates'", "it says no limit"),
        ("below = { pass_rate = 1 }", "`report` is missing"),
        ("report = 'status'\nsince = '7d'\nabove = { gaps = 0 }", "`since` says nothing of status"),
        ("report = 'status'\nabove = { gap = 0 }", "did you mean 'gaps'?"),
        ("report = 'pass-rates'\nsince = 'ever'\nbelow = { pass_rate = 1 }", "is not a time"),
        ("report = 'pass-rates'\npipline = 'x'\nbelow = { pass_rate = 1 }",
         "did you mean 'pipeline'?"),
        ("report = 'pass-rates'\npipeline = 'our-biuld'\nbelow = { pass_rate = 1 }", "our-build"),
        ("report = 'status'\npipeline = 'nosuch'\nabove = { gaps = 0 }", "there is no pipeline"),
        ("report = 'pass-rates'\nby = ['moon']\nbelow = { pass_rate = 1 }", "cannot be grouped by"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_one_sentence_with_its_place(
    shell: Shell, history: Path, rule: str, said: str
) -> None:
    ended = checked(shell, history, rule)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "[[checks]] number 1" in ended.err
    assert said in ended.err


def test_without_rules_there_is_nothing_to_check(shell: Shell, history: Path) -> None:
    config = history / "runsync.toml"
    config.write_text(config.read_text().partition("[[checks]]")[0])
    ended = shell("check")
    assert ended.code == 2
    assert "has no [[checks]]; add one" in ended.err


def test_markdown_is_a_list_for_a_chat(shell: Shell, history: Path) -> None:
    rules = f"{FAILING}---name = 'fast'\nreport = 'status'\nabove = {{ gaps = 0 }}"
    ended = checked(shell, history, rules, "--format", "markdown")
    assert ended.code == 6
    assert ended.out == "- ❌ our-build: pass_rate is 25.0%, below 80.0%\n- ✅ fast: ok\n"


def test_a_step_that_no_run_has_is_mistyped(shell: Shell, history: Path) -> None:
    rows = shell("query", "SELECT DISTINCT name FROM steps ORDER BY name", "--json").data
    name = rows[0]["name"]
    rule = "report = 'failures'\nabove = { failure_rate = 0.99 }\nstep = "
    assert checked(shell, history, f"{rule}{json.dumps(name)}").code in (0, 6)
    ended = checked(shell, history, f"{rule}{json.dumps(name + 'x')}")
    assert (ended.code, ended.out) == (2, "")
    assert f"no step is called {name + 'x'!r}; did you mean {name!r}?" in ended.err
    early = "since = '2001-01-01'\nuntil = '2001-01-08'\n"  # of a window nothing need be known
    assert checked(shell, history, f"{early}{rule}{json.dumps(name)}").code == 0


# The webhook.


class Hook(BaseHTTPRequestHandler):
    """A chat: takes texts, or answers with ``status``."""

    status = 200
    got: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.status)
        answer = b"ok" if self.status == 200 else self.path.encode()
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    handler = type("OneHook", (Hook,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(
        "HOOK", f"http://127.0.0.1:{server.server_port}/services/{SECRET}?k={SECRET}"
    )
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


FAILING = "report = 'pass-rates'\nbelow = { pass_rate = 0.8 }"


def test_what_fails_is_posted_once(shell: Shell, history: Path, hook: type[Hook]) -> None:
    ended = checked(shell, history, FAILING, "--webhook-env", "HOOK", "-vv")
    assert ended.code == 6
    ((path, kind, body),) = hook.got
    assert path == f"/services/{SECRET}?k={SECRET}"
    assert kind == "application/json"
    assert body == {"text": "1 of 1 rule fails\n❌ our-build: pass_rate is 25.0%, below 80.0%"}
    assert SECRET not in ended.out + ended.err


def test_nothing_is_posted_where_all_holds(shell: Shell, history: Path, hook: type[Hook]) -> None:
    rule = "report = 'status'\nabove = { gaps = 0 }"
    assert checked(shell, history, rule, "--webhook-env", "HOOK").code == 0
    assert hook.got == []


@pytest.mark.parametrize("status", [302, 400, 403, 404, 429, 500])
def test_a_webhook_that_refuses_is_said_without_its_address(
    shell: Shell,
    history: Path,
    hook: type[Hook],
    status: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hook.status = status
    ended = checked(shell, history, FAILING, "--webhook-env", "HOOK", "-vv")
    assert ended.code == 6  # that a rule fails is not hidden by it
    assert len(hook.got) == 1
    assert "runsync: 1 of 1 rule fails, and the webhook in HOOK " in ended.err
    assert run_command(["check", "--webhook-env", "HOOK", "-vv", "--debug"]) == 6
    captured = capfd.readouterr()
    assert SECRET not in ended.out + ended.err + captured.out + captured.err


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/x",
        "nonsense",
        "https://",
        "https://a b/",
        "ftp://a/b",
        "https://[x/",
    ],
)
def test_an_address_that_cannot_be_posted_to(
    shell: Shell, history: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HOOK", url)
    ended = checked(shell, history, FAILING, "--webhook-env", "HOOK")
    assert (ended.code, ended.out) == (2, "")
    assert "HOOK" in ended.err
    if url.removeprefix("https://"):
        assert url not in ended.err


def test_nobody_is_called_and_no_markup_comes_by_a_name(
    shell: Shell, history: Path, hook: type[Hook]
) -> None:
    config = history / "runsync.toml"
    config.write_text(config.read_text().replace('"our-build"', '"<!channel> @here & co"'))
    assert shell("sync").code == 0
    assert checked(shell, history, FAILING, "--webhook-env", "HOOK").code == 6
    ((_, _, body),) = hook.got
    assert "&lt;!channel&gt; @\u200bhere &amp; co" in body["text"]
