"""The tables of this service. `migrations` makes them."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import Column, Float, Index, LargeBinary, MetaData, Table, Text

METADATA: Final = MetaData()
KIT: Final = outbox_tables(METADATA)
STEWARDS: Final = Table(
    "steward",
    METADATA,
    Column("twin", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("low", Float, nullable=False),
    Column("high", Float, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("appointed_at", Instant, nullable=False),
)
ACTS: Final = Table(
    "act",
    METADATA,
    Column("id", LargeBinary, primary_key=True),  # of the command
    Column("twin", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("unit", Text, nullable=False),
    Column("before", Float),
    Column("reason", Text, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("undone_by", LargeBinary, nullable=False),
    Index("act_twin_at", "twin", "at"),
    Index("act_grant_at", "grant_id", "at"),
)
