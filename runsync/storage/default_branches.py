"""The default branch of each stored pipeline, also where its provider tells none."""

from sqlalchemy import Connection, func, select

from runsync.storage.tables import pipelines, runs

USUAL_NAMES = ("main", "master", "trunk", "default")


def default_branches(connection: Connection) -> dict[int, str | None]:
    """Each pipeline's default branch, by the pipeline's number.

    Where the provider tells none it is that of main, master, trunk and default on which the
    pipeline ran last; None where it ran on none of them.
    """
    p, r = pipelines.c, runs.c
    query = select(p.id, p.default_branch)
    found: dict[int, str | None] = {id: name for id, name in connection.execute(query)}  # noqa: C416
    untold = [number for number, name in found.items() if name is None]
    if not untold:
        return found
    last = (
        select(r.pipeline_id, r.branch)
        .where(r.pipeline_id.in_(untold), r.branch.in_(USUAL_NAMES))
        .group_by(r.pipeline_id, r.branch)
        .order_by(func.max(r.created_at), r.branch)
    )
    for number, branch in connection.execute(last):  # the last of a pipeline stays
        found[number] = branch
    return found
