"""``status`` in the Prometheus text format, for the node exporter's textfile collector.

Names are in base units; what is a moment is a timestamp, so that an old file ages by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from runsync.text import visible

_LABELS = ("source", "pipeline", "external_id", "listing")


def _moment(value: datetime) -> float:
    return value.timestamp()


_GAUGES: Sequence[tuple[str, str, str, Callable[[Any], float]]] = (
    ("runs", "runs", "Runs that are stored.", float),
    ("runs_unfinished", "unfinished", "Stored runs that have not finished.", float),
    ("runs_incomplete", "incomplete", "Stored runs whose steps are not in.", float),
    ("runs_vanished", "vanished", "Stored runs that the service does not know any more.", float),
    ("coverage_gaps", "gaps", "Places in the history where runs may be missing.", float),
    (
        "coverage_start_timestamp_seconds",
        "covered_from",
        "Where the newest stretch without a gap begins.",
        _moment,
    ),
    (
        "coverage_end_timestamp_seconds",
        "covered_to",
        "Where the newest stretch without a gap ends.",
        _moment,
    ),
    (
        "last_good_sync_timestamp_seconds",
        "last_good_sync",
        "When the last sync that brought everything began.",
        _moment,
    ),
    (
        "last_sync_success",
        "last_outcome",
        "Whether the last sync brought everything.",
        lambda outcome: float(outcome == "ok"),
    ),
)


def exposition(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of ``status`` as gauges; what is not known has no sample."""
    return "".join(line for gauge in _GAUGES for line in _lines(rows, *gauge))


def _lines(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    column: str,
    meaning: str,
    number: Callable[[Any], float],
) -> Iterator[str]:
    yield f"# HELP runsync_{name} {meaning}\n# TYPE runsync_{name} gauge\n"
    for row in rows:
        if row[column] is not None:
            labels = ",".join(f'{label}="{_escaped(row[label])}"' for label in _LABELS)
            yield f"runsync_{name}{{{labels}}} {number(row[column])!r}\n"


def _escaped(value: str | None) -> str:
    shown = visible(value or "")
    return shown.replace("\\", "\\\\").replace('"', '\\"')
