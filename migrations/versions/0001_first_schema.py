"""The first schema: pipelines, runs, steps, coverage, syncs, and the views.

Revision: 0001. After: none.
A revision imports nothing of runsync: it must mean tomorrow what it means today.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
OBJECT = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    create_pipelines()
    create_runs()
    create_steps()
    create_bookkeeping()
    create_views(postgresql=op.get_context().dialect.name == "postgresql")


def downgrade() -> None:
    for view in ("v_daily_aborts", "v_step_durations", "v_daily_pass_rates", "v_steps", "v_runs"):
        op.execute(f"DROP VIEW {view}")
    for table in (
        "syncs",
        "coverage",
        "steps",
        "runs",
        "listing_pipelines",
        "listings",
        "pipelines",
    ):
        op.drop_table(table)


def create_pipelines() -> None:
    op.create_table(
        "pipelines",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("created_at", TIME),
        sa.Column("extra", OBJECT),
        sa.PrimaryKeyConstraint("id", name="pk_pipelines"),
    )
    op.create_index(
        "uq_pipelines_source_external_id", "pipelines", ["source", "external_id"], unique=True
    )
    op.create_table(
        "listings",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("memory", OBJECT, nullable=False),
        sa.PrimaryKeyConstraint("listing", name="pk_listings"),
    )
    op.create_table(
        "listing_pipelines",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("pipeline_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("listing", "pipeline_id", name="pk_listing_pipelines"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["pipelines.id"],
            name="fk_listing_pipelines_pipeline_id_pipelines",
        ),
    )


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("pipeline_id", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("branch", sa.Text),
        sa.Column("commit_hash", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("author", sa.Text),
        sa.Column("author_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("raw_status", sa.Text),
        sa.Column("raw_result", sa.Text),
        sa.Column("progress", sa.Integer),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("queued_ms", sa.BigInteger),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("source_run_id", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("extra", OBJECT),
        sa.Column("steps_synced_at", TIME),
        sa.Column("settled", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("vanished_at", TIME),
        sa.PrimaryKeyConstraint("pipeline_id", "id", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name="fk_runs_pipeline_id_pipelines"
        ),
    )
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_index(
        "ix_runs_unsettled",
        "runs",
        ["pipeline_id", "id"],
        sqlite_where=sa.text("NOT settled"),
        postgresql_where=sa.text("NOT settled"),
    )


def create_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("pipeline_id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("job", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("phase", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("raw_status", sa.Text),
        sa.Column("raw_result", sa.Text),
        sa.Column("created_at", TIME),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("log_url", sa.Text),
        sa.Column("artifacts_url", sa.Text),
        sa.Column("extra", OBJECT),
        sa.PrimaryKeyConstraint("pipeline_id", "run_id", "id", name="pk_steps"),
        sa.ForeignKeyConstraint(
            ["pipeline_id", "run_id"],
            ["runs.pipeline_id", "runs.id"],
            name="fk_steps_pipeline_id_run_id_runs",
        ),
        sqlite_with_rowid=False,
    )


def create_bookkeeping() -> None:
    op.create_table(
        "coverage",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("newest_created_at", TIME, nullable=False),
        sa.Column("newest_run_id", sa.Text, nullable=False),
        sa.Column("oldest_created_at", TIME, nullable=False),
        sa.Column("oldest_run_id", sa.Text, nullable=False),
        sa.Column("reaches_start", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint(
            "listing", "newest_created_at", "newest_run_id", name="pk_coverage"
        ),
    )
    op.create_table(
        "syncs",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("runs_new", sa.Integer, nullable=False),
        sa.Column("runs_updated", sa.Integer, nullable=False),
        sa.Column("steps_written", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_syncs"),
    )
    op.create_index("ix_syncs_listing_started_at", "syncs", ["listing", "started_at"])


def create_views(*, postgresql: bool) -> None:
    day = "CAST(created_at AT TIME ZONE 'UTC' AS date)" if postgresql else "date(created_at)"
    waited = (
        "CAST(EXTRACT(EPOCH FROM s.started_at - s.created_at) AS double precision)"
        if postgresql
        else "ROUND((julianday(s.started_at) - julianday(s.created_at)) * 86400, 3)"
    )
    op.execute(V_RUNS)
    op.execute(V_STEPS.format(waited=waited))
    op.execute(V_DAILY_RATES.format(day=day))
    op.execute(V_STEP_DURATIONS)
    op.execute(V_DAILY_ABORTS.format(day=day))


# The joins are LEFT although none of them can miss (the foreign keys see to that): a query that
# uses nothing of the run or the pipeline is then spared the join, by SQLite and PostgreSQL alike.
V_RUNS = """
CREATE VIEW v_runs AS
SELECT
    p.source, p.name AS pipeline, r.*,
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
        THEN 1 ELSE 0 END AS never_started
