"""The README's ten questions answered once more, in plain Python and without SQL.

Each oracle takes runs and steps as ``database_rows`` makes them, and gives the rows of the answer
in any order; ``QUESTIONS`` says in which they come. A step has its run under ``run``.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Oracle = Callable[[list[Row], list[Row], dict[int, Row]], list[Row]]


def _groups(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _judged(row: Row) -> bool:
    return row["status"] == "finished" and row["result"] in ("passed", "failed")


def _ended(row: Row, result: str) -> bool:
    return bool(row["status"] == "finished" and row["result"] == result)


def _ci_fault(row: Row) -> bool:
    return bool(row["status"] == "finished" and row["outcome"] == "error")


def red_now(runs: list[Row], _steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    answer = []
    for number, pipeline in pipelines.items():
        default = pipeline["default_branch"]
        for branch in [default] if default else ["main", "master"]:
            here = [r for r in runs if r["pipeline_id"] == number and r["branch"] == branch]
            if failures := _failures_since_the_last_pass(here):
                told = {name: failures[0][name] for name in ("commit_hash", "author", "web_url")}
                since = {"red_since": failures[0]["created_at"], "failures": len(failures)}
                answer.append({"pipeline": pipeline["name"], "branch": branch, **since, **told})
    return answer


def _failures_since_the_last_pass(runs: list[Row]) -> list[Row]:
    failures: list[Row] = []
    for run in sorted(runs, key=lambda r: (r["created_at"], r["id"])):
        if _ended(run, "passed"):
            failures = []
        elif _ended(run, "failed"):
            failures.append(run)
    return failures


def breaking_steps(_runs: list[Row], steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    judged = [s for s in steps if _judged(s)]
    return [
        {
            "pipeline": pipelines[number]["name"],
            "step": name,
            "runs": len({s["run_id"] for s in group}),
            "failed_runs": len({s["run_id"] for s in group if s["result"] == "failed"}),
        }
        for (number, name), group in _groups(judged, _step).items()
    ]


def _step(step: Row) -> tuple[int, str]:
    return step["pipeline_id"], step["name"]


def _ran(step: Row) -> bool:
    ended = step["status"] == "finished" and step["result"] != "skipped"
    return bool(ended and step["duration_ms"] is not None)


def slow_steps(_runs: list[Row], steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    answer = []
    ran = [s for s in steps if _ran(s)]
    for (number, name, job), group in _groups(ran, lambda s: (*_step(s), s["job"])).items():
        took = [s["duration_ms"] / 1000 for s in group]
        figures = {"p50_s": _quantile(took, 50), "p95_s": _quantile(took, 95)}
        told = {"pipeline": pipelines[number]["name"], "job": job, "step": name}
        answer.append(told | {"count": len(group)} | figures | {"hours": sum(took) / 3600})
    return answer


def _quantile(values: list[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def step_months(_runs: list[Row], steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    ran = [s for s in steps if _ran(s)]
    months = _groups(ran, lambda s: (*_step(s), f"{s['run']['created_at']:%Y-%m}"))
    return [
        {
            "pipeline": pipelines[number]["name"],
            "step": name,
            "month": month,
            "count": len(group),
            "mean_s": statistics.fmean(s["duration_ms"] / 1000 for s in group),
        }
        for (number, name, month), group in months.items()
    ]


def flaky(_runs: list[Row], steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    verdicts: dict[Any, dict[str, bool]] = defaultdict(dict)
    for step in steps:
        commit = step["run"]["commit_hash"]
        if _judged(step) and commit is not None:
            runs = verdicts[(*_step(step), commit)]
            failed = step["result"] == "failed"
            runs[step["run_id"]] = runs.get(step["run_id"], False) or failed
    retried = {key: set(runs.values()) for key, runs in verdicts.items() if len(runs) > 1}
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for (number, name, _), seen in retried.items():
        counts[number, name][0] += 1
        counts[number, name][1] += seen == {True, False}
    return [
        {
            "pipeline": pipelines[number]["name"],
            "step": name,
            "retried_commits": commits,
            "flaky_commits": flaky_ones,
        }
        for (number, name), (commits, flaky_ones) in counts.items()
    ]


def waits(_runs: list[Row], steps: list[Row], _pipelines: dict[int, Row]) -> list[Row]:
    on_runners = [s for s in steps if s["runner"] is not None]
    jobs = _groups(
        on_runners, lambda s: (s["runner"], s["pipeline_id"], s["run_id"], s["job"] or "")
    )
    of_runner: dict[str, list[float]] = defaultdict(list)
    for (runner, *_), group in jobs.items():
        known = [wait for s in group if (wait := _wait(s)) is not None]
        if known:
            of_runner[runner].append(min(known))
    return [
        {
            "runner": runner,
            "jobs": len(known),
            "mean_s": statistics.fmean(known),
            "longest_s": max(known),
        }
        for runner, known in of_runner.items()
    ]


def _wait(step: Row) -> float | None:
    created, started = step["created_at"], step["started_at"]
    if created is not None and started is not None and started >= created:
        return float((started - created).total_seconds())
    queued = step["run"]["queued_ms"]
    return None if queued is None else queued / 1000


def ci_faults(runs: list[Row], _steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    answer = []
    bad = [r for r in runs if _ended(r, "failed") or _ci_fault(r)]
    for number, group in _groups(bad, lambda r: r["pipeline_id"]).items():
        faults = [r["created_at"] for r in group if _ci_fault(r)]
        if faults:
            counts = {"ended_badly": len(group), "by_the_ci": len(faults), "last_one": max(faults)}
            answer.append({"pipeline": pipelines[number]["name"], **counts})
    return answer


def wasted(runs: list[Row], _steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    newest: dict[Any, int] = defaultdict(int)
    for run in runs:
        newest[_first_id(run)] = max(newest[_first_id(run)], run["attempt"])
    timed = [r for r in runs if r["duration_ms"] is not None]
    return [
        {
            "pipeline": pipelines[number]["name"],
            "minutes": _minutes(group),
            "minutes_failed": _minutes(r for r in group if _ended(r, "failed")),
            "minutes_aborted": _minutes(r for r in group if _ended(r, "aborted")),
            "minutes_superseded": _minutes(r for r in group if r["attempt"] < newest[_first_id(r)]),
        }
        for number, group in _groups(timed, lambda r: r["pipeline_id"]).items()
    ]


def _first_id(run: Row) -> tuple[int, str]:
    return run["pipeline_id"], run["id"].split(".")[0]


def _minutes(runs: Iterable[Row]) -> float | None:
    took = [r["duration_ms"] for r in runs]
    return sum(took) / 60_000 if took else None


def busy_hours(runs: list[Row], _steps: list[Row], _pipelines: dict[int, Row]) -> list[Row]:
    hours = _groups(runs, lambda r: f"{r['created_at']:%H}").items()
    return [{"hour": h, "runs": len(group), "wait_s": _mean_queue(group)} for h, group in hours]


def _mean_queue(runs: list[Row]) -> float | None:
    known = [r["queued_ms"] / 1000 for r in runs if r["queued_ms"] is not None]
    return statistics.fmean(known) if known else None


def events(runs: list[Row], _steps: list[Row], pipelines: dict[int, Row]) -> list[Row]:
    answer = []
    for (number, event), group in _groups(runs, lambda r: (r["pipeline_id"], r["event"])).items():
        judged = [r for r in group if _judged(r)]
        passed = sum(r["result"] == "passed" for r in judged)
        answer.append(
            {
                "pipeline": pipelines[number]["name"],
                "event": event,
                "runs": len(judged),
                "pass_rate": passed / len(judged) if judged else None,
            }
        )
    return answer


@dataclass(frozen=True)
class Question:
    """What answers a question, what the rows are sorted by (``-`` for descending), how many."""

    oracle: Oracle
    order: str
    limit: int = 1000


QUESTIONS = {
    1: Question(red_now, "red_since"),
    2: Question(breaking_steps, "-failed_runs", 10),
    3: Question(slow_steps, "-hours", 10),
    4: Question(step_months, "pipeline"),
    5: Question(flaky, "-flaky_commits", 10),
    6: Question(waits, "-mean_s"),
    7: Question(ci_faults, "-by_the_ci"),
    8: Question(wasted, "-minutes"),
    9: Question(busy_hours, "-runs", 5),
    10: Question(events, "pipeline"),
}
