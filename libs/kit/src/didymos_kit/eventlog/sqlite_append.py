"""The writer of the SQLite log: records become rows here, on the event loop; the writer thread numbers and stores."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
from didymos_contracts.topics import Topic

from didymos_kit.eventlog.port import FencedError, Position, Record
from didymos_kit.eventlog.records import check_sizes, partition_for
from didymos_kit.eventlog.sqlite_file import TopicInfo
from didymos_kit.eventlog.sqlite_writer import GROUP_RECORDS, Append, Row, WriterThread

_encode: Final = msgspec.msgpack.Encoder().encode


class Topics(Protocol):
    def topic(self, name: Topic) -> TopicInfo: ...


class SqliteWriter:
    """The `Writer` of the port. Appends of one writer are stored in the order in which they were called."""

    def __init__(self, topics: Topics, thread: WriterThread, holds: Callable[[], bool]) -> None:
        self._topics, self._thread, self._holds = topics, thread, holds

    async def append(self, records: Sequence[Record]) -> list[Position]:
        if not self._holds():
            raise FencedError
        check_sizes(records)
        placed = [partition_for(record, self._topics.topic(record.topic).partitions) for record in records]
        jobs = [
            self._submit(records[begin : begin + GROUP_RECORDS], placed[begin : begin + GROUP_RECORDS])
            for begin in range(0, len(records), GROUP_RECORDS)
        ]
        stored = [offset for offsets in await asyncio.gather(*jobs) for offset in offsets]
        return [
            Position(record.topic, partition, offset)
            for record, partition, offset in zip(records, placed, stored, strict=True)
        ]

    def _submit(self, records: Sequence[Record], placed: Sequence[int]) -> asyncio.Future[list[int]]:
        rows = [
            Row(
                self._topics.topic(record.topic).first_part + partition,
                record.at_ms,
                record.key,
                record.value,
                _encode(record.headers),
            )
            for record, partition in zip(records, placed, strict=True)
        ]
        size = sum(len(row.value or b"") + len(row.headers) for row in rows)
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._thread.submit(Append(rows, size, done))
        return done
