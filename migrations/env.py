"""Runs the revisions, over the connection that ``runsync db upgrade`` hands in or over a URL.

Each upgrade is one transaction, on SQLite as on PostgreSQL: it is done whole or not at all.
"""

from alembic import context
from sqlalchemy import Connection, create_engine, event


def run_over(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=None, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def url() -> str:
    typed: str | None = context.get_x_argument(as_dictionary=True).get("url")
    configured: str | None = context.config.get_main_option("sqlalchemy.url")
    return typed or configured or "sqlite:///runsync.db"


def run_over_url() -> None:
    engine = create_engine(url())
    if engine.dialect.name == "sqlite":
        # Left alone, the driver commits before each DDL statement and a failure leaves half.
        event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE") and None)
    with engine.begin() as connection:
        run_over(connection)


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    context.configure(url=url(), literal_binds=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
elif given is not None:
    run_over(given)
else:
    run_over_url()
