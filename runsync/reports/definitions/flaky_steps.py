"""Steps that both passed and failed on one commit."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.query_spec import OF_TIME, keys_of_runs, keys_of_steps
from runsync.reports.report import STEP_KEYS, Column, Frames, Kind, Rate, Report, counts
from runsync.reports.section import Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate, tally

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_COMMIT = ("pipeline_id", "commit", "commit_2")
_COUNTS = ("commits", "retried_commits", "flaky_commits")
_HALF = 32
_AT_ONCE = 500_000
"""How many steps on commits are looked at together, about."""


def load(reader: "Reader", query: "Query") -> Frames:
    """The runs with their commits; and what they tried, which is the same for most of them."""
    from runsync.reports.profiles import APART, profiles_of

    runs, steps = profiles_of(
        reader, query, ["run_created_at"], ["is_failed", "was_retried"], apart="commit_hash",
        where=["in_rate"], known=["commit_hash"],
    )  # fmt: skip
    profiles, numbers = _profiles(steps, keys_of_steps(query.keys))
    kept = runs[
        [*dict.fromkeys(["pipeline_id", "run_created_at", "runs", *keys_of_runs(query.keys)])]
    ]
    commits = {name: runs[number] for name, number in zip(_COMMIT[1:], APART, strict=True)}
    of_runs = numbers[runs["profile"].to_numpy()]
    return kept.assign(**commits, profile=of_runs).reset_index(drop=True), profiles


def figures(query: "Query", runs: "pd.DataFrame", profiles: "pd.DataFrame") -> "pd.DataFrame":
    """Counts the commits that a step was tried on more than once, and its verdicts on them.

    Most commits have one run, and these say the same: they are counted by what they say.
    """
    from runsync.reports.parts import stacked

    profiles = profiles.drop_duplicates(["profile", "number"])
    own = keys_of_runs(query.keys)
    commits = Groups(runs, [*dict.fromkeys([*_COMMIT, *_lasting(own)])])
    is_alone = commits.total(runs["runs"])[commits.codes] == 1
    of_one_time = _of_one_time(commits, Groups(runs, _times_in(own)).codes)
    alone = tally(runs[is_alone], ["profile", *own], rows="commits")
    spread = runs[~of_one_time].merge(profiles, on="profile").assign(commits=1)
    spread = spread.assign(**{n: spread[n] * spread["runs"] for n in ("tries", "failed")})
    counted = [
        _judged(alone.merge(profiles, on="profile")),
        _judged(_commits(spread, query.keys)),
        *_shared(runs[of_one_time & ~is_alone], profiles, query.keys),
    ]
    return _rates(stacked([one[[*query.keys, *_COUNTS]] for one in counted]), query.keys)


def _of_one_time(commits: Groups, times: "npt.NDArray[np.int64]") -> "npt.NDArray[np.bool_]":
    """For each run whether all runs of its commit have the same weekday, hour and period."""
    is_other = times != times[commits.first][commits.codes]
    is_one: npt.NDArray[np.bool_] = commits.total(is_other) == 0
    return is_one[commits.codes]


def _shared(
    runs: "pd.DataFrame", profiles: "pd.DataFrame", keys: Sequence[str]
) -> "Iterator[pd.DataFrame]":
    """Counts the commits of these runs, whose times are all the same for one commit.

    How often each commit has each profile, times what each profile tried: of which there are
    many, so not all at once.
    """
    import pandas as pd
    from scipy.sparse import csr_array

    commits = Groups(runs, [*dict.fromkeys([*_COMMIT, *keys_of_runs(keys)])])
    known, steps = Groups(profiles, ["profile"]), Groups(profiles, keys_of_steps(keys))
    of_runs = known.keys["profile"].searchsorted(runs["profile"])
    has = csr_array(
        (runs["runs"].to_numpy(np.int64), (commits.codes, of_runs)),
        (len(commits.first), len(known.first)),
    )
    # Both numbers at once: the failures in the upper half.
    said = profiles["tries"].to_numpy(np.int64) + (profiles["failed"].to_numpy(np.int64) << _HALF)
    says = csr_array((said, (known.codes, steps.codes)), (len(known.first), len(steps.first)))
    outer = Groups(commits.keys, keys_of_runs(keys))
    sizes = np.cumsum(has @ np.diff(says.indptr))
    cuts = np.searchsorted(sizes, np.arange(_AT_ONCE, sizes.max(initial=0), _AT_ONCE)) + 1
    for begin, end in pairwise(np.unique([0, *cuts, len(sizes)]).tolist()):
        some = (has[begin:end] @ says).tocoo()
        pairs = outer.codes[begin:end][some.row] * len(steps.first) + some.col
        found, codes = np.unique(pairs, return_inverse=True)
        of_own, of_steps = np.divmod(found, len(steps.first))
        tried = {"tries": some.data & ((1 << _HALF) - 1), "failed": some.data >> _HALF}
        judged = _judged(pd.DataFrame({"group": codes, "commits": 1, **tried}))
        table = tally(judged, ["group"], _COUNTS)
        named = outer.keys.take(of_own), steps.keys.take(of_steps)
        parts = [*(one.reset_index(drop=True) for one in named), table[list(_COUNTS)]]
        yield pd.concat(parts, axis=1)


def _rates(counted: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    table = tally(counted, keys, _COUNTS)
    return table.assign(flake_rate=rate(table["flaky_commits"], table["retried_commits"]))


def _judged(commits: "pd.DataFrame") -> "pd.DataFrame":
    """With how many of each row's commits were tried more than once, and how many did both."""
    tries, failed = commits["tries"], commits["failed"]
    is_flaky = (failed > 0) & (failed < tries)
    number = commits["commits"]
    return commits.assign(retried_commits=number * (tries > 1), flaky_commits=number * is_flaky)


