"""Profiles that were published, whose names they are, and the outbox that tells of them."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.revisions import create_outbox_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox_tables()
    op.create_table(
        "profile_name",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("signer", sa.Text, nullable=False),
    )
    op.create_table(
        "profile",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("published_at_us", sa.BigInteger, nullable=False),
    )
