"""By what GitHub is asked whether a run has changed: ETags, and what a listing said of it.

An answer of 304 costs none of the rate limit.
"""

import json
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import Self

from runsync.records import Pipeline, Run


@dataclass(frozen=True, slots=True)
class RunETags:
    """What came with a run.

    Attributes:
        row: a digest of what GitHub said of the run itself, in a listing or by its id.
        jobs: the ETag of its jobs.
        run: the ETag of the run itself; None where it was only listed.
    """

    row: str
    jobs: str
    run: str | None

    @classmethod
    def of(cls, run: Run, etag: str | None, jobs: str) -> Self:
        """That of a run as it was read, without the times that only its jobs tell."""
        return cls(_digest(run), jobs, etag)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what ``str`` has written."""
        return cls(*json.loads(text))

    def __str__(self) -> str:
        return json.dumps(astuple(self))

    def is_of(self, run: Run) -> bool:
        """Whether the run itself is as it was."""
        return _digest(run) == self.row


def _digest(run: Run) -> str:
    """A listing tells more of the pipeline than is known where a run is asked for by its id."""
    text = repr(replace(run, pipeline=Pipeline(run.pipeline.external_id)))
    return sha256(text.encode()).hexdigest()[:32]
