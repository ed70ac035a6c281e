"""Twins, devices, grants, subjects, token keys, and kit's tables."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant
from didymos_kit.database.revisions import create_outbox_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_outbox_tables()
    op.create_table(
        "twin",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("registered_at", Instant, nullable=False),
    )
    op.create_index("twin_owner", "twin", ["owner"])
    op.create_table(
        "device",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("paths", sa.JSON, nullable=False),
        sa.Column("max_rate", sa.Integer, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("valid_from", Instant, nullable=False),
        sa.Column("valid_until", Instant, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("lost_since", Instant),
        sa.PrimaryKeyConstraint("id", "twin", name="device_pkey"),
    )
    op.create_table(
        "consent_grant",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("grantee", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("valid_until", Instant, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.Column("credential", sa.LargeBinary, nullable=False),
        sa.Column("registered_at", Instant, nullable=False),
    )
    op.create_index("consent_grant_twin", "consent_grant", ["twin", "id"])
    op.create_index("consent_grant_owner", "consent_grant", ["owner", "id"])
    op.create_index("consent_grant_grantee", "consent_grant", ["grantee", "id"])
    op.create_index("consent_grant_over", "consent_grant", ["state", "valid_until"])
    op.create_table(
        "subject",
        sa.Column("did", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "token_key",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("multikey", sa.Text, nullable=False),
        sa.Column("not_before", Instant, nullable=False),
        sa.Column("not_after", Instant, nullable=False),
    )
