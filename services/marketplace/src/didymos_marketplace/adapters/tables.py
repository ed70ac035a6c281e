"""The tables of the market. Money is in `transfer` and `balance`: a transfer moves one amount between two accounts."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
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

OFFER: Final = Table(
    "offer", METADATA,
    Column("id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # canonical JSON with the provider's proof
    Column("covering", Integer, nullable=False),
    Column("at", Instant, nullable=False),
)  # fmt: skip
NEGOTIATION: Final = Table(
    "negotiation", METADATA,
    Column("provider_pid", Text, primary_key=True),
    Column("consumer_pid", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("offers", Integer, nullable=False),
    Column("moved_at", Instant, nullable=False),
    Column("opened_at", Instant),  # null in rows from before it was kept
    Column("terms", LargeBinary),  # canonical JSON with the proofs so far
    UniqueConstraint("buyer", "consumer_pid", name="negotiation_consumer_pid"),
)  # fmt: skip
AGREEMENT: Final = Table(
    "agreement", METADATA,
    Column("id", Text, primary_key=True),
    Column("thread", LargeBinary, nullable=False),
    Column("provider", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("rounds", Integer, nullable=False),
    Column("fee_basis_points", Integer, nullable=False),
    Column("terms", LargeBinary, nullable=False),
    Column("made_at", Instant, nullable=False),
)  # fmt: skip
TRANSFER: Final = Table(
    "transfer", METADATA,
    Column("id", Text, primary_key=True),
    Column("asset", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("minor > 0", name="transfer_positive"),
    CheckConstraint("source <> target", name="transfer_moves"),
)  # fmt: skip
BALANCE: Final = Table(
    "balance", METADATA,
    Column("asset", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    PrimaryKeyConstraint("asset", "account", name="balance_pkey"),
    CheckConstraint("minor >= 0 or account = 'outside'", name="balance_covered"),
)  # fmt: skip
SETTLEMENT: Final = Table(
    "settlement", METADATA,
    Column("agreement", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("run", Text, nullable=False),
    Column("record", LargeBinary, nullable=False),  # canonical JSON; its digest is in the ledger
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("agreement", "seq", name="settlement_pkey"),
)  # fmt: skip
LINE: Final = Table(
    "line", METADATA,
    Column("agreement", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("thread", Text, nullable=False),
    Column("twin", Text),  # null once the twin was erased
    Column("asset", Text, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("rounds", Integer, nullable=False),
    Column("transfer", Text, nullable=False),
    PrimaryKeyConstraint("agreement", "seq", "idx", name="line_pkey"),
    Index("line_twin", "twin"),
)  # fmt: skip
