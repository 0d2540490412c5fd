"""``runs`` and ``steps`` of an empty PostgreSQL database, cut into hash partitions by pipeline.

Every query of runsync names pipelines or reads them all, and a step has its run's pipeline, so a
run and its steps share a partition number. The tables are made anew from what was made of them:
their constraints, indexes, triggers, privileges and the views upon them, by their own definitions.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from runsync.errors import DatabaseError
from runsync.storage.database import Database

_TABLES = ("runs", "steps")
# The tables, and the views that read them, or read such views, whoever made them.
_CUT = text(
    "CREATE TEMP TABLE cut ON COMMIT DROP AS WITH RECURSIVE found AS ("
    "SELECT oid FROM pg_class WHERE oid IN ('runs'::regclass, 'steps'::regclass) "
    "UNION SELECT ev_class FROM found JOIN pg_depend ON refobjid = found.oid "
    "AND refclassid = 'pg_class'::regclass AND classid = 'pg_rewrite'::regclass "
    "JOIN pg_rewrite r ON r.oid = objid) SELECT oid FROM found"
)
# A referenced key has to be there before what refers to it.
_CONSTRAINTS = text(
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE contype IN ('p', 'u', 'c', 'f') AND (conrelid IN (SELECT oid FROM cut) "
    "OR confrelid IN (SELECT oid FROM cut)) ORDER BY contype = 'f', conrelid::regclass::text"
)
_INDEXES = text(
    "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN (SELECT oid FROM cut) "
    "AND indexrelid NOT IN (SELECT conindid FROM pg_constraint) ORDER BY 1"
)
_TRIGGERS = text(
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM cut) "
    "AND NOT tgisinternal ORDER BY 1"
)
_VIEWS = text(
    "SELECT 'CREATE ' || CASE relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END || 'VIEW ' || "
    "oid::regclass || ' AS ' || pg_get_viewdef(oid) FROM pg_class "
    "WHERE relkind IN ('v', 'm') AND oid IN (SELECT oid FROM cut) ORDER BY oid"
)
_GRANTS = text(
    "SELECT format('GRANT %s ON %s TO %s%s', privilege_type, oid::regclass, "
    "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, "
    "CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) "
    "FROM pg_class, aclexplode(relacl) "
    "WHERE oid IN (SELECT oid FROM cut) AND grantee <> relowner ORDER BY 1"
)
_PARTITIONS = text(
    "SELECT count(*) FROM pg_inherits WHERE inhparent = 'steps'::regclass "
    "AND EXISTS (SELECT FROM pg_partitioned_table WHERE partrelid = inhparent)"
)


def cut(database: Database, number: int) -> None:
    """Cuts the tables into ``number`` partitions; leaves them alone where they are cut so.

    Raises:
        DatabaseError: it is not PostgreSQL, holds runs, or is cut into another number.
    """
    if database.is_sqlite:
        raise DatabaseError(
            f"{database.name} is SQLite, which has no partitions; they are for PostgreSQL"
        )
    with database.write() as connection:
        if _is_cut(database, connection, number):  # without a wait for whoever reads or writes
            return
        connection.execute(text("LOCK TABLE runs, steps IN ACCESS EXCLUSIVE MODE"))
        if _is_cut(database, connection, number):
            return
        if connection.execute(text("SELECT EXISTS (SELECT FROM runs)")).scalar_one():
            raise DatabaseError(
                f"the database {database.name} holds runs, and only an empty one can be cut into "
                "partitions; name a new one in database_url, and sync or restore into it"
            )
        _make_anew(connection, number)


def _is_cut(database: Database, connection: Connection, number: int) -> bool:
    found = connection.execute(_PARTITIONS).scalar_one()
    if found not in (0, number):
        raise DatabaseError(f"the database {database.name} has {found} partitions already")
    return bool(found)


def _make_anew(connection: Connection, number: int) -> None:
    connection.execute(_CUT)
    keys = [
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
        for table, name, definition in connection.execute(_CONSTRAINTS)
    ]
    others = [
        statement
        for query in (_VIEWS, _INDEXES, _TRIGGERS, _GRANTS)
        for statement in connection.execute(query).scalars()
    ]
    anew = [statement for table in _TABLES for statement in _cut_table(table, number)]
    for statement in (*anew, *keys, *others):
        connection.exec_driver_sql(statement.replace("%", "%%"))


def _cut_table(table: str, number: int) -> Iterator[str]:
    like = f"LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE"
    yield f"CREATE TABLE {table}_cut ({like}) PARTITION BY HASH (pipeline_id)"
    yield f"DROP TABLE {table} CASCADE"
    yield f"ALTER TABLE {table}_cut RENAME TO {table}"
    for n in range(number):
        place = f"MODULUS {number}, REMAINDER {n}"
        yield f"CREATE TABLE {table}_{n} PARTITION OF {table} FOR VALUES WITH ({place})"
