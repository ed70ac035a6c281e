"""Offers, negotiations, agreements, the book, settlements.

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
    _terms()
    _book()
    _settlements()


def _terms() -> None:
    op.create_table(
        "offer",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("covering", sa.Integer, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "negotiation",
        sa.Column("provider_pid", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("consumer_pid", "agreement", "offer", "provider")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("buyer", "asset")),
        sa.Column("minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("offers", sa.Integer, nullable=False),
        sa.Column("moved_at", Instant, nullable=False),
        sa.Column("terms", sa.LargeBinary),
        sa.UniqueConstraint("buyer", "consumer_pid", name="negotiation_consumer_pid"),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("thread", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("provider", "buyer", "offer", "asset")),
        sa.Column("minor", sa.BigInteger, nullable=False),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("fee_basis_points", sa.Integer, nullable=False),
        sa.Column("terms", sa.LargeBinary, nullable=False),
        sa.Column("made_at", Instant, nullable=False),
    )


def _book() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("asset", "source", "target")),
        sa.Column("minor", sa.BigInteger, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.CheckConstraint("minor > 0", name="transfer_positive"),
        sa.CheckConstraint("source <> target", name="transfer_moves"),
    )
    op.create_table(
        "balance",
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("asset", "account", name="balance_pkey"),
        sa.CheckConstraint("minor >= 0 or account = 'outside'", name="balance_covered"),
    )


def _settlements() -> None:
    op.create_table(
        "settlement",
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("agreement", "seq", name="settlement_pkey"),
    )
    op.create_table(
        "line",
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("thread", sa.Text, nullable=False),
        sa.Column("twin", sa.Text),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("minor", sa.BigInteger, nullable=False),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("transfer", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("agreement", "seq", "idx", name="line_pkey"),
    )
    op.create_index("line_twin", "line", ["twin"])
