"""Jobs and folders as Jenkins lists them: what is in a folder, however deep, and each job's newest
builds, in one answer for three levels."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from runsync.errors import SourceError
from runsync.records import Problem
from runsync.sources.fields import BadRowError, Fields, describe, rows_in
from runsync.sources.jenkins.payloads import BUILD_TREE, is_job_name
from runsync.sources.jenkins.walk import JobAnswer

_LEVELS = 3
_DEEPEST = 30


Found = tuple[str | Problem, JobAnswer | None]
"""A job or folder by its full name, or what is wrong with it; None stands behind a folder."""


def items_tree(builds: str | None, *, deep: bool) -> str:
    """The ``tree`` that asks for an item: its builds of a range, and those of what is in it.

    Args:
        builds: such as ``{0,100}``; None for no builds at all.
    """
    job = "nextBuildNumber"
    if builds is not None:
        job += f",firstBuild[number],property[_class],allBuilds[{BUILD_TREE}]{builds}"
    if not deep:
        return f"{job},jobs[name]"
    inner = f"name,{job}"
    for _ in range(_LEVELS - 1):
        inner = f"name,{job},jobs[{inner}]"
    return f"nextBuildNumber,jobs[{inner}]"


def items_in(
    above: str,
    listed: object,
    as_of: datetime,
    ask: Callable[[str], tuple[object, datetime]],
    seen: set[str],
    level: int = 0,
) -> Iterator[Found]:
    """All that is in a folder, each folder before what is in it, each name once.

    Args:
        listed: what it tells as its ``jobs``.
        ask: for those of a folder that lies too deep for this answer.

    Raises:
        SourceError: it is no list, or a folder lies in itself.
    """
    what = f"folder {above!r}"
    if level > _DEEPEST:
        raise SourceError(f"{what} lies too deep; check base_url")
    for raw in rows_in(listed, f"the jobs of {what}"):
        try:
            fields = Fields(raw, f"a job in {above or 'Jenkins'}")
            name, job = _read_item(fields, above, as_of)
        except BadRowError as error:
            yield Problem(str(error), lost=False), None
            continue
        if name not in seen:
            seen.add(name)
            yield name, job
            if job is None:
                told = fields.raw
                inner, at = (told["jobs"], as_of) if "jobs" in told else ask(name)
                yield from items_in(name, inner, at, ask, seen, level + 1)


def _read_item(fields: Fields, above: str, as_of: datetime) -> tuple[str, JobAnswer | None]:
    """One entry of ``jobs``."""
    part = fields.needed_text("name")
    name = f"{above}/{part}" if above else part
    if "/" in part or not is_job_name(name):
        raise BadRowError(f"{fields.what}: {describe(part)} is no name of a job")
    return name, read_job(fields, as_of) if "nextBuildNumber" in fields.raw else None


def read_job(fields: Fields, as_of: datetime) -> JobAnswer:
    """A job with its builds of a range.

    Raises:
        BadRowError: it is not told as one.
    """
    rows, following = fields.raw.get("allBuilds", []), fields.integer("nextBuildNumber")
    if not isinstance(rows, list) or following is None:
        raise BadRowError(f"{fields.what}: its builds are {describe(rows)}")
    first = fields.child("firstBuild")
    number = first.integer("number") if first else None
    return JobAnswer(rows, number, following, as_of, is_branch_job(fields.raw))


def is_branch_job(raw: Any) -> bool:
    """Whether a job is that of a branch: one of a multibranch project's."""
    return "BranchJobProperty" in str(raw.get("property"))