FROM runs AS r
LEFT JOIN pipelines AS p ON p.id = r.pipeline_id
"""

V_STEPS = """
CREATE VIEW v_steps AS
SELECT
    p.source, p.name AS pipeline, s.*,
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
        THEN 1 ELSE 0 END AS ran
FROM steps AS s
LEFT JOIN runs AS r ON r.pipeline_id = s.pipeline_id AND r.id = s.run_id
LEFT JOIN pipelines AS p ON p.id = s.pipeline_id
"""

# Two pipelines may bear one name; they are counted apart.
V_DAILY_RATES = """
CREATE VIEW v_daily_pass_rates AS
SELECT
    source, pipeline, pipeline_id, {day} AS day,
    SUM(is_finished) AS finished,
    SUM(is_passed) AS passed,
    SUM(is_failed) AS failed,
    SUM(is_aborted) AS aborted,
    SUM(is_skipped) AS skipped,
    SUM(is_finished - in_rate - is_aborted - is_skipped) AS unknown,
    CAST(SUM(is_passed) AS double precision) / NULLIF(SUM(in_rate), 0) AS pass_rate
FROM v_runs
WHERE is_finished = 1
GROUP BY source, pipeline, pipeline_id, {day}
"""

# Quantiles are linear between ranks, in whole numbers: a rank is (n - 1) * percent / 100.
V_STEP_DURATIONS = """
CREATE VIEW v_step_durations AS
WITH ranked AS (
    SELECT
        source, pipeline, pipeline_id, job, name AS step, duration_ms AS ms,
        ROW_NUMBER() OVER same - 1 AS rank_,
        LEAD(duration_ms) OVER same AS next_ms,
        COUNT(*) OVER (PARTITION BY pipeline_id, job, name) - 1 AS top
    FROM v_steps
    WHERE ran = 1
    WINDOW same AS (PARTITION BY pipeline_id, job, name ORDER BY duration_ms)
),
placed AS (
    SELECT
        source, pipeline, pipeline_id, job, step, ms,
        CASE WHEN rank_ = top * 50 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 50 % 100) / 100.0) END AS p50,
        CASE WHEN rank_ = top * 90 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 90 % 100) / 100.0) END AS p90,
        CASE WHEN rank_ = top * 95 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 95 % 100) / 100.0) END AS p95
    FROM ranked
)
SELECT
    source, pipeline, pipeline_id, job, step,
    COUNT(*) AS count,
    CAST(AVG(ms) / 1000.0 AS double precision) AS mean_s,
    CAST(MAX(p50) / 1000.0 AS double precision) AS p50_s,
    CAST(MAX(p90) / 1000.0 AS double precision) AS p90_s,
    CAST(MAX(p95) / 1000.0 AS double precision) AS p95_s,
    CAST(MAX(ms) / 1000.0 AS double precision) AS max_s,
    CAST(SUM(ms) / 1000.0 AS double precision) AS total_s
FROM placed
GROUP BY source, pipeline, pipeline_id, job, step
"""

V_DAILY_ABORTS = """
CREATE VIEW v_daily_aborts AS
SELECT
    source, pipeline, pipeline_id, {day} AS day,
    SUM(is_finished) AS finished,
    SUM(is_aborted) AS aborted,
    SUM(never_started) AS never_started,
    CAST(SUM(is_aborted) AS double precision) / SUM(is_finished) AS abort_rate
FROM v_runs
WHERE is_finished = 1
GROUP BY source, pipeline, pipeline_id, {day}
"""
