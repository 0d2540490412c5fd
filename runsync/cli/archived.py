"""What two commands do with an archive: ``verify --archived`` and ``db prune --archived``."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runsync.cli.app_context import archive_place, load_config, open_database
from runsync.cli.options import when
from runsync.cli.output import Format, emit, note, warn
from runsync.cli.progress import progress_line
from runsync.errors import ConfigError, PartialError

if TYPE_CHECKING:
    from runsync.archive.differences import ArchiveVerdict, MonthDifference
    from runsync.archive.prune import MonthToPrune

COMPARED = ("pipeline", "month", "kind", "runs", "why")
PRUNED = ("pipeline", "month", "runs", "steps", "kept")
_SHOWN = 20
_NAMED = 5


def verify_archive(config: Path | None, archive: str | None, format: Format | None) -> None:
    """Compares the archive with the database; a row for each month that differs.

    Raises:
        PartialError: one differs.
    """
    from runsync.archive.differences import compare_archive
    from runsync.storage.pipelines import labels_by_id

    settings = load_config(config, needed=False)
    place = archive_place(settings, archive)
    with closing(open_database(settings)) as database:
        with progress_line() as show:
            verdict = compare_archive(database, place, show)
        names = labels_by_id(database.rows)
    rows = [
        {
            "pipeline": names.get(one.pipeline_id, str(one.pipeline_id)),
            "month": one.month,
            "kind": one.kind,
            "runs": len(one.runs) or None,
            "why": one.why or ", ".join(one.runs[:_NAMED]) or None,
        }
        for one in verdict.differences
    ]
    if rows or format is not None:
        emit(rows, columns=COMPARED, format=format)
    _end(verdict, place, names)


def _end(verdict: "ArchiveVerdict", place: str, names: dict[int, str]) -> None:
    from runsync.archive.location import without_password

    behind = sum(one.kind == "behind" for one in verdict.differences)
    more = f"; {behind} were written since the last export" if behind else ""
    note(
        f"{without_password(place)}: compared {verdict.months} months ({verdict.runs} runs, "
        f"{verdict.steps} steps){more}"
    )
    for one in verdict.faults[:_SHOWN]:
        warn(_sentence(one, names))
    if verdict.faults:
        raise PartialError(
            f"{len(verdict.faults)} months are not the same in the archive and the database; "
            "put a copy of the archive back, or repair the database with `runsync verify --repair` "
            "and export again"
        )


def _sentence(one: "MonthDifference", names: dict[int, str]) -> str:
    name = names.get(one.pipeline_id, f"pipeline {one.pipeline_id}")
    runs = f": {', '.join(one.runs[:_NAMED])}" if one.runs else ""
    more = f" and {len(one.runs) - _NAMED} more" if len(one.runs) > _NAMED else ""
    return f"{name}: {one.month} is {one.kind}{runs}{more}{f' ({one.why})' if one.why else ''}"


def prune_archived(
    config: Path | None,
    archive: str | None,
    before: str,
    *,
    dry_run: bool,
    yes: bool,
    format: Format | None,
) -> None:
    """Deletes what the archive holds as well, after a count and a question.

    Raises:
        ConfigError: there is nobody to be asked, or the answer was no.
        PartialError: a month that was to go had to stay.
    """
    from runsync.archive.location import without_password
    from runsync.archive.prune import months_to_prune, prune
    from runsync.storage.pipelines import labels_by_id

    settings = load_config(config, needed=False)
    place = archive_place(settings, archive)
    with closing(open_database(settings)) as database:
        found = months_to_prune(database, place, when(before))
        names = labels_by_id(database.rows)
        going = [one for one in found if not one.kept]
        runs = sum(one.runs for one in going)
        note(
            f"{len(going)} months ({runs} runs) are in {without_password(place)} and leave the "
            f"database; {len(found) - len(going)} stay"
        )
        done = found
        if going and not dry_run:
            _ask(runs, yes=yes)
            with progress_line() as show:
                done = prune(database, place, found, lambda one: show(one.month))
    emit([_row(one, names) for one in done], columns=PRUNED, format=format)
    _end_pruning(going, done, dry_run=dry_run)


def _ask(runs: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"add --yes to delete {runs} runs from the database, or --dry-run")
    import typer

    if not typer.confirm(f"Delete {runs} runs from the database?", err=True):
        raise ConfigError("nothing was deleted")


def _end_pruning(
    going: Sequence["MonthToPrune"], done: Sequence["MonthToPrune"], *, dry_run: bool
) -> None:
    gone = {(one.pipeline_id, one.month) for one in done if not one.kept}
    stayed = [one for one in going if (one.pipeline_id, one.month) not in gone]
    if dry_run:
        note("nothing was deleted")
    elif gone:
        note(
            f"deleted {len(gone)} months; reports go on seeing them with the archive, and syncs "
            "do not fetch them again"
        )
    if stayed:
        raise PartialError(f"{len(stayed)} months had to stay, as the table says")


def _row(one: "MonthToPrune", names: dict[int, str]) -> dict[str, Any]:
    return {
        "pipeline": names.get(one.pipeline_id, str(one.pipeline_id)),
        "month": one.month,
        "runs": one.runs,
        "steps": one.steps,
        "kept": one.kept or None,
    }
