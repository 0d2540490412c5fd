"""Which months of runs have changed, and which were pruned.

Revision: 0004. After: 0003.

A month of a pipeline gets a new random version whenever one of its runs is written, whoever writes
it. An archive keeps the version of what it holds, so that a look at this small table says what has
changed since. Random, not counted: in a database that a backup was put back into, a count would
come by the same number again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

EVENTS = ("insert", "update", "delete")


def upgrade() -> None:
    op.create_table(
        "months",
        sa.Column("pipeline_id", sa.Integer, nullable=False),
        sa.Column("month", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("pruned_at", sa.DateTime(timezone=True)),
        sa.Column("pruned_runs", sa.Integer),
        sa.PrimaryKeyConstraint("pipeline_id", "month", name="pk_months"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO months (pipeline_id, month, version) "
        f"SELECT found.pipeline_id, found.month, {new_version()} FROM (SELECT DISTINCT "
        f"pipeline_id, {month_of('runs')} AS month FROM runs) AS found"
    )
    if is_postgresql():
        create_postgresql_triggers()
    else:
        create_sqlite_triggers()


def downgrade() -> None:
    for event in EVENTS:
        op.execute(f"DROP TRIGGER runs_{event}_month" + (" ON runs" if is_postgresql() else ""))
        if is_postgresql():
            op.execute(f"DROP FUNCTION runs_{event}_months()")
    op.drop_table("months")


def is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def month_of(row: str) -> str:
    if is_postgresql():
        return f"to_char({row}.created_at AT TIME ZONE 'UTC', 'YYYY-MM')"
    return f"substr({row}.created_at, 1, 7)"


def new_version() -> str:
    if is_postgresql():
        return "substr(replace(CAST(gen_random_uuid() AS text), '-', ''), 1, 16)"
    return "lower(hex(randomblob(8)))"


def mark(row: str) -> str:
    return (
        f"INSERT INTO months (pipeline_id, month, version) "
        f"VALUES ({row}.pipeline_id, {month_of(row)}, {new_version()}) "
        "ON CONFLICT (pipeline_id, month) DO UPDATE SET version = excluded.version;"
    )


def create_sqlite_triggers() -> None:
    marks = {"insert": mark("NEW"), "update": mark("NEW") + mark_if_moved(), "delete": mark("OLD")}
    for event, statements in marks.items():
        op.execute(
            f"CREATE TRIGGER runs_{event}_month AFTER {event} ON runs BEGIN {statements} END"
        )


def mark_if_moved() -> str:
    """The month that a run was in until its creation time was told otherwise."""
    return (
        f" UPDATE months SET version = {new_version()} WHERE pipeline_id = OLD.pipeline_id "
        f"AND month = {month_of('OLD')} AND month <> {month_of('NEW')};"
    )


def create_postgresql_triggers() -> None:
    """For a statement, not for each of its rows: a month that one statement writes ten thousand
    times would keep as many versions of its row, and each of them would be looked through."""
    rows = {"insert": ["written"], "update": ["written", "gone"], "delete": ["gone"]}
    for event, names in rows.items():
        months = " UNION ".join(
            f"SELECT pipeline_id, {month_of(n)} AS month FROM {n}" for n in names
        )
        op.execute(
            f"CREATE FUNCTION runs_{event}_months() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"INSERT INTO months (pipeline_id, month, version) SELECT pipeline_id, month, "
            f"{new_version()} FROM (SELECT DISTINCT pipeline_id, month FROM ({months}) AS told) "
            "AS changed ORDER BY pipeline_id, month "
            "ON CONFLICT (pipeline_id, month) DO UPDATE SET version = excluded.version; "
            "RETURN NULL; END $$"
        )
        tables = {"written": "NEW TABLE AS written", "gone": "OLD TABLE AS gone"}
        referencing = " ".join(tables[name] for name in names)
        op.execute(
            f"CREATE TRIGGER runs_{event}_month AFTER {event} ON runs REFERENCING {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION runs_{event}_months()"
        )
