"""An index from which the state of each branch at any time is read, without all of its runs.

Revision: 0005. After: 0004.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_runs_verdicts ON runs "
        "(pipeline_id, branch, result, coalesce(finished_at, created_at)) "
        "WHERE status = 'finished' AND result IN ('passed', 'failed')"
    )


def downgrade() -> None:
    op.drop_index("ix_runs_verdicts", "runs")
