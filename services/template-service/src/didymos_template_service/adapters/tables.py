"""The tables of this service. `migrations` makes them."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import Column, MetaData, Table, Text

METADATA: Final = MetaData()
KIT: Final = outbox_tables(METADATA)
NOTES: Final = Table(
    "note",
    METADATA,
    Column("twin", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
)
