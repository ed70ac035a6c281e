"""The one table of ingestion: refusals whose content is kept, sealed, in `didymos.quarantine.v1`."""

import sqlalchemy as sa
from didymos_kit.database.columns import Instant

METADATA = sa.MetaData()

REFUSAL = sa.Table(
    "refusal",
    METADATA,
    sa.Column("part", sa.Integer, primary_key=True),  # of the record that holds the content
    sa.Column("off", sa.BigInteger, primary_key=True),
    sa.Column("idx", sa.Integer, primary_key=True),  # running index in the batch of the first reading it concerns
    sa.Column("readings", sa.Integer, nullable=False),
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("batch", sa.LargeBinary, nullable=False),  # digest
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("released", sa.Boolean, nullable=False),
    sa.UniqueConstraint("twin", "device", "batch", "idx", name="refusal_once"),
)
