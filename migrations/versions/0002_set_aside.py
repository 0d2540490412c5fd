"""Runs set aside by name; labels by listing; an index and a limit for the syncs that are kept.

Revision: 0002. After: 0001.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "set_aside",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("pipeline_id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("listing", "pipeline_id", "run_id", name="pk_set_aside"),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["pipelines.id"], name="fk_set_aside_pipeline_id_pipelines"
        ),
    )
    op.add_column("listing_pipelines", sa.Column("label", sa.Text))
    op.create_index(
        "ix_syncs_listing_outcome_started_at", "syncs", ["listing", "outcome", "started_at"]
    )
    prune_syncs(datetime.now(UTC) - timedelta(days=30))


def prune_syncs(before: datetime) -> None:
    """Keeps of older syncs the last of each listing, day and outcome."""
    if op.get_context().dialect.name == "postgresql":
        day = "CAST(started_at AT TIME ZONE 'UTC' AS date)"
    else:
        day = "substr(started_at, 1, 10)"
    op.execute(
        f"DELETE FROM syncs WHERE started_at < '{before:%Y-%m-%d}T00:00:00.000000Z' "
        f"AND id NOT IN (SELECT max(id) FROM syncs GROUP BY listing, {day}, outcome)"
    )


def downgrade() -> None:
    op.drop_index("ix_syncs_listing_outcome_started_at", "syncs")
    op.drop_column("listing_pipelines", "label")
    op.drop_table("set_aside")
