"""The tables of identity: one database for who may what, one for keys, with backups of its own."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

METADATA: Final = MetaData()
outbox_tables(METADATA)

TWINS: Final = Table(
    "twin",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Index("twin_owner", "owner"),
)
DEVICES: Final = Table(
    "device",
    METADATA,
    Column("id", Text, nullable=False),
    Column("twin", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("paths", JSON, nullable=False),
    Column("max_rate", Integer, nullable=False),
    Column("profile", Text, nullable=False),
    Column("aliases", JSON, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("lost_since", Instant),
    PrimaryKeyConstraint("id", "twin", name="device_pkey"),
)
GRANTS: Final = Table(
    "consent_grant",  # GRANT is a word of SQL
    METADATA,
    Column("id", Text, primary_key=True),
    Column("twin", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("grantee", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("valid_until", Instant, nullable=False),
    Column("record", LargeBinary, nullable=False),  # ConsentChanged as it was published last
    Column("credential", LargeBinary, nullable=False),  # as received
    Column("registered_at", Instant, nullable=False),
    Index("consent_grant_twin", "twin", "id"),
    Index("consent_grant_owner", "owner", "id"),
    Index("consent_grant_grantee", "grantee", "id"),
    Index("consent_grant_over", "state", "valid_until"),
)
SUBJECTS: Final = Table(
    "subject",
    METADATA,
    Column("did", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
TOKEN_KEYS: Final = Table(
    "token_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("multikey", Text, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
)

VAULT: Final = MetaData()
KEKS: Final = Table(
    "kek",
    VAULT,
    Column("twin", Text, primary_key=True),
    Column("generation", SmallInteger, nullable=False),  # of the master key that wraps it
    Column("wrapped", LargeBinary),  # null: destroyed, and remembered by name
    Column("destroyed_at", Instant),
)
EPOCH_KEYS: Final = Table(
    "epoch_key",
    VAULT,
    Column("twin", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    PrimaryKeyConstraint("twin", "epoch", name="epoch_key_pkey"),
)
