"""Records, their keys, payouts and parties.

Revision ID: 0001
"""

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
        "holder",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "record",
        sa.Column("event_id", sa.LargeBinary, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("thread", "commitment", "facts", "sealed")),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("place", sa.BigInteger),
        sa.Column("at", Instant, nullable=False),
        sa.UniqueConstraint("kind", "subject", name="record_subject"),
    )
    op.create_index("record_thread", "record", ["thread"])
    op.create_index("record_run", "record", ["run", "round"])
    op.create_index("record_holder", "record", ["holder"])
    op.create_table(
        "payout",
        sa.Column("transfer", sa.Text, primary_key=True),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("thread", sa.LargeBinary, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("minor", sa.BigInteger, nullable=False),
    )
    op.create_index("payout_settlement", "payout", ["agreement", "seq"])
    op.create_table(
        "party",
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("buyer", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("agreement", name="party_pkey"),
    )
