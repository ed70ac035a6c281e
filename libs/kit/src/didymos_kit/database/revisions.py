"""The tables of kit as steps of a migration. A step is never changed once a release had it: a later one follows."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant, identity_column


def create_outbox_tables() -> None:
    """`outbox`, `outbox_lease`, `seen`, `idempotency`: for the first migration of a service that has a database."""
    op.create_table(
        "outbox",
        identity_column(),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("route", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox_lease",
        sa.Column("lease", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Uuid, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("until", Instant, nullable=False),
    )
    op.create_table(
        "seen",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="seen_pkey"),
    )
    op.create_index("seen_at", "seen", ["at"])
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("body_sha256", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.LargeBinary),
        sa.Column("body", sa.LargeBinary),
        sa.Column("expires_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("principal", "path", "key", name="idempotency_pkey"),
    )
    op.create_index("idempotency_expires_at", "idempotency", ["expires_at"])
