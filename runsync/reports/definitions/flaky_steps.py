"""Steps that both passed and failed on one commit."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from runsync.reports.report import STEP_KEYS, Column, Frames, Kind, Rate, Report, counts
from runsync.reports.section import Ranking, Rows, Section
from runsync.reports.statistics import Groups, rate, tally
from runsync.reports.verdicts import RUN

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from runsync.reports.load import Reader
    from runsync.reports.query_spec import Query

_OF_TIME = ("weekday", "hour", "period")
_COLUMNS = (*RUN, "commit_hash", "run_created_at", "is_failed", "was_retried")
_COMMIT = ("pipeline_id", "commit", "commit_2")
_HASH_KEYS = ("runsync commit 1", "runsync commit 2")
_COUNTS = ("commits", "retried_commits", "flaky_commits")


def load(reader: "Reader", query: "Query") -> Frames:
    """The runs with their commits; and what they tried, which is the same for most of them."""
    steps = reader.steps(query, _COLUMNS, where=["in_rate"], known=["commit_hash"])
    groups, runs = Groups(steps, _lasting(query.keys)), Groups(steps, RUN)
    profiles, of_runs = _profiles(groups, _tries(steps, runs, groups))
    first = steps.iloc[runs.first]
    kept = first[["pipeline_id", "run_created_at", *_times_in(query.keys)]]
    commits = dict(zip(_COMMIT[1:], _hashes(first["commit_hash"]), strict=True))
    return kept.assign(**commits, profile=of_runs).reset_index(drop=True), profiles


def figures(query: "Query", runs: "pd.DataFrame", profiles: "pd.DataFrame") -> "pd.DataFrame":
    """Counts the commits that a step was tried on more than once, and its verdicts on them.

    Most commits have one run, and these say the same: they are counted by what they say.
    """
    from runsync.reports.parts import stacked

    profiles = profiles.drop_duplicates(["profile", "number"])
    of_commits = Groups(runs, _COMMIT)
    is_alone = of_commits.total()[of_commits.codes] == 1
    times = _times_in(query.keys)
    alone = tally(runs[is_alone], ["profile", *times], rows="commits")
    shared = runs[~is_alone].merge(profiles, on="profile").assign(commits=1)
    both = [_judged(alone.merge(profiles, on="profile")), _judged(_commits(shared, query.keys))]
    return _rates(stacked([one[[*query.keys, *_COUNTS]] for one in both]), query.keys)


def _rates(counted: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    table = tally(counted, keys, _COUNTS)
    return table.assign(flake_rate=rate(table["flaky_commits"], table["retried_commits"]))


def _judged(commits: "pd.DataFrame") -> "pd.DataFrame":
    """With how many of each row's commits were tried more than once, and how many did both."""
    tries, failed = commits["tries"], commits["failed"]
    is_flaky = (failed > 0) & (failed < tries)
    number = commits["commits"]
    return commits.assign(retried_commits=number * (tries > 1), flaky_commits=number * is_flaky)


def _tries(steps: "pd.DataFrame", runs: Groups, groups: Groups) -> "pd.DataFrame":
    """For each run and group of steps how often they were tried in it, and how often it failed.

    A run is one try of all its steps of one name, but for those that the provider has retried
    within the run: each of them is a try of its own.
    """
    import pandas as pd

    cells = pd.DataFrame({"run": runs.codes, "group": groups.codes})
    of_itself = (steps["was_retried"] == 1).to_numpy()
    failed = (steps["is_failed"] == 1).to_numpy()
    columns = {
        "retried": of_itself,
        "retried_failed": of_itself & failed,
        "own": ~of_itself,
        "own_failed": ~of_itself & failed,
    }
    table = tally(cells.assign(**columns), ["run", "group"], list(columns))
    return table[["run", "group"]].assign(
        tries=table["retried"] + (table["own"] > 0),
        failed=table["retried_failed"] + (table["own_failed"] > 0),
    )


def _profiles(
    groups: Groups, tries: "pd.DataFrame"
) -> "tuple[pd.DataFrame, npt.NDArray[np.uint64]]":
    """What runs tried, each once; and for each run which of them it did.

    A profile's number is made of what it says, so that it is the same in every part.
    """
    from runsync.reports.parts import stacked

    rows = tries[["group", "tries", "failed"]].to_numpy(np.int32)
    ends = np.flatnonzero(np.diff(tries["run"].to_numpy(), append=-1)) + 1
    begins = np.concatenate([[0], ends])[:-1].astype(np.int64)
    names = [repr(row) for row in groups.keys.astype(object).to_numpy().tolist()]
    known: dict[bytes, int] = {}
    told: list[pd.DataFrame] = []
    of_runs = np.empty(len(ends), np.uint64)
    for n, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        said = rows[begin:end].tobytes()
        if said not in known:
            words = [(names[g], t, f) for g, t, f in rows[begin:end].tolist()]
            digest = blake2b(repr(words).encode(), digest_size=8).digest()
            known[said] = int.from_bytes(digest, "big")
            own = groups.keys.iloc[rows[begin:end, 0]].reset_index(drop=True)
            told.append(
                own.assign(
                    profile=np.uint64(known[said]),
                    number=np.arange(end - begin),
                    tries=rows[begin:end, 1],
                    failed=rows[begin:end, 2],
                )
            )
        of_runs[n] = known[said]
    if not told:
        empty = groups.keys.assign(number=0, tries=0, failed=0)
        return empty.assign(profile=np.empty(0, np.uint64)), of_runs
    return stacked(told), of_runs


def _hashes(words: "pd.Series") -> "list[npt.NDArray[np.uint64]]":
    """128 bits for each word, in place of 40 letters and more."""
    import pandas as pd

    texts = np.asarray(words.cat.categories, dtype=object)
    of_texts = (pd.util.hash_array(texts, hash_key=key, categorize=False) for key in _HASH_KEYS)
    return [found[words.cat.codes.to_numpy()] for found in of_texts]


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
    return [key for key in keys if key not in _OF_TIME]


def _times_in(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key in _OF_TIME]


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
    spare=("job", "commits"),
    example="--since 30d --branch main",
)
