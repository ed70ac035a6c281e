"""The tables that kit keeps in the database of a service, and what is asked of the outbox. platform.md 6.

A service adds them to its own MetaData (`outbox_tables(metadata)`) and creates them in its first migration
(`create_outbox_tables()` of `revisions`). Kit itself speaks to them through the copies in this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from didymos_contracts.topics import Topic
from didymos_kit.clock import from_us, to_us
from didymos_kit.database.columns import Instant, identity_column
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.eventlog.port import Record
from sqlalchemy import (
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
    Uuid,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

SHARDS: Final = 16
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, bytes]).decode


@dataclass(frozen=True, slots=True)
class KitTables:
    """The four tables, bound to one MetaData."""

    outbox: Table
    lease: Table
    seen: Table
    idempotency: Table


def outbox_tables(metadata: MetaData) -> KitTables:
    """Add them to `metadata`."""
    return KitTables(_outbox(metadata), _lease(metadata), _seen(metadata), _idempotency(metadata))


def _outbox(metadata: MetaData) -> Table:
    """Events that are committed and not yet known to be in the log. A row leaves by delete, never by a cursor."""
    return Table(
        "outbox",
        metadata,
        identity_column(),
        Column("shard", SmallInteger, nullable=False),  # of the route: more leases than one would share the rows by it
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("route", LargeBinary, nullable=False),
        Column("value", LargeBinary),  # null: a tombstone
        Column("headers", LargeBinary, nullable=False),
        Column("at", Instant, nullable=False),
        sqlite_autoincrement=True,
    )


def _lease(metadata: MetaData) -> Table:
    """Who relays. The epoch grows with each term, so a late relay cannot delete what it no longer owns."""
    return Table(
        "outbox_lease",
        metadata,
        Column("lease", SmallInteger, primary_key=True, autoincrement=False),
        Column("owner", Uuid, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("until", Instant, nullable=False),
    )


def _seen(metadata: MetaData) -> Table:
    """Events that were handled: a repeat is dropped. Kept for 7 days."""
    return Table(
        "seen",
        metadata,
        Column("source", Text, nullable=False),
        Column("id", Uuid, nullable=False),
        Column("at", Instant, nullable=False),
        PrimaryKeyConstraint("source", "id", name="seen_pkey"),
        Index("seen_at", "at"),
    )


def _idempotency(metadata: MetaData) -> Table:
    """Answers by `Idempotency-Key`. Kept for 24 hours; `status` null: the first request is in flight."""
    return Table(
        "idempotency",
        metadata,
        Column("principal", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("body_sha256", LargeBinary, nullable=False),
        Column("status", Integer),
        Column("headers", LargeBinary),  # media type and the headers that an answer carries again
        Column("body", LargeBinary),
        Column("expires_at", Instant, nullable=False),
        PrimaryKeyConstraint("principal", "path", "key", name="idempotency_pkey"),
        Index("idempotency_expires_at", "expires_at"),
    )


TABLES: Final = outbox_tables(MetaData())
OUTBOX: Final = TABLES.outbox


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox, as the record it becomes."""

    id: int
    record: Record


async def add(connection: AsyncConnection, records: Sequence[Record]) -> list[int]:
    """Their row ids, in order. Ids grow in the order in which a key's transactions hold its row."""
    statement = insert(OUTBOX).returning(OUTBOX.c.id, sort_by_parameter_order=True)
    rows = [_row(record) for record in records]
    return [row.id for row in await connection.execute(statement, rows)]


async def oldest(connection: AsyncConnection, limit: int) -> list[Waiting]:
    rows = await connection.execute(select(OUTBOX).order_by(OUTBOX.c.id).limit(limit))
    return [
        Waiting(
            row.id,
            Record(Topic(row.topic), row.key, row.value, _decode(row.headers), to_us(row.at) // 1000, row.route),
        )
        for row in rows
    ]


async def still_waiting(connection: AsyncConnection, ids: Sequence[int]) -> bool:
    """Whether one of these rows is still there."""
    found = await connection.execute(select(OUTBOX.c.id).where(OUTBOX.c.id.in_(ids)).limit(1))
    return found.first() is not None


def _row(record: Record) -> Mapping[str, str | bytes | int | datetime | None]:
    route = record.key if record.route is None else record.route
    return {
        "shard": partition_of(route, SHARDS), "topic": record.topic, "key": record.key, "route": route,
        "value": record.value, "headers": _encode(dict(record.headers)), "at": from_us(record.at_ms * 1000),
    }  # fmt: skip
