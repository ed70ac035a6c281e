"""Series, rollups, the mark of parcels that are folded into them, and what twins are searched by."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _sealed() -> list[sa.Column[Any]]:
    return [
        sa.Column("key_epoch", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    ]


def upgrade() -> None:
    fresh = sa.text("not folded")
    op.add_column("reading_parcel", sa.Column("folded", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "reading_parcel_fresh", "reading_parcel", ["part", "twin", "t_min_us"],
        sqlite_where=fresh, postgresql_where=fresh,
    )  # fmt: skip
    folded = sa.text("folded")
    op.create_index("reading_parcel_age", "reading_parcel", ["key_epoch"], sqlite_where=folded, postgresql_where=folded)
    op.create_table(
        "series",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("property", sa.Text, nullable=False),
        sa.Column("bucket_us", sa.BigInteger, nullable=False),
        sa.Column("t_min_us", sa.BigInteger, nullable=False),
        sa.Column("t_max_us", sa.BigInteger, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        *_sealed(),
        sa.PrimaryKeyConstraint("twin", "property", "bucket_us", name="series_pkey"),
    )
    op.create_index("series_age", "series", ["key_epoch"])
    op.create_table(
        "rollup",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("property", sa.Text, nullable=False),
        sa.Column("step_us", sa.BigInteger, nullable=False),
        sa.Column("bucket_us", sa.BigInteger, nullable=False),
        *_sealed(),
        sa.PrimaryKeyConstraint("twin", "property", "step_us", "bucket_us", name="rollup_pkey"),
    )
    op.create_index("rollup_age", "rollup", ["step_us", "key_epoch"])
    op.add_column("twin", sa.Column("keep_days", sa.Integer, nullable=False, server_default="0"))
    shortened = sa.text("keep_days > 0")
    op.create_index("twin_keep", "twin", ["id"], sqlite_where=shortened, postgresql_where=shortened)
    op.add_column("twin", sa.Column("place", sa.Text, nullable=False, server_default=""))
    op.add_column("twin", sa.Column("cell", sa.BigInteger, nullable=True))
    op.add_column("twin", sa.Column("lon", sa.Double, nullable=True))
    op.add_column("twin", sa.Column("lat", sa.Double, nullable=True))
    op.create_index("twin_profile", "twin", ["profile", "id"])
    op.create_index("twin_cell", "twin", ["cell"])
    op.create_table(
        "twin_attribute",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.Double, nullable=True),
        sa.Column("text", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("twin", "name", name="twin_attribute_pkey"),
    )
    op.create_index("twin_attribute_number", "twin_attribute", ["name", "number"])
    op.create_index("twin_attribute_text", "twin_attribute", ["name", "text"])
