"""Rules of the config against figures: which of them fail, and what to say of each.

A rule that finds nothing it could fail on is ``ok``; where a figure was to be had and is missing,
for want of runs in the window, it is ``no data``, which is no failure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runsync.check_rules import CheckRule, Limit
from runsync.cli.table import ago, duration
from runsync.cli.values import is_missing
from runsync.errors import ConfigError
from runsync.reports.definitions import REPORTS
from runsync.reports.report import Kind, Rate, Report
from runsync.text import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from runsync.storage.database import Database

STATUS = "status"
STATUS_FIGURES = {
    "age": Kind.DURATION,
    "age_s": Kind.DURATION,
    "gaps": Kind.COUNT,
    "incomplete": Kind.COUNT,
    "unfinished": Kind.COUNT,
    "runs": Kind.COUNT,
    "vanished": Kind.COUNT,
}
COLUMNS = ("rule", "status", "report", "pipeline", "figure", "value", "limit", "text", "url")
_LENGTHS = (Kind.DURATION, Kind.TIME)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line. ``status`` is ok, fail or no data; durations and ages are seconds."""

    rule: str
    status: str
    report: str
    text: str
    pipeline: str | None = None
    figure: str | None = None
    value: float | None = None
    limit: float | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule whose report and columns exist. ``report`` is None for ``status``."""

    rule: CheckRule
    report: Report | None
    kinds: Mapping[str, Kind]
    prices: Mapping[str, float] | None = None

    @property
    def title(self) -> str:
        """What the rule is called."""
        of = [self.rule.pipeline, self.rule.branch, self.rule.step, self.rule.job]
        limits = [*self._limits("below"), *self._limits("above"), *["worse"] * self.rule.worse]
        made = f"{self.rule.report} {', '.join(limits)}".strip()
        return self.rule.name or " of ".join([made, *([" / ".join(filter(None, of))] * any(of))])

    def _limits(self, side: str) -> Iterator[str]:
        for column, limit in (getattr(self.rule, side) or {}).items():
            yield f"{column} {side} {_limit(limit, self.kinds[column])}"


def checked(rule: CheckRule, prices: Mapping[str, float] | None = None) -> Checked:
    """The rule, once it is sure that it can be applied.

    Args:
        prices: of a minute, for reports on cost; see :class:`.QuerySpec`.

    Raises:
        ConfigError: its report or a column is not known, or has no such limit.
    """
    report = _report(rule)
    kinds = STATUS_FIGURES if report is None else {c.name: c.kind for c in report.columns}
    figures = {name: kind for name, kind in kinds.items() if kind not in _NO_FIGURES}
    for side in ("below", "above"):
        for column, limit in (getattr(rule, side) or {}).items():
            if column not in figures:
                near = did_you_mean(column, list(figures))
                raise _error(rule, f"{rule.report} has no figure {column!r}{near}")
            _check_limit(rule, side, column, kinds[column], limit)
    _check_keys(rule, report)
    return Checked(rule, report, kinds, prices)


def findings(
    rule: Checked, database: "Database", status: Sequence[Mapping[str, Any]]
) -> list[CheckLine]:
    """What the figures say of the rule: a line for each fault, else one.

    Args:
        status: the rows of ``runsync status`` of the rule's pipelines.

    Raises:
        ConfigError: a pipeline, a branch, a step, a job or a key of it is not known.
    """
    if rule.report is None:
        rows = [dict(row, age=row["age_s"]) for row in status]
    else:
        rows = _rows(rule, _frame(rule, rule.report, database))
    found = [fault for row in rows for fault in _faults(rule, row)]
    if rule.rule.worse and rule.report is not None:
        found += _worse(rule, rule.report, database)
    if not (found or rows):
        _check_names(rule.rule, database)
    return found or [_no_fault(rule, rows)]


def _check_names(rule: CheckRule, database: "Database") -> None:
    """A step or a job that no stored run has is mistyped: its rule would never fail."""
    from sqlalchemy import select

    from runsync.storage.tables import steps

    for key, column in (("step", steps.c.name), ("job", steps.c.job)):
        if (wanted := getattr(rule, key)) is None:
            continue
        found = database.rows(select(column).distinct())
        known = sorted(name for (name,) in found if name is not None)
        if known and wanted not in known:
            raise _error(rule, f"no {key} is called {wanted!r}{did_you_mean(wanted, known)}")


_NO_FIGURES = (Kind.TEXT, Kind.DAY, Kind.FLAG, Kind.FLAG_OR_MISSING, Kind.WEEKDAY)


def _report(rule: CheckRule) -> Report | None:
    if rule.report == STATUS:
        return None
    for report in REPORTS.values():
        if rule.report in (report.name, report.command):
            return report
    known = [STATUS, *(report.command for report in REPORTS.values())]
    raise _error(rule, f"there is no report {rule.report!r}{did_you_mean(rule.report, known)}")


def _check_limit(rule: CheckRule, side: str, column: str, kind: Kind, limit: Limit) -> None:
    if isinstance(limit, timedelta) and kind not in _LENGTHS:
        what = f"{column} is no length of time; write a number, such as 0.8"
        raise _error(rule, f"in `{side}` {what}")
    if kind is Kind.RATE and not 0 <= _number(limit) <= 1:
        what = f"{column} is a share of 1; write 0.8 for 80%, not {_number(limit):g}"
        raise _error(rule, f"in `{side}` {what}")


def _check_keys(rule: CheckRule, report: Report | None) -> None:
    """Refuses what the report cannot be asked for, instead of leaving it out."""
    if report is None:
        given = [k for k in ("branch", "step", "job", "since", "until", "by") if getattr(rule, k)]
        given += ["worse"] * rule.worse
        if given:
            raise _error(rule, f"`{given[0]}` says nothing of status; take it out")
        return
    for key in ("step", "job"):
        if getattr(rule, key) and key not in (*report.by, *report.implied, *report.keys):
            raise _error(rule, f"{rule.report} counts whole runs and has no `{key}`; take it out")


def _error(rule: CheckRule, what: str) -> ConfigError:
    return ConfigError(f"{rule.place}: {what}")


def _asked(rule: CheckRule, report: Report) -> dict[str, Any]:
    asked: dict[str, Any] = {"until": rule.until}
    asked |= {"since": rule.since} if rule.since else {}
    asked["pipelines"] = [rule.pipeline] if rule.pipeline else None
    asked["branches"] = [rule.branch] if rule.branch else None
    named = [key for key in ("step", "job") if getattr(rule, key)]
    keys = [*(rule.by or report.by), *(k for k in named if k not in report.implied)]
    return asked | {"by": tuple(dict.fromkeys(keys))}


def _frame(rule: Checked, report: Report, database: "Database") -> "pd.DataFrame":
    from runsync import reports

    asked = _asked(rule.rule, report)
    asked |= {"prices": rule.prices} if "prices" in report.takes else {}
    try:
        frame: pd.DataFrame = getattr(reports, report.name)(database, **asked)
    except ConfigError as error:
        raise _error(rule.rule, str(error)) from None
    return _of_step(rule.rule, frame)


def _of_step(rule: CheckRule, frame: "pd.DataFrame") -> "pd.DataFrame":
    for key in ("step", "job"):
        if (wanted := getattr(rule, key)) is not None:
            frame = frame[frame[key].astype(object) == wanted]
    return frame


def _rows(rule: Checked, frame: "pd.DataFrame") -> list[dict[str, Any]]:
    from runsync.reports.rows import plain

    columns, rows = plain(frame)
    short = {f"{name}_s": name for name, kind in rule.kinds.items() if kind is Kind.DURATION}
    return [{short.get(name, name): row[name] for name in columns} for row in rows]


def _faults(rule: Checked, row: Mapping[str, Any]) -> Iterator[CheckLine]:
    for side in ("below", "above"):
        for column, limit in (getattr(rule.rule, side) or {}).items():
            if fault := _fault(rule, row, column, side, limit):
                yield fault


def _fault(
    rule: Checked, row: Mapping[str, Any], column: str, side: str, limit: Limit
) -> CheckLine | None:
    kind, bound = rule.kinds[column], _number(limit)
    value = _value(row.get(column))
    if value is None:
        if rule.report is None and column in ("age", "age_s"):
            return _finding(rule, row, column, None, bound, "no sync has succeeded yet")
        return None
    if (value >= bound) if side == "below" else (value <= bound):
        return None
    if kind is Kind.TIME:
        than = "more than" if side == "above" else "less than"
        text = f"{column} {_shown(value, kind)}, {than} {_limit(limit, kind)}"
    else:
        text = f"{column} is {_shown(value, kind)}, {side} {_limit(limit, kind)}"
    return _finding(rule, row, column, value, bound, text)


def _finding(
    rule: Checked,
    row: Mapping[str, Any],
    column: str | None,
    value: float | None,
    limit: float | None,
    text: str,
) -> CheckLine:
    subject = _subject(rule, row)
    return CheckLine(
        rule.title,
        "fail",
        rule.rule.report,
        f"{subject}: {text}" if subject else text,
        row.get("pipeline"),
        column,
        value,
        limit,
        row.get("web_url"),
    )


def _subject(rule: Checked, row: Mapping[str, Any]) -> str:
    """``build / main / unit tests``: the keys that the row is about."""
    keys: tuple[str, ...] = ("pipeline",)
    if rule.report is not None:
        of_report = {column.name for column in rule.report.columns}
        keys += tuple(k for k in rule.report.keys if k in row and k not in of_report)
    return " / ".join(dict.fromkeys(str(row[k]) for k in keys if not is_missing(row.get(k))))


def _no_fault(rule: Checked, rows: Sequence[Mapping[str, Any]]) -> CheckLine:
    """What to say where nothing fails: all is well, or there was no figure to judge."""
    columns = {*(rule.rule.below or {}), *(rule.rule.above or {})}
    known = any(row.get(column) is not None for row in rows for column in columns)
    states = all(rule.kinds[column] is Kind.TIME for column in columns)
    if known or states:
        return CheckLine(rule.title, "ok", rule.rule.report, "ok", rule.rule.pipeline)
    text = "there are no runs that say anything"
    return CheckLine(rule.title, "no data", rule.rule.report, text, rule.rule.pipeline)


# Worse than before.


def _worse(rule: Checked, report: Report, database: "Database") -> Iterator[CheckLine]:
    from runsync import reports
    from runsync.reports.rows import duration as length
    from runsync.reports.rows import percent

    if "change" in rule.kinds:  # a report on changes tells them itself
        frame, is_rate = _frame(rule, report, database), None
    else:
        try:
            frame = reports.compare(database, report.name, **_asked(rule.rule, report))
        except ConfigError as error:
            raise _error(rule.rule, str(error)) from None
        frame, is_rate = _of_step(rule.rule, frame), isinstance(report.main, Rate)
        frame = frame[frame["beyond_chance"].fillna(False).astype(bool)]
    for row in ({str(k): v for k, v in r.items()} for r in frame.to_dict("records")):
        figure = str(row.get("figure", report.main.column))
        before, after = row["before"], row["after"]
        if not (after < before if figure.startswith("pass") else after > before):
            continue
        rated = is_rate if is_rate is not None else figure.endswith("rate")
        seconds = (timedelta(seconds=_number(v)) for v in (before, after))
        was, now = map(percent, (before, after)) if rated else map(length, seconds)
        text = f"{figure} became worse: {was} → {now}"
        yield _finding(rule, row, figure, _value(after), _value(before), text)


# Numbers.


def _value(value: Any) -> float | None:
    """A figure as a number: durations and ages in seconds."""
    if is_missing(value):
        return None
    if isinstance(value, datetime):
        return (datetime.now(UTC) - value).total_seconds()
    return _number(value)


def _number(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _limit(value: Limit, kind: Kind) -> str:
    return _shown(value, Kind.DURATION if kind is Kind.TIME else kind)


def _shown(value: Limit, kind: Kind) -> str:
    if kind is Kind.TIME:
        return ago(timedelta(seconds=_number(value)))
    if kind is Kind.DURATION:
        return duration(timedelta(seconds=_number(value)))
    return f"{_number(value):.1%}" if kind is Kind.RATE else f"{_number(value):g}"
