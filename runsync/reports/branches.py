"""The branches that a query names: of which runs, and whether there is any."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import sqlalchemy as sa

from runsync.errors import ConfigError
from runsync.reports.query_spec import DEFAULT_BRANCH
from runsync.text import did_you_mean


def is_on(
    view: sa.Table,
    branches: Sequence[str],
    default_branches: Callable[[], Mapping[int, str | None]],
) -> sa.ColumnElement[bool]:
    """Whether a run is on one of the branches, or on its pipeline's default one.

    Args:
        default_branches: gives each pipeline's; asked only where it is needed.
    """
    is_named = sa.func.coalesce(view.c.branch, "").in_(branches)
    if DEFAULT_BRANCH not in branches:
        return is_named
    ids: dict[str, list[int]] = defaultdict(list)
    for pipeline_id, name in default_branches().items():
        if name is not None:
            ids[name].append(pipeline_id)
    is_default = ((view.c.branch == n) & view.c.pipeline_id.in_(ids[n]) for n in ids)
    return sa.or_(is_named, *is_default)


def check_known(wanted: Collection[str], known: Collection[str]) -> None:
    """Refuses branches on which there is no run.

    Args:
        known: those on which there is one; "" stands for none.

    Raises:
        ConfigError: naming the first that is not known.
    """
    for name in sorted(set(wanted) - set(known)):
        mend = did_you_mean(name, sorted(set(known) - {""}))
        if name == DEFAULT_BRANCH:
            mend = ", and no pipeline's default branch is known; name a branch"
        raise ConfigError(f"there is no run on the branch {name!r}{mend}")
