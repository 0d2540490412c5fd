"""The one place where errors become sentences and exit codes, and the process itself."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

import runsync
from runsync import cli, errors
from runsync.cli.lazy_group import LazyCommand
from runsync.simulator import Simulator
from tests.cli.conftest import TOKEN, Ended, Shell, process, until

HEAVY = "alembic matplotlib numpy pandas psycopg pyarrow requests rich sqlalchemy".split()


@contextmanager
def command(monkeypatch: pytest.MonkeyPatch, raising: BaseException | None = None) -> Iterator[str]:
    """A command ``boom`` that raises what it is told to."""

    def boom(value: str = "") -> None:
        typer.echo(value)
        if raising is not None:
            raise raising

    monkeypatch.setattr(sys.modules[__name__], "boom", boom, raising=False)
    with monkeypatch.context() as patch:
        patch.setitem(cli.COMMANDS, "boom", LazyCommand("Try", f"{__name__}:boom", "Boom."))
        yield "boom"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("what; mend"), 2),
        (errors.TokenRefusedError("what; mend"), 3),
        (errors.SourceError("what; mend"), 4),
        (errors.RefusedError("what; mend"), 2),
        (errors.PartialError("what; mend"), 4),
        (errors.DatabaseError("what; mend"), 5),
        (errors.LockedError("what; mend"), 75),
    ],
)
def test_each_error_is_one_sentence_and_its_exit_code(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    with command(monkeypatch, error) as boom:
        ended = shell(boom)
    assert (ended.code, ended.err) == (code, "runsync: what; mend\n")


def test_an_error_cannot_steer_the_terminal_nor_forge_a_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\x1b]0;mine\x07 said \u202eit\nrunsync: all is well"
    with command(monkeypatch, errors.SourceError(text)) as boom:
        said = shell(boom).err
    assert said == "runsync: \\x1b]0;mine\\x07 said \\u202eit runsync: all is well\n"


def test_a_bug_is_one_sentence_that_tells_how_to_see_more(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    with command(monkeypatch, ZeroDivisionError("by\nzero")) as boom:
        ended = shell(boom)
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "bug in runsync (ZeroDivisionError: by zero)" in ended.err
    assert "runsync --debug" in ended.err


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), errors.DatabaseError("x")])
def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    with command(monkeypatch, error) as boom:
        cli.run(["--debug", boom])
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "test_main.py" in said
    assert said.splitlines()[-1].startswith("runsync: ")


def test_an_interruption_says_what_stays(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with command(monkeypatch, KeyboardInterrupt()) as boom:
        ended = shell(boom)
    assert ended.code == 130
    assert ended.err == "runsync: interrupted; what was committed until then stays\n"


def test_a_reader_that_has_gone_is_no_news(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with command(monkeypatch, BrokenPipeError()) as boom:
        ended = shell(boom)
    assert (ended.code, ended.err) == (141, "")


def test_a_command_may_choose_its_exit_code(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with command(monkeypatch, typer.Exit(4)) as boom:
        assert shell(boom).code == 4
    with command(monkeypatch) as boom:
        assert shell(boom, "--value", "said").out == "said\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nosuch"], "runsync: no such command 'nosuch'; see `runsync --help`\n"),
        (["statsu"], "Did you mean 'status'"),
        (["status", "--nosuch"], "runsync: no such option"),
        (["query", "--max-rows", "x"], "'--max-rows'"),
        (["status", "--format", "xml"], "'xml' is not one of 'table', 'json', 'csv', 'markdown'"),
        (["runs", "show"], "runsync: missing argument 'RUN'; see `runsync runs show --help`\n"),
        (["\x1b[2J"], "no such command '\\x1b[2J'"),
    ],
)
def test_misuse_is_one_sentence_and_exit_code_2(shell: Shell, args: list[str], said: str) -> None:
    ended = shell(*args)
    assert ended.code == 2
    assert said in ended.err.replace("\\\\", "\\")
    assert ended.err.count("\n") == 1
    assert ended.out == ""


@pytest.mark.parametrize("args", [[], ["runs"], ["db"], ["schedule"], ["report"]])
def test_nothing_asked_is_help_on_stderr(shell: Shell, args: list[str]) -> None:
    ended = shell(*args)
    assert ended.code == 2
    assert ended.err.startswith(f"Usage: {' '.join(['runsync', *args])} ")
    assert ended.out == ""


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "args",
    [
        ["report", "pass-rates", "--branch", "\udcff"],
        ["runs", "list", "--stored", "--author", "\udcff"],
        ["runs", "list", "--pipeline", "b" * 24, "--author", "\udcff"],
        ["runs", "show", "--stored", "\udcff"],
        ["init", "--path", "x.toml", "--database-url", "sqlite:///\udcff.db"],
    ],
)
def test_bytes_that_are_no_text_are_misuse(shell: Shell, args: list[str]) -> None:
    assert shell("sync").code == 0
    ended = shell(*args)
    assert (ended.code, ended.out) == (2, "")
    said = f"argument {len(args)} holds bytes that are no text; write it anew"
    assert ended.err == f"runsync: {said}\n"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("url", ["nonsense", "postgresql://me:geheim@host:port/x"])
@pytest.mark.parametrize(
    "args",
    [
        ["doctor"],
        ["pipelines"],
        ["query", "SELECT 1"],
        ["report", "aborts"],
        ["runs", "list", "--pipeline", "our-build"],
        ["status"],
        ["sync"],
        ["sync", "--dry-run"],
    ],
)
def test_a_database_url_that_is_none_is_no_bug(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, args: list[str], url: str
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", url)
    monkeypatch.setenv("COLUMNS", "300")
    ended = shell(*args)
    assert ended.code == (0 if args[0] == "runs" else 5)
    assert "database_url is no URL" in ended.out + ended.err
    assert "geheim" not in ended.out + ended.err


def test_version(shell: Shell) -> None:
    ended = shell("--version")
    assert (ended.code, ended.out) == (0, f"runsync {runsync.__version__}\n")


def test_the_config_may_stand_before_or_after_the_command(shell: Shell, folder: Path) -> None:
    for args in (["--config", "a.toml", "status"], ["status", "--config", "a.toml"]):
        assert "no config file a.toml" in shell(*args).err
    both = shell("--config", "a.toml", "status", "--config", "b.toml")
    assert "no config file b.toml" in both.err


def test_format_and_json_that_contradict_each_other(shell: Shell, home: Path) -> None:
    ended = shell("pipelines", "--json", "--format", "csv")
    assert ended.code == 2
    assert "--json and --format csv contradict" in ended.err
    assert shell("pipelines", "--json", "--format", "json").code == 0


LISTED = ["runs", "list", "--pipeline", "b" * 24, "--branch", "a\x1b[m", "--json"]


@pytest.mark.parametrize("args", [["-v", *LISTED], [*LISTED, "-v"], ["runs", "-v", *LISTED[1:]]])
def test_verbose_logs_requests_wherever_it_stands(
    shell: Shell, home: Path, args: list[str]
) -> None:
    assert shell(*LISTED).err == ""
    said = shell(*args).err
    assert "GET" in said
    assert "pipelineId=bbb" in said
    assert TOKEN not in said
    assert "\x1b" not in said
    assert shell(*LISTED).err == ""  # the next call starts anew


def test_very_verbose_logs_sql(shell: Shell, home: Path) -> None:
    assert "SELECT" not in shell("db", "upgrade", "-v").err
    for args in (["-vv", "db", "check"], ["db", "check", "-vv"], ["db", "check", "-v", "-v"]):
        assert "SELECT" in shell(*args).err


@pytest.mark.parametrize("before", [True, False])
def test_quiet_leaves_errors_alone(shell: Shell, home: Path, before: bool) -> None:
    def quiet(*args: str) -> Ended:
        return shell("-q", *args) if before else shell(*args, "-q")

    assert "version's" in shell("db", "upgrade").err + shell("db", "check").err
    assert quiet("db", "check").err == ""
    assert "revision" in quiet("db", "check").out
    assert quiet("sync", "nosuch").err.startswith("runsync: ")


def test_of_verbose_and_quiet_the_last_wins(shell: Shell, home: Path) -> None:
    assert shell("-v", *LISTED, "-q").err == ""
    assert "GET" in shell("-q", *LISTED, "-v").err


def test_debug_may_stand_after_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with command(monkeypatch, ZeroDivisionError("x")) as boom:
        cli.run([boom, "--debug"])
    assert capsys.readouterr().err.startswith("Traceback")


def test_a_log_line_cannot_steer_the_terminal(shell: Shell) -> None:
    shell("-v", "--version")
    (handler,) = logging.getLogger("runsync").handlers
    record = logging.LogRecord("runsync", 20, "", 0, "\x1b[2Jgone", (), None)
    assert "\\x1b[2Jgone" in handler.format(record)


# The process.


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, runsync.cli as c; code = c.run(['--help']);"
        f"print(code, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "0 []\n"
    assert "simulate" in done.stdout


def test_a_small_command_loads_little(home: Path) -> None:
    (home / "q.sql").write_text("SELECT 1")
    script = (
        "import sys, runsync.cli as c; c.run(['schedule', 'cron']);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=home
    )
    assert done.stderr == "[]\n"


def test_python_m_runsync_ends_with_the_exit_code(folder: Path) -> None:
    with process("--config", "nosuch.toml", "status") as ended:
        out, err = ended.communicate(timeout=20)
    assert (ended.returncode, out) == (2, b"")
    assert err.startswith(b"runsync: there is no config file nosuch.toml")


def test_ctrl_c_ends_at_once_though_threads_wait_for_answers(
    home: Path, simulator: Simulator
) -> None:
    world = simulator.world
    for _ in range(3):
        world.add_run("b" * 24, status="finished")
    simulator.faults.add("hang", "steps")
    with process("sync") as syncing:
        until(lambda: any(r.path.endswith("/steps") for r in simulator.requests))
        began = time.monotonic()
        syncing.send_signal(signal.SIGINT)
        _, err = syncing.communicate(timeout=20)
        took = time.monotonic() - began
    assert syncing.returncode == 130
    assert b"runsync: interrupted; " in err
    assert b"Traceback" not in err
    assert took < 15  # a busy machine adds a good deal; an answer is waited for longer


def test_an_interrupted_outage_keeps_its_reason(
    shell: Shell, home: Path, simulator: Simulator
) -> None:
    world = simulator.world
    world.add_run("b" * 24, status="finished")
    assert shell("sync", "our-build").code == 0
    simulator.faults.add("500")
    simulator.reset_log()
    with process("sync", "our-build") as syncing:
        until(lambda: len(simulator.requests) > 1)
        syncing.send_signal(signal.SIGINT)
        _, err = syncing.communicate(timeout=20)
    assert b"what was stored is kept" in err
    (row,) = shell("status", "our-build", "--json").data
    assert row["last_outcome"] == "interrupted"
    assert "answered 500" in row["last_error"]


def test_ctrl_c_in_the_midst_of_c_ends_it_too(folder: Path) -> None:
    """The main thread is deep in the regular expression engine, which never looks up."""
    script = (
        "import runsync.cli as c, re, sys;"
        "c.run = lambda: print('on', flush=True) or re.match('(a*)*b', 'a' * 60);"
        "c.main()"
    )
    with process(program=["-c", script]) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        busy.send_signal(signal.SIGINT)
        _, err = busy.communicate(timeout=20)
    assert busy.returncode == 130
    assert err.count(b"interrupted") == 1


def test_a_reader_that_goes_early_is_met_with_silence(home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with process("pipelines", stdout=writer) as piped:
        os.close(writer)
        _, err = piped.communicate(timeout=20)
    assert (piped.returncode, err) == (141, b"")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("args", "code"), [("sync", 0), ("query -", 2), ("nosuch", 2)])
def test_a_stream_that_is_closed_is_no_bug(closed: str, args: str, code: int) -> None:
    """A scheduler may start it so; nothing that it opens may take their numbers."""
    command = f"{sys.executable} -m runsync {args} {'' if '<' in closed else '</dev/null'} {closed}"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=60, env=env)
    assert b"bug" not in ended.stderr
    assert ended.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("rows", [3, 30_000])
def test_a_full_disk_is_no_bug(folder: Path, sqlite_url: str, rows: int) -> None:
    """A little is written as the process ends, much before that."""
    numbers = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c)"
    sql = f"{numbers} SELECT x FROM c LIMIT {rows}"
    env = {"RUNSYNC_DATABASE_URL": sqlite_url}
    args = ("query", sql, "--max-rows", rows, "--json")
    with Path("/dev/full").open("wb") as full, process(*args, stdout=full, env=env) as piped:
        _, err = piped.communicate(timeout=20)
    assert piped.returncode == 2
    assert err == b"runsync: cannot write the output: No space left on device\n"


def test_a_terminal_without_unicode_gets_escapes(folder: Path) -> None:
    sql = "SELECT 'Größe → x' AS a"
    with process("init") as made:
        made.communicate(timeout=20)
    with process("query", sql, env={"PYTHONIOENCODING": "latin-1"}) as ended:
        out, _ = ended.communicate(timeout=20)
    assert ended.returncode == 0
    assert out.decode("latin-1").splitlines() == ["a", "---------", "Größe \\u2192 x"]


@pytest.mark.parametrize("format", ["json", "csv", "markdown"])
def test_data_for_programs_is_utf_8_whatever_the_locale(folder: Path, format: str) -> None:
    with process("init") as made:
        made.communicate(timeout=20)
    sql = "SELECT 'ö → ' || char(128512) AS a"
    with process("query", sql, "--format", format, env={"PYTHONIOENCODING": "ascii"}) as ended:
        out, _ = ended.communicate(timeout=20)
    assert ended.returncode == 0
    assert "ö → 😀" in out.decode()
