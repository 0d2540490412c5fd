"""What sources say alike of a run by its steps."""

from collections.abc import Iterable
from datetime import datetime

from runsync.records import Outcome, Problem, Run, RunWithSteps, Step

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
