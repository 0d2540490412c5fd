"""What started a run, what people call it, how it ended, where it ran, and the page that shows it.

Revision: 0003. After: 0002.

Rows that are already stored get what can be known from them: from results and the providers' own
words, ids, addresses, and what stands in ``extra``. The shape of ``extra`` and ``url`` shows which
provider a row is from. Each table is rewritten once; nothing is taken out of ``extra``.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

COLUMNS = {
    "pipelines": ("default_branch",),
    "runs": ("number", "event", "outcome", "web_url"),
    "steps": ("runner", "outcome"),
}


def upgrade() -> None:
    views = definitions_of_views()
    if not is_postgresql():  # which replaces views in place, with their grants and their users
        drop_views()
    for table, names in COLUMNS.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text))
    fill("runs", of_runs())
    fill("steps", of_steps())
    fill_buildbot_runners()
    fill_github_runners()
    fill_gitlab_outcomes()
    create_views(new=True)
    if not is_postgresql():
        create_again(views)


def downgrade() -> None:
    views = definitions_of_views()
    drop_views()
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
    create_views(new=False)
    create_again(views)


def is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


# What old rows tell.

EVENTS_OF_GITHUB = {
    "pull_request_target": "pull_request",
    "workflow_dispatch": "manual",
    "repository_dispatch": "api",
    "workflow_run": "upstream",
}
EVENTS_OF_GITLAB = {
    "merge_request_event": "pull_request",
    "external_pull_request_event": "pull_request",
    "web": "manual",
    "trigger": "api",
    "pipeline": "upstream",
    "parent_pipeline": "upstream",
}
ERRORS_OF_GITLAB = (
    "api_failure runner_system_failure runner_unsupported stale_schedule unmet_prerequisites "
    "scheduler_failure data_integrity_failure no_matching_runner ci_quota_exceeded "
    "environment_creation_failure secrets_provider_not_found runner_configuration_error "
    "runner_external_dependency_failure runner_interrupted runner_provisioning_timeout "
    "job_router_failure no_updates_running no_updates_canceling"
).split()
TIMEOUTS_OF_GITLAB = (
    "stuck_or_timeout_failure job_execution_timeout job_execution_server_timeout "
    "server_timeout_running server_timeout_canceling stuck_pending_with_matching_runners "
    "stuck_pending_no_matching_runners"
).split()
OUTCOMES = {
    "passed": "success",
    "failed": "failure",
    "aborted": "cancellation",
    "skipped": "skip",
}


def of_runs() -> dict[str, str]:
    """The new columns of runs, as expressions over the old ones."""
    github = f"({told('run_number')} IS NOT NULL AND url LIKE '%/actions/runs/%')"
    gitlab = f"{told('iid')} IS NOT NULL"
    buildbot = f"{told('buildrequestid')} IS NOT NULL"
    path = "'/api/v3/runs/' || id"
    return {
        "number": f"CAST(CASE WHEN {github} THEN {told('run_number')} "
        f"WHEN {gitlab} THEN {told('iid')} WHEN {buildbot} THEN {told('number')} END AS text)",
        "event": f"CASE WHEN {github} THEN {mapped(told('event'), EVENTS_OF_GITHUB)} "
        f"WHEN {gitlab} THEN {mapped(told('source'), EVENTS_OF_GITLAB)} "
        f"WHEN {buildbot} THEN CASE WHEN CAST({told('waited_for')} AS text) IN ('1', 'true') "
        f"THEN 'upstream' WHEN message IS NOT NULL THEN 'manual' ELSE {told('scheduler')} END "
        "WHEN source_run_id IS NOT NULL THEN 'upstream' "
        f"WHEN {told('pullRequest')} IS NOT NULL THEN 'pull_request' END",
        "outcome": outcome(f"WHEN result = 'failed' AND {told('yaml_errors')} IS NOT NULL "
                           "THEN 'error'"),
        "web_url": f"CASE WHEN {github} OR {buildbot} THEN url "
        f"WHEN {gitlab} AND url LIKE 'http%://%/-/pipelines/' || id THEN url "
        f"WHEN url LIKE 'http%://%' || {path} "
        f"THEN substr(url, 1, length(url) - length({path})) || '/#build/' || id END",
    }  # fmt: skip


def of_steps() -> dict[str, str]:
    """The new columns of steps; the runners of two providers take other rows, and come later."""
    kind = (
        "jsonb_typeof(extra -> 'runner') = 'string'"
        if is_postgresql()
        else "json_type(extra, '$.runner') = 'text'"
    )
    reason = told("failure_reason")
    return {
        "runner": f"CASE WHEN {kind} THEN {told('runner')} END",
        "outcome": outcome(
            f"WHEN result = 'failed' AND {reason} IN {words(ERRORS_OF_GITLAB)} THEN 'error' "
            f"WHEN result = 'failed' AND {reason} IN {words(TIMEOUTS_OF_GITLAB)} THEN 'timeout'"
        ),
    }


def outcome(more: str) -> str:
    """The outcome by the provider's word where that tells more than the result."""
    return (
        "CASE WHEN status <> 'finished' THEN NULL "
        "WHEN result = 'failed' AND raw_result IN ('startup_failure', 'exception') THEN 'error' "
        "WHEN result = 'aborted' AND raw_result = 'retry' THEN 'error' "
        "WHEN result = 'failed' AND raw_result = 'timed_out' THEN 'timeout' "
        "WHEN result = 'aborted' AND raw_result = 'stale' THEN 'timeout' "
        f"{more} ELSE {mapped('result', OUTCOMES, 'NULL')} END"
    )


