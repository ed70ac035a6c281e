"""The erasable store beside the log: records and salts, sealed. Deleted content is overwritten on disk."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()
KIT: Final = outbox_tables(METADATA)

HOLDER: Final = Table(
    "holder", METADATA,
    Column("holder", Text, primary_key=True),  # a keyed hash: who it was cannot be read after an erasure
    Column("wrapped", LargeBinary),  # null: destroyed for good
    Column("at", Instant, nullable=False),
)  # fmt: skip
RECORD: Final = Table(
    "record", METADATA,
    Column("event_id", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("thread", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # salt and canonical record
    Column("holder", Text, nullable=False),
    Column("owner", Text),
    Column("agreement", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("place", BigInteger),  # index of the entry, once known
    Column("at", Instant, nullable=False),
    UniqueConstraint("kind", "subject", name="record_subject"),
    Index("record_thread", "thread"),
    Index("record_run", "run", "round"),
    Index("record_holder", "holder"),
)  # fmt: skip
PAYOUT: Final = Table(
    "payout", METADATA,
    Column("transfer", Text, primary_key=True),
    Column("agreement", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("thread", LargeBinary, nullable=False),
    Column("asset", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Index("payout_settlement", "agreement", "seq"),
)  # fmt: skip
PARTY: Final = Table(
    "party", METADATA,
    Column("agreement", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    PrimaryKeyConstraint("agreement", name="party_pkey"),
)  # fmt: skip
