"""Notes."""

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
        "note",
        sa.Column("twin", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written_at", Instant, nullable=False),
    )
