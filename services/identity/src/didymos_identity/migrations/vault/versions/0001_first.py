"""Keys of twins, and of their epochs, wrapped."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "kek",
        sa.Column("twin", sa.Text, primary_key=True),
        sa.Column("generation", sa.SmallInteger, nullable=False),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("destroyed_at", Instant),
    )
    op.create_table(
        "epoch_key",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("twin", "epoch", name="epoch_key_pkey"),
    )
