"""Refusals whose content is in quarantine, beside the tables of kit."""

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
        "refusal",
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("off", sa.BigInteger, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("batch", sa.LargeBinary, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("part", "off", "idx", name="refusal_pkey"),
        sa.UniqueConstraint("twin", "device", "batch", "idx", name="refusal_once"),
    )
    op.create_index("refusal_of_twin", "refusal", ["twin", "received_at"])
    op.create_index("refusal_received_at", "refusal", ["received_at"])
