"""The figures once more, slowly and in plain Python, straight from the definitions."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
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
            "event": row["event"],
            "runner": row.get("runner"),
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
        errors = sum(r["result"] == "failed" and r["outcome"] == "error" for r in rows)
        made[group] = {"finished": len(rows), **counts, "pass_rate": rate, "errors": errors}
    return made


def of_runs(steps: Sequence[Row], key: KeyOf) -> list[Row]:
    """What the steps of each run came to in each group, as if that were a run."""
    finished = [s for s in steps if s["status"] == "finished"]
    made = []
    for (_, run, group), rows in grouped(
        finished, lambda s: (s["pipeline_id"], s["run_id"], key(s))
    ).items():
        words = {s["result"] for s in rows}
        order = ("failed", "aborted", "unknown", "passed", "skipped")
        result = next(word for word in order if word in words)
        outcomes = {s["outcome"] for s in rows if s["result"] == "failed"}
        made.append(
            {**rows[0], "id": run, "group": group, "result": result}
            | {"outcome": "error" if outcomes == {"error"} else None}
        )
    return made


def broken(runs: Sequence[Row], steps: Sequence[Row], now: datetime) -> dict[Key, Row]:
    """What is red at the end, by pipeline and branch."""
    alive = {
        (r["pipeline_id"], r["branch"]) for r in runs if r["created_at"] >= now - timedelta(days=30)
    }
    made = {}
    for b in breaks(runs, None):
        if b["took"] is None and (b["pipeline_id"], b["branch"]) in alive:
            failed = [
                s
                for s in steps
                if (s["pipeline_id"], s["run_id"]) == (b["pipeline_id"], b["id"])
                and s["status"] == "finished"
                and s["result"] == "failed"
            ]
            first = min(failed, key=lambda s: (s["position"], s["name"]), default={"name": None})
            made[f"p{b['pipeline_id']}", b["branch"]] = {
                **{n: b[n] for n in ("since", "commit_hash", "author", "web_url")},
                "run": b["id"],
                "step": first["name"],
                "runs_since": b["later"],
            }
    return made


def minutes(runs: Sequence[Row], steps: Sequence[Row], key: KeyOf) -> dict[Key, Row]:
    """For a price of 2 a minute on runners that begin with ``ubuntu``."""
    finished = {(r["pipeline_id"], r["id"]): r for r in runs if r["status"] == "finished"}
    spent = [s for s in ran(steps) if (s["pipeline_id"], s["run_id"]) in finished]
    timed = {(s["pipeline_id"], s["run_id"]) for s in spent}
    whole = [{**r, "run_id": r["id"]} for run, r in finished.items() if run not in timed]
    made = {}
    for group, rows in grouped([*spent, *whole], key).items():
        took: Counter[str] = Counter()
        for s in rows:
            run = finished[s["pipeline_id"], s["run_id"]]
            base = run["id"].split(".")[0]
            later = (run["pipeline_id"], f"{base}.{run['attempt'] + 1}")
            in_minutes = (s["duration_ms"] or 0) / 60_000
            words = {
                "minutes": True,
                "minutes_failed": run["result"] == "failed",
                "minutes_aborted": run["result"] == "aborted",
                "minutes_superseded": any((r["pipeline_id"], r["id"]) == later for r in runs),
            }
            words["wasted"] = any(words[n] for n in list(words)[1:])
            took.update({n: in_minutes for n, holds in words.items() if holds})
        priced = [s for s in rows if (s.get("runner") or "").startswith("ubuntu")]
        made[group] = {
            "runs": len({(s["pipeline_id"], s["run_id"]) for s in rows}),
            **{n: float(took[n]) for n in words if n != "wasted"},
            "waste": took["wasted"] / took["minutes"] if took["minutes"] else None,
            "cost": sum((s["duration_ms"] or 0) / 30_000 for s in priced) if priced else None,
        }
    return made


def failures(steps: Sequence[Row], key: KeyOf) -> dict[Key, Row]:
    judged = [s for s in steps if s["status"] == "finished" and s["result"] in ("passed", "failed")]
    firsts = {}
    for of_run in grouped(judged, lambda s: (s["pipeline_id"], s["run_id"])).values():
        failed = [s for s in of_run if s["result"] == "failed"]
        if failed:
            first = min(failed, key=lambda s: (s["position"], s["name"]))
            firsts[first["pipeline_id"], first["run_id"]] = key(first)
    made = {}
    for group, rows in grouped(judged, key).items():
        runs = grouped(rows, lambda s: (s["pipeline_id"], s["run_id"]))
        bad = {run: [s for s in of if s["result"] == "failed"] for run, of in runs.items()}
        bad = {run: of for run, of in bad.items() if of}
        last = max(
            (
                ((s["finished_at"] or s["created_at"]), s["created_at"], s["run_id"], s["web_url"])
                for of in bad.values()
                for s in of
            ),
            key=lambda known: known[:3],
            default=(None, None, None, None),
        )
        made[group] = {
            "runs": len(runs),
            "failed": len(bad),
            "failure_rate": len(bad) / len(runs),
            "first_failures": sum(firsts[run] == group for run in bad),
            "last_failed_at": last[0],
            "last_run": last[2],
            "web_url": last[3],
            "errors": sum({s["outcome"] for s in of} == {"error"} for of in bad.values()),
        }
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
            "last_step_aborts": most,
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


def changes(
    runs: Sequence[Row], steps: Sequence[Row], times: dict[Key, list[datetime]]
) -> dict[Key, Row]:
    """The figures on both sides of changes whose times are given by pipeline, step, job, figure."""
    whole = [{**r, "name": None, "job": None} for r in runs]
    finished = [r for r in whole if r["status"] == "finished"]
    judged = [r for r in [*whole, *steps] if r["status"] == "finished"]
    judged = [r for r in judged if r["result"] in ("passed", "failed")]
    timed = [*(r for r in finished if r["duration_ms"] is not None), *ran(steps)]
    summaries: dict[str, tuple[list[Row], Callable[[list[Row]], float]]] = {
        "pass_rate": (judged, lambda rows: sum(r["result"] == "passed" for r in rows) / len(rows)),
        "p50": (timed, lambda rows: statistics.median(r["duration_ms"] for r in rows) / 1000),
    }
    made = {}
    for (pipeline, name, job, figure), changed in times.items():
        rows, summary = summaries[figure]
        own = (pipeline, name, job)
        rows = [r for r in rows if (f"p{r['pipeline_id']}", r["name"], r["job"]) == own]
        for n, when in enumerate(sorted(changed)):
            begin = max((t for t in changed if t < when), default=datetime.min.replace(tzinfo=UTC))
            end = min((t for t in changed if t > when), default=datetime.max.replace(tzinfo=UTC))
            left = [r for r in rows if begin <= r["created_at"] < when]
            right = [r for r in rows if when <= r["created_at"] < end]
            before, after = summary(left), summary(right)
            figures = {"before": before, "after": after, "change": after - before}
            made[*own, figure, n] = figures | {"runs": len(left) + len(right)}
    return made
