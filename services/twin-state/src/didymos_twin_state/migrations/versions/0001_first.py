"""Checkpoints, snapshots, parcels, projections, and what was used under grants."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _parcels(name: str) -> None:
    op.create_table(
        name,
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("source_offset", sa.BigInteger, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("t_min_us", sa.BigInteger, nullable=False),
        sa.Column("t_max_us", sa.BigInteger, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("key_epoch", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("part", "source_offset", "idx", name=f"{name}_pkey"),
    )


def upgrade() -> None:
    op.create_table(
        "partition_checkpoint",
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("readings", sa.BigInteger, nullable=False),
        sa.Column("writes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "twin_snapshot",
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("key_epoch", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("part", "twin", name="twin_snapshot_pkey"),
    )
    _parcels("reading_parcel")
    _parcels("held_parcel")
    op.create_index("reading_parcel_twin", "reading_parcel", ["twin", "t_min_us"])
    op.create_table(
        "twin",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("lifecycle", sa.SmallInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("span_max_us", sa.BigInteger, nullable=False),
    )
    op.create_index("twin_owner", "twin", ["owner", "id"])
    op.create_table(
        "relation",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("source", "name", "target", name="relation_pkey"),
    )
    op.create_index("relation_target", "relation", ["target"])
    op.create_table(
        "grant_command",
        sa.Column("command_id", sa.LargeBinary, primary_key=True),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_index("grant_command_grant", "grant_command", ["grant_id", "at_us"])
    op.create_table(
        "grant_read",
        sa.Column("grant_id", sa.Text, primary_key=True),
        sa.Column("reads", sa.BigInteger, nullable=False),
    )
