"""Which months share a file.

Readers are slowed by many small files, and a change writes a file anew. So a month's pipelines
share one, a big one has its own, and a year that is over and has few runs is one file in all.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from runsync.archive.manifest import MonthKey

_YEAR_RUNS = 50_000
_OWN_RUNS = 20_000
_PIPELINES_TOGETHER = 100


def packed(runs: Mapping[MonthKey, int]) -> dict[str, list[MonthKey]]:
    """The months of each file, in the order of their rows, by the beginning of its stem.

    Args:
        runs: of every month how many runs it has.
    """
    of_year: dict[str, int] = defaultdict(int)
    for (_, month), number in runs.items():
        of_year[month[:4]] += number
    newest = max((month for _, month in runs), default="")
    small = {
        year
        for year, number in of_year.items()
        if number <= _YEAR_RUNS and newest >= f"{int(year) + 1:04}-02"
    }
    files: dict[str, list[MonthKey]] = defaultdict(list)
    for key, number in sorted(runs.items()):
        files[_file_of(key, number, small)].append(key)
    return dict(files)


def stem(begin: str, revision: str, versions: Iterable[tuple[MonthKey, str]]) -> str:
    """A file's name: no two contents have the same one."""
    content = repr((revision, [(*key, version) for key, version in versions]))
    return f"{begin}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def _file_of(key: MonthKey, runs: int, small_years: set[str]) -> str:
    pipeline_id, month = key
    if month[:4] in small_years:
        return month[:4]
    if runs >= _OWN_RUNS:
        return f"{month}-p{pipeline_id}"
    return f"{month}-{pipeline_id // _PIPELINES_TOGETHER}"
