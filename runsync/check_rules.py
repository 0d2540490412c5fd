"""The ``[[checks]]`` of the config: what ``runsync check`` compares with a report's figures.

Here a rule is read; whether its report and its columns exist only the reports can say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from runsync import timespan
from runsync.toml_table import TomlTable

Limit = float | timedelta

_TEXTS = ("name", "report", "pipeline", "branch", "step", "job", "since", "until")
_LIMITS = ("below", "above")


@dataclass(frozen=True, slots=True)
class CheckRule:
    """One ``[[checks]]``. It fails where a figure is ``below`` or ``above`` a limit, or worse.

    ``place`` is where it stands, for errors; ``worse`` compares the report's main figure with the
    window before. Limits are numbers, or spans of time for durations and ages.
    """

    place: str
    report: str
    name: str | None = None
    pipeline: str | None = None
    branch: str | None = None
    step: str | None = None
    job: str | None = None
    since: str | None = None
    until: str | None = None
    by: tuple[str, ...] = ()
    below: Mapping[str, Limit] | None = None
    above: Mapping[str, Limit] | None = None
    worse: bool = False


def check_rule(table: TomlTable) -> CheckRule:
    """Reads one rule.

    Raises:
        ConfigError: a key is not known, a value is not of its kind, or it says no limit.
    """
    table.only(*_TEXTS, *_LIMITS, "by", "worse")
    texts = {key: table.text(key) for key in _TEXTS}
    report = texts.pop("report")
    if report is None:
        raise table.error("`report` is missing; write one such as pass-rates, or status")
    for key in ("since", "until"):
        _check_moment(table, key, texts[key])
    below, above = (_limits(table, key) for key in _LIMITS)
    worse = table.flag("worse")
    if not (below or above or worse):
        raise table.error("it says no limit; write one such as below = { pass_rate = 0.8 }")
    place = f"{table.path}: {table.place}"
    by = table.texts("by")
    return CheckRule(place, report, by=by, below=below, above=above, worse=worse, **texts)


def _limits(table: TomlTable, key: str) -> dict[str, Limit]:
    return {column: _limit(table, key, column, v) for column, v in table.values(key)}


def _limit(table: TomlTable, key: str, column: str, value: object) -> Limit:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return float(value)
    try:
        span = timespan.span(value) if isinstance(value, str) else None
    except OverflowError:
        span = None
    if span is None:
        raise table.error(
            f"`{column}` in `{key}` must be a number such as 0.8, or a span such as 10m or 2h, "
            f"not {value!r}"
        )
    return span


def _check_moment(table: TomlTable, key: str, text: str | None) -> None:
    try:
        if text is not None:
            timespan.moment(text)
    except (ValueError, OverflowError):
        raise table.error(f"`{key}` {text!r} is not a time; {timespan.EXAMPLES}") from None
