"""Events that were handled, so that a repeat has no effect. platform.md 6."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from didymos_kit.database.outbox import TABLES
from didymos_kit.eventlog import envelope
from didymos_kit.eventlog.port import Stored
from sqlalchemy import Table, delete
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

SEEN: Final = TABLES.seen
KEPT: Final = timedelta(days=7)
_OTHER_IDS: Final = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")  # the OID name space of RFC 9562


async def first_time(connection: AsyncConnection, record: Stored, at: datetime) -> bool:
    """Note the event in this transaction; False if it was noted before. Raises EnvelopeError."""
    source, event_id = envelope.event_id(record.headers)
    row = {"source": source, "id": _uuid(event_id), "at": at}
    return await insert_missing(connection, SEEN, [row]) == 1


async def forget_seen(connection: AsyncConnection, now: datetime) -> int:
    """Drop what is older than any repeat can be; how many."""
    return (await connection.execute(delete(SEEN).where(SEEN.c.at < now - KEPT))).rowcount


async def insert_missing(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key is not there yet; how many that were."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    keys = list(table.primary_key.columns)
    statement = insert(table).values(list(rows)).on_conflict_do_nothing().returning(*keys)
    return len((await connection.execute(statement)).all())


def _uuid(event_id: str) -> UUID:
    """Ids of the outbox are UUIDs; others (`digest:partition`) become one."""
    try:
        return UUID(event_id)
    except ValueError:
        return uuid5(_OTHER_IDS, event_id)