def _tries(steps: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """For each profile and step how often it was tried in such a run, and how often it failed.

    A run is one try of all its steps of one name, but for those that the provider has retried
    within the run: each of them is a try of its own.
    """
    of_itself = (steps["was_retried"] == 1).to_numpy()
    failed = (steps["is_failed"] == 1).to_numpy()
    columns = {
        "retried": of_itself,
        "retried_failed": of_itself & failed,
        "own": ~of_itself,
        "own_failed": ~of_itself & failed,
    }
    table = tally(steps.assign(**columns), ["profile", *keys], list(columns))
    return table[["profile", *keys]].assign(
        tries=(table["retried"] + (table["own"] > 0)).astype(np.int64),
        failed=(table["retried_failed"] + (table["own_failed"] > 0)).astype(np.int64),
    )


def _profiles(
    steps: "pd.DataFrame", keys: Sequence[str]
) -> "tuple[pd.DataFrame, npt.NDArray[np.uint64]]":
    """What runs tried, each once; and the number of each profile of the reader's.

    A number is made of what its profile says, so that it is the same in every part.
    """
    tries = _tries(steps, keys)
    rows = tries.drop(columns="profile").astype(object).to_numpy().tolist()
    begins = np.flatnonzero(np.diff(tries["profile"].to_numpy(), prepend=-1))
    ends = np.append(begins, len(rows))[1:]
    said = [rows[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    numbers = np.array(list(map(_number, said)), np.uint64)
    number = np.arange(len(rows)) - np.repeat(begins, ends - begins)
    return tries.assign(profile=np.repeat(numbers, ends - begins), number=number), numbers


def _number(said: list[list[object]]) -> int:
    """64 bits of what a profile says."""
    return int.from_bytes(blake2b(repr(said).encode(), digest_size=8).digest(), "big")


def _commits(tries: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """A row for each step on each commit: its keys, its tries, and how many of them failed.

    It belongs to the period, weekday and hour of its first run.
    """
    times = _times_in(keys)
    if times:
        tries = tries.sort_values("run_created_at", kind="stable", ignore_index=True)
    groups = Groups(tries, list(dict.fromkeys([*_lasting(keys), *_COMMIT])))
    first = {name: tries[name].iloc[groups.first].array for name in times}
    sums = {name: groups.total(tries[name]) for name in ("tries", "failed")}
    return groups.keys.assign(**first, **sums, commits=1)


def _lasting(keys: Sequence[str]) -> list[str]:
    """The keys that all tries of a step on a commit share."""
    return [key for key in keys if key not in OF_TIME]


def _times_in(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key in OF_TIME]


REPORT = Report(
    name="flaky_steps",
    command="flaky",
    title="Flaky steps",
    summary="Steps that both passed and failed on one commit.",
    about="A run's verdict on a step comes first: it failed where any step of that name failed; "
    "what the provider retried within the run is a try of its own. A commit that was tried once "
    "cannot show flakiness, and is not in the rate. Commits are counted apart for each pipeline. "
    "Over time a commit counts where its first run in the window is.",
    columns=(
        *counts(
            commits="commits on which the step passed or failed",
            retried_commits="commits on which it was tried more than once",
            flaky_commits="commits on which it did both",
        ),
        Column("flake_rate", Kind.RATE, "flaky_commits / retried_commits"),
    ),
    load=load,
    figures=figures,
    main=Rate("flake_rate", hits="flaky_commits", trials=("retried_commits",)),
    section=Section(
        panels=(
            Ranking(
                "Flake rate of the flakiest steps",
                greatest=("flaky_commits", "flake_rate"),
                note="flaky_commits",
                sum="flaky commits",
                shape="intervals",
                positive="flaky_commits",
                name="the flakiest steps",
            ),
        ),
        caption="Of commits tried more than once, with 95% intervals. {left_out} of {total} steps "
        "showed none.",
        rows=Rows(greatest=("flaky_commits", "flake_rate"), positive="flaky_commits"),
    ),
    order=70,
    keys=STEP_KEYS,
    implied=("step", "job"),
    apart=True,
    spare=("job", "commits"),
    example="--since 30d --branch main",
)
