"""The README's SQL gives what plain Python finds in the same history, on both databases."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from runsync.query import ask
from runsync.storage.database import Database
from tests.docs.question_oracles import QUESTIONS, Question, Row
from tests.docs.readme import questions
from tests.reports.database_rows import at, empty, fill, pipeline, run, step

RESULTS = ["passed", "passed", "passed", "failed", "failed", "aborted", "skipped", "unknown"]
OUTCOMES = {"passed": "success", "failed": "failure", "aborted": "cancellation", "skipped": "skip"}
PIPELINES = {
    1: pipeline(1, "build") | {"default_branch": "main"},
    2: pipeline(2, "deploy") | {"default_branch": None},
    # One of the same name must not be mixed with it.
    3: pipeline(3, "build", source="github") | {"default_branch": "main"},
}

BROKEN = {"branch": "main", "status": "finished", "result": "failed"}


class History:
    """Runs and steps in which nothing is where one expects it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.runs: list[Row] = []
        self.steps: list[Row] = []
        for number in range(140):
            self._add_run(number)
        self.runs.append(self._attempt(140, 1, at(81), 1) | BROKEN)

    def _add_run(self, number: int) -> None:
        rng = self.rng
        created, pipeline_id = at(hours=rng.uniform(0, 24 * 80)), rng.randint(1, 3)
        for attempt in range(1, rng.choice([1, 1, 1, 2, 3]) + 1):
            made = self._attempt(number, attempt, created, pipeline_id)
            self.runs.append(made)
            for position in range(rng.randint(0, 4)):
                self.steps.append(self._step(made, position))
            created += timedelta(hours=1)

    def _attempt(self, number: int, attempt: int, created: datetime, pipeline_id: int) -> Row:
        rng, word = self.rng, self.rng.choice(RESULTS)
        runs_on = rng.random() < 0.1
        made = run(
            f"r{number}" if attempt == 1 else f"r{number}.{attempt}",
            created,
            "unknown" if runs_on else word,
            pipeline=pipeline_id,
            queued=rng.choice([None, rng.uniform(0, 900)]),
            took=None if runs_on else rng.choice([None, rng.uniform(0, 5000), 60]),
            attempt=attempt,
            branch=rng.choice(["main", "master", "topic", None]),
            commit_hash=rng.choice(["c1", "c2", "c3", "c4", None]),
            author=rng.choice(["ann", "bob", None]),
            event=rng.choice(["push", "pull_request", "schedule", None]),
            web_url=rng.choice([None, f"https://ci.example.org/{number}/{attempt}"]),
            status="running" if runs_on else "finished",
        )
        return made | {"outcome": None if runs_on else self._outcome(word)}

    def _step(self, of: Row, position: int) -> Row:
        rng, word = self.rng, self.rng.choice(RESULTS)
        runs_on = rng.random() < 0.1
        made = step(
            of,
            position,
            rng.choice(["compile", "test", "lint"]),
            None if runs_on else rng.choice([None, rng.uniform(0, 500)]),
            "unknown" if runs_on else word,
            job=rng.choice([None, None, "linux"]),
            runner=rng.choice([None, "worker-1", "ubuntu-24.04"]),
            status="running" if runs_on else "finished",
            outcome=None if runs_on else self._outcome(word),
        )
        created = rng.choice([None, of["created_at"]])
        started = rng.choice([None, of["created_at"] + timedelta(seconds=rng.randint(-5, 300))])
        return made | {"created_at": created, "started_at": started}

    def _outcome(self, result: str) -> str | None:
        fault = result in ("failed", "aborted") and self.rng.random() < 0.3
        return "error" if fault else OUTCOMES.get(result)

    def joined(self) -> list[Row]:
        """The steps, each with its run."""
        of = {(r["pipeline_id"], r["id"]): r for r in self.runs}
        return [s | {"run": of[s["pipeline_id"], s["run_id"]]} for s in self.steps]


@pytest.fixture
def asked(database_url: str) -> Iterator[tuple[Database, str]]:
    database = Database(database_url)
    yield database, database_url
    database.close()


@pytest.mark.parametrize("seed", range(3))
def test_each_answer_is_what_plain_python_finds(asked: tuple[Database, str], seed: int) -> None:
    database, url = asked
    history = History(seed)
    empty(database)
    fill(database, history.runs, history.steps, pipelines=PIPELINES.values())
    for number, question in QUESTIONS.items():
        answer = ask(url, questions()[number], trusted=True)
        expected = question.oracle(history.runs, history.joined(), PIPELINES)
        assert expected, f"question {number} has no answer here"
        _agree(question, [_plain(row) for row in answer.rows], expected)


def test_there_are_ten_questions() -> None:
    assert list(questions()) == list(QUESTIONS) == list(range(1, 11))


@pytest.mark.parametrize("number", QUESTIONS)
def test_an_answer_of_an_empty_database_is_no_row(sqlite_url: str, number: int) -> None:
    assert ask(sqlite_url, questions()[number]).rows == []


def _plain(row: Row) -> Row:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if name in ("red_since", "last_one") and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _agree(question: Question, found: list[Row], expected: list[Row]) -> None:
    """Sorted as the question says, cut to its limit, each row one of the expected."""
    name, step = question.order.lstrip("-"), -1 if question.order.startswith("-") else 1
    values = sorted((row[name] for row in expected), reverse=step < 0)[: question.limit]
    assert [row[name] for row in found] == _close(values), question
    assert [list(row) for row in found] == [list(expected[0])] * len(values)
    left = list(expected)
    for row in found:
        same = [each for each in left if row == {k: _close(v) for k, v in each.items()}]
        assert same, (question, row)
        left.remove(same[0])


def _close(value: Any) -> Any:
    """What the value may be: SQLite tells times of steps to the millisecond."""
    if isinstance(value, list):
        return [_close(each) for each in value]
    return pytest.approx(value, abs=2e-3) if isinstance(value, float) else value