def fill_buildbot_runners() -> None:
    """A build's steps run on the build's worker."""
    worker = told("workername", "runs.extra")
    if exists(f"SELECT 1 FROM runs WHERE {worker} IS NOT NULL"):
        op.execute(
            f"UPDATE steps SET runner = {worker} FROM runs WHERE runs.pipeline_id = "
            f"steps.pipeline_id AND runs.id = steps.run_id AND {worker} IS NOT NULL"
        )


def fill_github_runners() -> None:
    """A job's labels, or else its runner's name, stand at its first step."""
    if is_postgresql():
        has_job, job = "jsonb_typeof(extra -> 'job') = 'object'", "split_part({}.id, '.', 1)"
        labels = (
            "(SELECT string_agg(value, ',' ORDER BY place) FROM jsonb_array_elements_text("
            "CASE WHEN jsonb_typeof(extra -> 'job' -> 'labels') = 'array' "
            "THEN extra -> 'job' -> 'labels' END) WITH ORDINALITY AS t(value, place))"
        )
        name, number = "extra -> 'job' ->> 'runner_name'", "extra -> 'job' ->> 'runner_id'"
    else:
        has_job = "json_type(extra, '$.job') = 'object'"
        job = "substr({0}.id, 1, instr({0}.id || '.', '.') - 1)"
        labels = "(SELECT group_concat(value, ',') FROM json_each(extra, '$.job.labels'))"
        name, number = (
            f"json_extract(extra, '$.job.{key}')" for key in ("runner_name", "runner_id")
        )
    op.execute(
        "CREATE TEMPORARY TABLE new_runners AS SELECT pipeline_id, run_id, "
        f"{job.format('steps')} AS job_id, coalesce(nullif({labels}, ''), {name}) AS runner "
        f"FROM steps WHERE {has_job} AND (phase IS NULL "
        f"OR coalesce(CAST({number} AS text), '0') <> '0')"
    )
    if exists("SELECT 1 FROM new_runners"):
        op.execute("CREATE INDEX ix_new_runners ON new_runners (pipeline_id, run_id, job_id)")
        op.execute(
            "UPDATE steps SET runner = n.runner FROM new_runners AS n "
            "WHERE n.pipeline_id = steps.pipeline_id AND n.run_id = steps.run_id "
            f"AND n.job_id = {job.format('steps')}"
        )
    op.execute("DROP TABLE new_runners")


def fill_gitlab_outcomes() -> None:
    """A run failed by the CI's fault where all jobs that decided it did."""
    retried, allowed = told("retried", "s.extra"), told("allow_failure", "s.extra")
    deciding = (
        "SELECT 1 FROM steps AS s WHERE s.pipeline_id = runs.pipeline_id AND s.run_id = runs.id "
        f"AND s.result = 'failed' AND {retried} IS NULL AND {allowed} IS NULL"
    )
    op.execute(
        f"UPDATE runs SET outcome = CASE WHEN EXISTS ({deciding} AND s.outcome = 'error') "
        "THEN 'error' ELSE 'timeout' END "
        f"WHERE outcome = 'failure' AND {told('iid')} IS NOT NULL AND EXISTS ({deciding}) "
        f"AND NOT EXISTS ({deciding} AND s.outcome = 'failure')"
    )


def told(key: str, extra: str = "extra") -> str:
    """A value that stands in ``extra``."""
    return f"({extra} ->> '{key}')" if is_postgresql() else f"json_extract({extra}, '$.{key}')"


def mapped(value: str, by: dict[str, str], other: str | None = None) -> str:
    """A word by a table of words; one that is not in it is ``other``, or stays as it is."""
    cases = " ".join(f"WHEN '{word}' THEN '{ours}'" for word, ours in by.items())
    return f"CASE {value} {cases} ELSE {other or value} END"


def words(of: list[str]) -> str:
    return "({})".format(", ".join(f"'{word}'" for word in of))


def exists(query: str) -> bool:
    return op.get_bind().execute(sa.text(f"{query} LIMIT 1")).first() is not None


def fill(table: str, values: dict[str, str]) -> None:
    """Sets columns of all rows. PostgreSQL writes a new table rather than a new version of each
    row, which would double the table."""
    if is_postgresql():
        changes = (f"ALTER COLUMN {n} TYPE text USING {value}" for n, value in values.items())
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    else:
        op.execute(f"UPDATE {table} SET " + ", ".join(f"{n} = {v}" for n, v in values.items()))


# The views. New columns stand last, so that PostgreSQL replaces the views in place.

VIEWS = ("v_runs", "v_steps", "v_daily_pass_rates", "v_step_durations", "v_daily_aborts")

