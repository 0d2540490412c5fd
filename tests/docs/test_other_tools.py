"""Other tools open what a sync and an export left behind, by the commands in the README."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import duckdb
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from runsync import cli
from runsync.query import ask
from runsync.storage.database import Database
from tests.docs.readme import blocks, questions, section
from tests.reports.database_rows import at, fill, run


def shown(tool: str, language: str) -> list[str]:
    """The code that the README shows for a tool."""
    whole = section("Open it in Datasette, DuckDB, Grafana, Metabase")
    paragraph = re.search(rf"^\*\*{tool}\*\*.*?(?=^\*\*|\Z)", whole, re.DOTALL | re.MULTILINE)
    assert paragraph
    return blocks(language, paragraph[0])


class Datasette:
    """The process, and what it answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, sql: str) -> Any:
        return self._get("/runsync.json?" + urlencode({"sql": sql, "_shape": "array"}))

    def rows(self, table: str) -> Any:
        return self._get(f"/runsync/{table}.json?_shape=array")

    def _get(self, path: str) -> Any:
        with urlopen(self._url + path, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture
def datasette(synced: Path) -> Iterator[Datasette]:
    """Started in the synced folder as the README says, but on a free port."""
    install, command = shown("Datasette", "sh")[0].splitlines()
    assert install.startswith("pip install datasette")
    program, *arguments = shlex.split(command)
    assert program == "datasette"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "datasette", *arguments, "--port", str(port)],
        cwd=synced,
        env=os.environ | {"NO_PROXY": "*"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, process)
        yield Datasette(url)
    finally:
        process.terminate()
        process.communicate()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            urlopen(f"{url}/-/versions.json", timeout=20).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Datasette never answered")


def test_datasette_shows_tables_and_views_and_answers_questions(
    datasette: Datasette, synced: Path
) -> None:
    for name in ("runs", "steps", "v_runs", "v_step_durations"):
        assert datasette.rows(name), name
    for number, sql in questions().items():
        expected = ask(f"sqlite:///{synced}/runsync.db", sql).rows
        assert datasette.ask(sql.rstrip().rstrip(";")) == expected, f"question {number}"


def test_duckdb_reads_the_export(synced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install, export = shown("DuckDB", "sh")[0].splitlines()
    assert install.startswith("pip install duckdb")
    monkeypatch.chdir(synced)
    assert cli.run([*shlex.split(export)[1:], "-q"]) == 0
    counts = "SELECT pipeline, step, count FROM v_step_durations"
    known = ask(f"sqlite:///{synced}/runsync.db", counts).rows
    relation = duckdb.sql(shown("DuckDB", "sql")[0])
    assert relation is not None
    read = relation.fetchall()
    assert len(read) == 10
    ran = {(row["pipeline"], row["step"]): row["count"] for row in known}
    assert all(0 < runs <= ran[pipeline, step] for pipeline, step, _, runs in read)


def test_the_role_may_read_and_nothing_else(postgres_url: str) -> None:
    (sql,) = shown("A role that may only read", "sql")
    with closing(Database(postgres_url)) as database:
        fill(database, [run("a", at())])
        with database.write() as connection:
            for statement in filter(str.strip, sql.split(";")):
                connection.execute(text(statement))
        try:
            with database.write() as connection:
                connection.execute(text("SET LOCAL ROLE reader"))
                assert connection.execute(text("SELECT id FROM v_runs")).all() == [("a",)]
            with database.write() as connection:
                connection.execute(text("SET LOCAL ROLE reader"))
                with pytest.raises(ProgrammingError, match="permission denied"):
                    connection.execute(text("DELETE FROM runs"))
                connection.rollback()
        finally:
            with database.write() as connection:
                connection.execute(text("DROP ROLE reader"))


FROM, TO = "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"


def test_grafana_gets_times_names_and_values_from_sqlite(synced: Path) -> None:
    sql = shown("Grafana", "sql")[1]
    for name, value in {"$__from": FROM, "$__to": TO}.items():
        sql = sql.replace(name, str(round(datetime.fromisoformat(value).timestamp() * 1000)))
    rows = ask(f"sqlite:///{synced}/runsync.db", sql).rows
    daily = ask(f"sqlite:///{synced}/runsync.db", "SELECT count(*) AS n FROM v_daily_pass_rates")
    assert len(rows) == daily.rows[0]["n"] > 10
    assert all(isinstance(row["time"], int) for row in rows)


def test_grafana_gets_times_names_and_values_from_postgres(postgres_url: str) -> None:
    """Grafana puts a BETWEEN of two ISO times where the macro stands."""
    sql = shown("Grafana", "sql")[0].replace(
        "$__timeFilter(day)", f"day BETWEEN '{FROM}' AND '{TO}'"
    )
    runs = [run("in", datetime.fromisoformat("2026-06-01T12:00:00Z")), run("out", at())]
    with closing(Database(postgres_url)) as database:
        fill(database, runs)
    (row,) = ask(postgres_url, sql, trusted=True).rows
    assert (str(row["time"]), row["metric"], row["pass_rate"]) == ("2026-06-01", "build", 1)
