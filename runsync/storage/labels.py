"""What commands call the stored pipelines."""

from sqlalchemy import Connection, select

from runsync.storage.pipelines import labelled
from runsync.storage.tables import pipelines


def labels_by_id(connection: Connection) -> dict[int, str]:
    """What each stored pipeline is called, by its number; no two the same."""
    p = pipelines.c
    rows = connection.execute(select(p.id, p.source, p.external_id, p.name)).all()
    named = labelled((row.id, row.source, row.external_id, row.name) for row in rows)
    return {one.id: one.label for one in named}
