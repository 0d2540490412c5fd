"""What a provider tells of pipelines beside their runs, against what is stored of them."""

from runsync.records import Pipeline
from runsync.sources.base import REMEMBERED_NAMES
from runsync.storage.audit import AuditStore
from runsync.storage.database import Database
from runsync.storage.store import Batch, ListingStore
from runsync.sync.pipeline_audit import PipelineAudit


def test_what_differs_is_told_by_the_newest_run_that_knows_it(sqlite: Database) -> None:
    stored = [Pipeline(id, "stored", default_branch="main") for id in ("p", "q", "same", "quiet")]
    ListingStore(sqlite, "ci", "ci/labelled", "mine").save(Batch(pipelines=[Pipeline("l", "mine")]))
    store = AuditStore(sqlite, "ci", "ci/all")
    store.save(Batch(pipelines=stored))
    store.save_memory(dict.fromkeys(REMEMBERED_NAMES, "old") | {"page": 7})
    audit = PipelineAudit(store)
    for told in (  # the newest first
        Pipeline("p", "ci.yml", named_by_run=True),
        Pipeline("p", "new"),
        Pipeline("q", "stored"),
        Pipeline("p", "older", default_branch="trunk"),
        Pipeline("p", "oldest", default_branch="master"),
        Pipeline("q", "older", default_branch="trunk"),
        Pipeline("same", "stored", default_branch="main"),
        Pipeline("same", "ci.yml", named_by_run=True),
        Pipeline("l", "theirs"),
        Pipeline("quiet", "ci.yml", named_by_run=True),
        Pipeline("not stored", "any"),
    ):
        audit.note(told)
    found = list(audit.differing())
    assert [(one.external_id, one.name, one.default_branch, names) for one, names in found] == [
        ("p", "new", "trunk", ("name", "default_branch")),
        ("q", "stored", "trunk", ("default_branch",)),
    ]
    for one, _ in found:
        audit.mend(one)
    assert list(audit.differing()) == []
    assert store.memory() == {"page": 7}
