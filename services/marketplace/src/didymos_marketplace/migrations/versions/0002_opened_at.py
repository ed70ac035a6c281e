"""When a negotiation was opened: after 14 days it can only be ended.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("negotiation", sa.Column("opened_at", Instant))
