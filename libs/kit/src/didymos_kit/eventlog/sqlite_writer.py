"""The one thread that writes the SQLite log: it takes all that is queued, writes it in one transaction, syncs once."""

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, NoReturn, TypeAlias, TypeVar

from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE

from didymos_kit import log
from didymos_kit.eventlog.sqlite_file import OFFSET_BITS

GROUP_RECORDS: Final = 1_000
GROUP_BYTES: Final = 4 << 20
COMPACTION_LAG_MS: Final = 3_600_000
_TRANSIENT: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM})

T = TypeVar("T")


class Row(NamedTuple):
    """A record on its way into part `part`."""

    part: int
    at_ms: int
    key: bytes
    value: bytes | None
    headers: bytes


@dataclass(slots=True)
class Append:
    """Rows of one `append`; `offsets` are theirs once `done` has a result."""

    rows: Sequence[Row]
    size: int
    done: asyncio.Future[list[int]]
    offsets: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Call(Generic[T]):
    """Anything else that writes. Its outcome may be an exception: the transaction commits all the same."""

    run: Callable[[sqlite3.Connection], T]
    done: asyncio.Future[T]
    outcome: T | None = None


Job: TypeAlias = Append | Call[Any]


def end_process(error: BaseException) -> NoReturn:
    """After a failed write or sync nobody knows what is on the disk: only a restart reads it afresh."""
    log.get().critical("log.write_failed", error=type(error).__name__, said=str(error)[:200])
    os._exit(1)


class WriterThread:
    """Serves jobs in order. `appended` runs on the loop with the new `next` of each part, before futures resolve."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        compacted: dict[int, int],
        appended: Callable[[dict[int, int]], None],
    ) -> None:
        self._connection, self._loop, self._appended = connection, loop, appended
        self._compacted = compacted  # part id: how long its tombstones stay, ms; grows with `ensure`
        self._next: dict[int, int] = {}
        self._queue: deque[Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """From the event loop. Raises RuntimeError after `close`."""
        with self._wake:
            if self._closing:
                raise RuntimeError("the log is closed")
            self._queue.append(job)
            self._wake.notify()

    def call(self, run: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run it in a transaction of the writer."""
        done: asyncio.Future[T] = self._loop.create_future()
        self.submit(Call(run, done))
        return done

    def close(self) -> None:
        """Write what is queued, end the thread, close the file. Blocks."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        while jobs := self._take():
            touched: dict[int, int] = {}
            try:
                self._connection.execute("begin immediate")
                self._write(jobs, touched)
                self._connection.execute("commit")
            except Exception as error:  # whoever waits for these jobs gets it
                self._undo(error)
                self._loop.call_soon_threadsafe(_refuse, jobs, _refusal(error))
            else:
                self._next.update(touched)
                self._loop.call_soon_threadsafe(self._settle, jobs, touched)

    def _take(self) -> list[Job]:
        """All that is queued, up to the bounds of a group commit; empty when closed and drained."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            jobs: list[Job] = []
            records = size = 0
            while self._queue:
                job = self._queue[0]
                if isinstance(job, Append):
                    records, size = records + len(job.rows), size + job.size
                    if jobs and (records > GROUP_RECORDS or size > GROUP_BYTES):
                        break
                jobs.append(self._queue.popleft())
            return jobs

    def _write(self, jobs: Sequence[Job], touched: dict[int, int]) -> None:
        rows: list[tuple[int, int, bytes, bytes | None, bytes]] = []
        compacted: list[tuple[int, Row]] = []
        for job in jobs:
            if isinstance(job, Call):
                job.outcome = job.run(self._connection)
                continue
            for row in job.rows:
                part = row.part
                offset = touched.get(part)
                if offset is None:
                    offset = self._next_of(part)
                touched[part] = offset + 1
                job.offsets.append(offset)
                record = part << OFFSET_BITS | offset
                rows.append((record, row.at_ms, row.key, row.value, row.headers))
                if part in self._compacted:
                    compacted.append((record, row))
        if rows:
            rows.sort(key=_by_id)  # the B-tree is walked once, part by part
            self._connection.executemany("insert into record values (?, ?, ?, ?, ?)", rows)
            moved = [(following, part) for part, following in touched.items()]
            self._connection.executemany("update part set next = ? where id = ?", moved)
        for record, row in compacted:
            self._supersede(record, row)

    def _next_of(self, part: int) -> int:
        """Known since this thread wrote it last, else from the file: no other thread writes."""
        known = self._next.get(part)
        if known is None:
            (known,) = self._connection.execute("select next from part where id = ?", (part,)).fetchone()
        return int(known)

    def _supersede(self, record: int, row: Row) -> None:
        """`record` is its key's latest; the one before is due an hour later, a tombstone when nobody needs it."""
        execute = self._connection.execute
        named = (row.part, row.key)
        before = execute("select record_id from latest where part_id = ? and key = ?", named).fetchone()
        if before is not None:
            execute("insert or ignore into due values (?, ?)", (row.at_ms + COMPACTION_LAG_MS, before[0]))
        if row.value is None:
            execute("insert or ignore into due values (?, ?)", (row.at_ms + self._compacted[row.part], record))
        execute("insert or replace into latest values (?, ?, ?)", (*named, record))

    def _undo(self, error: Exception) -> None:
        if _primary(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            end_process(error)
        if self._connection.in_transaction:
            self._connection.execute("rollback")

    def _settle(self, jobs: Sequence[Job], touched: dict[int, int]) -> None:
        if touched:
            self._appended(touched)
        for job in jobs:
            if job.done.done():  # whoever asked was cancelled
                continue
            if isinstance(job, Append):
                job.done.set_result(job.offsets)
            elif isinstance(job.outcome, Exception):
                job.done.set_exception(job.outcome)
            else:
                job.done.set_result(job.outcome)


def _by_id(row: tuple[int, int, bytes, bytes | None, bytes]) -> int:
    return row[0]


def _primary(error: Exception) -> int:
    """SQLite's primary result code; 0 for other errors."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _refusal(error: Exception) -> Exception:
    """A full disk or a busy file passes: the caller may try again. All else is a mistake of ours."""
    if _primary(error) in _TRANSIENT:
        return PLATFORM_UNAVAILABLE.problem(detail=str(error))
    return error


def _refuse(jobs: Sequence[Job], error: Exception) -> None:
    for job in jobs:
        if not job.done.done():
            job.done.set_exception(error)
