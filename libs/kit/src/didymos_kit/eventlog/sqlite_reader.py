"""Reads of the SQLite log: whole result sets on threads of their own, so no open cursor pins the write-ahead log."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
from didymos_contracts.topics import Topic

from didymos_kit.eventlog.port import Part, Stored
from didymos_kit.eventlog.sqlite_file import OFFSET_BITS, OFFSETS, connect

THREADS: Final = 2
_SELECT: Final = "select id, at_ms, key, value, headers from record where id >= ? and id < ? order by id limit ?"
_HEADERS: Final = msgspec.msgpack.Decoder(dict[str, bytes])

T = TypeVar("T")


class Wanted(NamedTuple):
    """Offsets [begin, end) of a part."""

    part: Part
    part_id: int
    begin: int
    end: int


class Found(NamedTuple):
    """Records of a part, and the offset that the next read begins at."""

    part: Part
    records: Sequence[Stored]
    following: int


class Reader:
    """A few threads, a connection each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="log-reader")
        self._mine = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: query(self._connection()))

    async def records(self, wanted: Sequence[Wanted], limit: int) -> list[Found]:
        """At most `limit` records, from the first parts first; parts beyond the limit are left out."""
        return await self.run(lambda connection: _fetch(connection, wanted, limit))

    def close(self) -> None:
        """Blocks until running reads end."""
        self._pool.shutdown()
        for connection in self._opened:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if found is None:
            found = connect(self._path)
            self._mine.connection = found
            self._opened.append(found)
        return found


def _fetch(connection: sqlite3.Connection, wanted: Iterable[Wanted], limit: int) -> list[Found]:
    found: list[Found] = []
    for part, part_id, begin, end in wanted:
        if limit <= 0:
            break
        base = part_id << OFFSET_BITS
        rows = connection.execute(_SELECT, (base + begin, base + end, limit)).fetchall()
        records = [_stored(part.topic, part.partition, *row) for row in rows]
        following = records[-1].offset + 1 if len(rows) == limit else end
        found.append(Found(part, records, following))
        limit -= len(records)
    return found


def _stored(
    topic: Topic, partition: int, record_id: int, at_ms: int, key: bytes, value: bytes | None, headers: bytes
) -> Stored:
    return Stored(topic, key, value, _HEADERS.decode(headers), at_ms, partition, record_id & OFFSETS)