V_RUNS = """
SELECT
    p.source, p.name AS pipeline,
    r.pipeline_id, r.id, r.attempt, r.branch, r.commit_hash, r.message, r.author, r.author_id,
    r.status, r.result, r.raw_status, r.raw_result, r.progress, r.created_at, r.started_at,
    r.finished_at, r.queued_ms, r.duration_ms, r.source_run_id, r.url, r.extra, r.steps_synced_at,
    r.settled, r.first_seen_at, r.last_seen_at, r.vanished_at,
    CAST(r.queued_ms AS double precision) / 1000 AS queued_s,
    CAST(r.duration_ms AS double precision) / 1000 AS duration_s,
    CASE WHEN r.status = 'finished' THEN 1 ELSE 0 END AS is_finished,
    CASE WHEN r.status = 'finished' AND r.result = 'passed' THEN 1 ELSE 0 END AS is_passed,
    CASE WHEN r.status = 'finished' AND r.result = 'failed' THEN 1 ELSE 0 END AS is_failed,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' THEN 1 ELSE 0 END AS is_aborted,
    CASE WHEN r.status = 'finished' AND r.result = 'skipped' THEN 1 ELSE 0 END AS is_skipped,
    CASE WHEN r.status = 'finished' AND r.result IN ('passed', 'failed') THEN 1 ELSE 0 END
        AS in_rate,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' AND r.started_at IS NULL
        THEN 1 ELSE 0 END AS never_started{new}
FROM runs AS r
LEFT JOIN pipelines AS p ON p.id = r.pipeline_id
"""
NEW_IN_RUNS = """,
    r.number, r.event, r.outcome, r.web_url,
    CASE WHEN r.status = 'finished' AND r.outcome = 'error' THEN 1 ELSE 0 END AS is_error"""

V_STEPS = """
SELECT
    p.source, p.name AS pipeline,
    s.pipeline_id, s.run_id, s.id, s.position, s.job, s.name, s.phase, s.status, s.result,
    s.raw_status, s.raw_result, s.created_at, s.started_at, s.finished_at, s.duration_ms,
    s.log_url, s.artifacts_url, s.extra,
    r.branch, r.commit_hash, r.author,
    r.created_at AS run_created_at,
    r.result AS run_result,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' THEN 1 ELSE 0 END AS run_is_aborted,
    CASE WHEN s.started_at >= s.created_at THEN {waited} END AS queued_s,
    CAST(s.duration_ms AS double precision) / 1000 AS duration_s,
    CASE WHEN s.status = 'finished' THEN 1 ELSE 0 END AS is_finished,
    CASE WHEN s.status = 'finished' AND s.result = 'passed' THEN 1 ELSE 0 END AS is_passed,
    CASE WHEN s.status = 'finished' AND s.result = 'failed' THEN 1 ELSE 0 END AS is_failed,
    CASE WHEN s.status = 'finished' AND s.result IN ('passed', 'failed') THEN 1 ELSE 0 END
        AS in_rate,
    CASE WHEN s.status = 'finished' AND s.result <> 'skipped' AND s.duration_ms IS NOT NULL
        THEN 1 ELSE 0 END AS ran{new}
FROM steps AS s
LEFT JOIN runs AS r ON r.pipeline_id = s.pipeline_id AND r.id = s.run_id
LEFT JOIN pipelines AS p ON p.id = s.pipeline_id
"""
NEW_IN_STEPS = """,
    s.runner, s.outcome, r.event, r.number, r.web_url, r.outcome AS run_outcome,
    CASE WHEN s.status = 'finished' AND s.outcome = 'error' THEN 1 ELSE 0 END AS is_error"""


def create_views(*, new: bool) -> None:
    create = "CREATE OR REPLACE VIEW" if is_postgresql() else "CREATE VIEW"
    waited = (
        "CAST(EXTRACT(EPOCH FROM s.started_at - s.created_at) AS double precision)"
        if is_postgresql()
        else "ROUND((julianday(s.started_at) - julianday(s.created_at)) * 86400, 3)"
    )
    op.execute(f"{create} v_runs AS" + V_RUNS.format(new=NEW_IN_RUNS if new else ""))
    steps = V_STEPS.format(waited=waited, new=NEW_IN_STEPS if new else "")
    op.execute(f"{create} v_steps AS" + steps)


def definitions_of_views() -> dict[str, str]:
    """The statements that create the views that are made of the first two."""
    return dict(zip(VIEWS[2:], map(definition, VIEWS[2:]), strict=True))


def definition(view: str) -> str:
    if is_postgresql():
        query = f"SELECT 'CREATE VIEW {view} AS ' || pg_get_viewdef('{view}'::regclass)"
    else:
        query = f"SELECT sql FROM sqlite_master WHERE name = '{view}'"
    found: str = op.get_bind().exec_driver_sql(query).scalar_one()
    return found


def drop_views() -> None:
    for view in reversed(VIEWS):
        op.execute(f"DROP VIEW {view}")


def create_again(views: dict[str, str]) -> None:
    for statement in views.values():  # as they are: a colon or a percent sign is no parameter
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
