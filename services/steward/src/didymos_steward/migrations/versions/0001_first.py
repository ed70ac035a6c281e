"""Stewards and their acts."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant
from didymos_kit.database.revisions import create_outbox_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox_tables()
    op.create_table(
        "steward",
        sa.Column("twin", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("property", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("low", sa.Float, nullable=False),
        sa.Column("high", sa.Float, nullable=False),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("appointed_at", Instant, nullable=False),
    )
    op.create_table(
        "act",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("property", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("before", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("undone_by", sa.LargeBinary, nullable=False),
    )
    op.create_index("act_twin_at", "act", ["twin", "at"])
    op.create_index("act_grant_at", "act", ["grant_id", "at"])
