"""What sources say alike of a run by its steps."""

from collections.abc import Collection, Iterable
from datetime import datetime

from runsync.records import Outcome, Problem, Result, Run, RunWithSteps, Status, Step

_NOT_DECISIVE = frozenset({"retried", "soft_failed", "allow_failure"})


def without_steps(run: Run, as_of: datetime, what: str) -> RunWithSteps:
    """A run whose steps are not found, though the provider still knows it: that proves nothing.

    Args:
        what: what is not found, with its verb: ``its jobs are``.
    """
    problem = Problem(f"run {run.id}: {what} not found, though the run is there")
    return RunWithSteps(run, (), as_of, (problem,), steps_read=False)


def outcome_by_steps(outcome: Outcome | None, steps: Iterable[Step]) -> Outcome | None:
    """The outcome of a run whose failure has no reason of its own: the CI's fault where all steps
    that decided it were.

    Steps with ``retried``, ``soft_failed`` or ``allow_failure`` in ``extra`` decide nothing.
    """
    deciding = {step.outcome for step in steps if not _NOT_DECISIVE & step.extra.keys()}
    if outcome is not Outcome.FAILURE or Outcome.FAILURE in deciding:
        return outcome
    faults = (Outcome.ERROR, Outcome.TIMEOUT)
    return next((fault for fault in faults if fault in deciding), outcome)


def unended(run: Run, steps: Iterable[Step], what: str) -> tuple[Problem, ...]:
    """What is wrong where a run has passed or failed and none of its steps has ended: they were
    told before its end, or those that have ended are missing.

    Args:
        what: what a step is called.
    """
    has_ended = any(step.status is Status.FINISHED for step in steps)
    if has_ended or run.outcome not in (Outcome.SUCCESS, Outcome.FAILURE):
        return ()
    return (Problem(f"run {run.id}: it has ended, and no {what} is shown that did so"),)


def without_jobs(run: Run, listed: int) -> tuple[Problem, ...]:
    """What is wrong where a run has passed and none of its jobs is listed, of which there are some.

    Args:
        listed: how many are.
    """
    if listed or run.result is not Result.PASSED:
        return ()
    return (Problem(f"run {run.id}: it passed, but no job of it is listed"),)


def not_shown(
    run: Run, named: Iterable[str], shown: Collection[str], what: str
) -> tuple[Problem, ...]:
    """What is wrong where a run is over and its steps name others that are not shown: the answer
    was cut.

    Args:
        named: the ids that steps name, such as those on which they wait.
        shown: the ids of all that is shown.
        what: what one of them is called.
    """
    missing = sorted({*named}.difference(shown)) if run.status is Status.FINISHED else []
    return tuple(Problem(f"run {run.id}: {what} {one} is not shown") for one in missing)
