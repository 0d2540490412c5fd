"""The figures once more, slowly and in plain Python, straight from the definitions."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Key = tuple[Any, ...]
KeyOf = Callable[[Row], Key]


def key_of(by: Sequence[str], every: str | None, zone: ZoneInfo) -> KeyOf:
    """What a row of a run (or of a step, with its run's columns) is grouped by."""

    def key(row: Row) -> Key:
        local = row["created_at"].astimezone(zone)
        known = {
            "pipeline": f"p{row['pipeline_id']}",
            "source": "wercker",
            "branch": row["branch"],
            "author": row["author"],
            "weekday": f"{local:%A}",
            "hour": local.hour,
            "step": row.get("name"),
            "job": row.get("job"),
        }
        periods = () if every is None else (period(local.date(), every),)
        return (*(known[name] for name in by), *periods)

    return key


def period(day: date, every: str) -> date:
    """The first day of that day's period."""
    if every == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if every == "month" else day


def grouped(rows: Iterable[Row], key: KeyOf) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def quantile(values: list[float], share: float) -> float:
    """Linear between ranks."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return ordered[0]
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return cuts[round(share * 100) - 1]


def pass_rates(runs: Sequence[Row], key: KeyOf) -> dict[Key, Row]:
    made = {}
    finished = [r for r in runs if r["status"] == "finished"]
    for group, rows in grouped(finished, key).items():
        words = Counter(r["result"] for r in rows)
        judged = words["passed"] + words["failed"]
        counts = {w: words[w] for w in ("passed", "failed", "aborted", "skipped", "unknown")}
        rate = words["passed"] / judged if judged else None
        made[group] = {"finished": len(rows), **counts, "pass_rate": rate}
    return made


def spread(rows: Iterable[Row], column: str, key: KeyOf) -> dict[Key, Row]:
    made = {}
    for group, members in grouped(rows, key).items():
        values = [r[column] / 1000 for r in members]
        made[group] = {
            "count": len(values),
            "mean": statistics.fmean(values),
            **{f"p{n}": quantile(values, n / 100) for n in (50, 90, 95)},
            "max": max(values),
        }
    return made


def ran(steps: Iterable[Row]) -> list[Row]:
    return [
        s
        for s in steps
        if s["status"] == "finished" and s["result"] != "skipped" and s["duration_ms"] is not None
    ]


def aborts(runs: Sequence[Row], steps: Sequence[Row], key: KeyOf) -> dict[Key, Row]:
    made = {}
    finished = [r for r in runs if r["status"] == "finished"]
    started = grouped(
        (s for s in steps if s["started_at"] is not None), lambda s: (s["pipeline_id"], s["run_id"])
    )
    for group, rows in grouped(finished, key).items():
        aborted = [r for r in rows if r["result"] == "aborted"]
        times = [r["duration_ms"] / 1000 for r in aborted if r["duration_ms"] is not None]
        lasts = Counter[str]()
        for r in aborted:
            if of_run := started.get((r["pipeline_id"], r["id"])):
                lasts[max(of_run, key=lambda s: s["position"])["name"]] += 1
        most = max(lasts.values(), default=0)
        made[group] = {
            "finished": len(rows),
            "aborted": len(aborted),
            "abort_rate": len(aborted) / len(rows),
            "never_started": sum(r["started_at"] is None for r in aborted),
            "median_time_to_abort": statistics.median(times) if times else None,
            "last_step": min((n for n, c in lasts.items() if c == most), default=None),
        }
    return made


def breaks(runs: Sequence[Row], since: datetime | None) -> list[Row]:
    """Each break: the run that broke it, ``since`` when, ``took`` seconds (None: open), ``new``,
    how many verdicts came ``later``."""
    made: list[Row] = []
    judged = [r for r in runs if r["status"] == "finished" and r["result"] in ("passed", "failed")]
    for rows in grouped(judged, lambda r: (r["pipeline_id"], r["branch"])).values():
        open_break: Row | None = None
        before = None
        ordered = sorted(
            rows, key=lambda r: (r["finished_at"], r["created_at"], r["result"] == "passed")
        )
        for n, r in enumerate(ordered):
            if r["result"] == "failed" and before != "failed":
                within = since is None or r["created_at"] >= since or r["finished_at"] >= since
                new = before == "passed" and within
                later = len(ordered) - n - 1
                open_break = {
                    **r, "since": r["finished_at"], "took": None, "new": new, "later": later
                }  # fmt: skip
                made.append(open_break)
            if r["result"] == "passed" and open_break:
                open_break["took"] = (r["finished_at"] - open_break["since"]).total_seconds()
                open_break = None
            before = r["result"]
    return [b for b in made if b["new"] or b["took"] is None]


def recoveries(runs: Sequence[Row], since: datetime | None, key: KeyOf) -> dict[Key, Row]:
    made = {}
    for group, rows in grouped(breaks(runs, since), key).items():
        times = [b["took"] for b in rows if b["new"] and b["took"] is not None]
        made[group] = {
            "failures": sum(b["new"] for b in rows),
            "open_since": min((b["since"] for b in rows if b["took"] is None), default=None),
            "mean_time_to_recovery": statistics.fmean(times) if times else None,
            "p50": quantile(times, 0.5) if times else None,
            "p90": quantile(times, 0.9) if times else None,
        }
    return made


def flaky(steps: Sequence[Row], key: KeyOf) -> dict[Key, Row]:
    """For keys without a time."""
    made = {}
    judged = [
        s
        for s in steps
        if s["status"] == "finished"
        and s["result"] in ("passed", "failed")
        and s["commit_hash"] is not None
    ]
    for group, rows in grouped(judged, key).items():
        tries: dict[Key, set[bool]] = defaultdict(set)
        for s in rows:
            own = s["id"] if (s["extra"] or {}).get("retried") else None
            tries[s["pipeline_id"], s["commit_hash"], s["run_id"], own].add(s["result"] == "failed")
        commits: dict[Key, list[bool]] = defaultdict(list)
        for (pipeline, commit, _run, _own), failed in tries.items():
            commits[pipeline, commit].append(any(failed))
        retried = [verdicts for verdicts in commits.values() if len(verdicts) > 1]
        flaky = sum(len(set(verdicts)) == 2 for verdicts in retried)
        made[group] = {
            "commits": len(commits),
            "retried_commits": len(retried),
            "flaky_commits": flaky,
            "flake_rate": flaky / len(retried) if retried else None,
        }
    return made
