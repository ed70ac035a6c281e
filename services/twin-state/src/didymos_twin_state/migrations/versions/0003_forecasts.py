"""The last forecast of each property, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("property", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("horizon_us", sa.BigInteger, nullable=False),
        sa.Column("made_at_us", sa.BigInteger, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("key_epoch", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("twin", "property", name="forecast_pkey"),
    )
    op.create_index("forecast_age", "forecast", ["key_epoch"])
