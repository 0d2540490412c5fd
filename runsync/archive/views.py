"""The tables and views of an archive, in DuckDB's SQL: the same columns as a database's have.

What counts as what is said by the revisions for databases, and here for archives; a test holds
the two together.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Table

from runsync.storage.tables import v_runs, v_steps


def _flag(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


_FINISHED = "status = 'finished'"
_OF_BOTH = {
    "duration_s": "CAST(duration_ms AS DOUBLE) / 1000",
    "is_finished": _flag(_FINISHED),
    "is_passed": _flag(f"{_FINISHED} AND result = 'passed'"),
    "is_failed": _flag(f"{_FINISHED} AND result = 'failed'"),
    "in_rate": _flag(f"{_FINISHED} AND result IN ('passed', 'failed')"),
    "is_error": _flag(f"{_FINISHED} AND outcome = 'error'"),
}
_OF_RUNS = {
    "queued_s": "CAST(queued_ms AS DOUBLE) / 1000",
    "is_aborted": _flag(f"{_FINISHED} AND result = 'aborted'"),
    "is_skipped": _flag(f"{_FINISHED} AND result = 'skipped'"),
    "never_started": _flag(f"{_FINISHED} AND result = 'aborted' AND started_at IS NULL"),
}
_OF_STEPS = {
    "queued_s": "CASE WHEN started_at >= created_at "
    "THEN (epoch_us(started_at) - epoch_us(created_at)) / 1000000 END",
    "run_is_aborted": _flag("run_status = 'finished' AND run_result = 'aborted'"),
    "ran": _flag(f"{_FINISHED} AND result <> 'skipped' AND duration_ms IS NOT NULL"),
}
MACROS = """
CREATE MACRO as_32_bits(value) AS TRY_CAST(value AS UINTEGER);
CREATE MACRO jsonb_typeof(value) AS CASE
    WHEN json_type(value) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') THEN 'number'
    ELSE lower(json_type(value)) END
"""
"""Functions that the SELECTs of reports use: PostgreSQL's, by the names that they have there, and
``as_32_bits``, null for what does not fit."""


VIEW_EXPRESSIONS = {"v_runs": _OF_BOTH | _OF_RUNS, "v_steps": _OF_BOTH | _OF_STEPS}
"""What the views reckon from their tables' columns, by the names of view and column."""


def statements(pipelines: Mapping[int, tuple[str, str]]) -> Iterable[str]:
    """What makes ``v_runs`` and ``v_steps`` of ``runs`` and ``steps``.

    Args:
        pipelines: the source and name of each, by its number.
    """
    yield MACROS
    yield _view(v_runs, "runs", pipelines)
    yield _view(v_steps, "steps", pipelines)


def _view(view: Table, table: str, pipelines: Mapping[int, tuple[str, str]]) -> str:
    # DuckDB takes no join away that a query needs nothing of, so the names are looked up.
    names = {"source": _lookup(pipelines, 0), "pipeline": _lookup(pipelines, 1)}
    made = names | VIEW_EXPRESSIONS[view.name]
    columns = (f"{made.get(c.name, quoted_name(c.name))} AS {quoted_name(c.name)}" for c in view.c)
    return f"CREATE VIEW {view.name} AS SELECT {', '.join(columns)} FROM {table}"  # noqa: S608


def _lookup(pipelines: Mapping[int, tuple[str, str]], place: int) -> str:
    """The text of a row's pipeline, from a list that is as long as the greatest number."""
    texts = [
        pipelines.get(number, ("", ""))[place] for number in range(1, max(pipelines, default=0) + 1)
    ]
    return f"list_extract([{', '.join(map(sql_text, texts))}]::VARCHAR[], pipeline_id)"


def quoted_name(name: str) -> str:
    """A name that is no keyword."""
    return '"' + name.replace('"', '""') + '"'


def sql_text(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
