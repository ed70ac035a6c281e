"""What a device signed and nobody acknowledged yet, in one SQLite file. Nothing is sent that is not in it."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_TABLES: Final = """
create table if not exists stream (one integer primary key check (one = 1), kid text, stream integer, number integer,
    previous blob);
create table if not exists batch (stream integer, number integer, body blob, code text not null default '',
    primary key (stream, number));
"""


class OutboxError(Exception):
    """The outbox is full, or another process has it."""


class Stream(NamedTuple):
    """Where a device stands: the number of its next batch, and the digest of the one before."""

    stream: int
    number: int
    previous: bytes


class Batch(NamedTuple):
    """A signed batch: `body` is what is sent, now and each time again."""

    stream: int
    number: int
    body: bytes


class Outbox:
    """One process has it at a time: two would sign different batches under one number. Threads may share it."""

    def __init__(self, path: Path, kid: str, new_stream: int, limit_bytes: int) -> None:
        """Go on where the file ends. Without it, or if it is damaged, or another key wrote it: `new_stream` begins.

        Raises OutboxError while another process has it.
        """
        self._lock, self._limit, self._kid = threading.Lock(), limit_bytes, kid
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._sql = _opened(path)
        except sqlite3.OperationalError as error:
            raise OutboxError(f"{path}: {error}") from error
        except sqlite3.DatabaseError:  # no database any more: it is set aside, perhaps somebody can read it
            path.replace(path.with_suffix(".damaged"))
            for left in ("-wal", "-shm"):
                path.with_name(path.name + left).unlink(missing_ok=True)
            self._sql = _opened(path)
        found = self._run("select kid, stream, number, previous from stream")
        same = bool(found) and found[0][0] == kid
        self.stream = Stream(*found[0][1:]) if same else Stream(max([new_stream, *(x[1] + 1 for x in found)]), 1, b"")

    def put(self, batches: Sequence[Batch], digest: bytes) -> None:
        """All of them, on the disk, and the number that follows; or none. `digest`: of the last.

        Raises OutboxError when it is full.
        """
        used = self._run("select coalesce(sum(length(body)), 0) from batch")[0][0]
        if used + sum(len(each.body) for each in batches) > self._limit:
            raise OutboxError(f"{used} bytes wait to be sent, the limit is {self._limit}")
        following = Stream(batches[-1].stream, batches[-1].number + 1, digest)
        with self._lock, self._sql:
            self._sql.executemany("insert into batch (stream, number, body) values (?, ?, ?)", batches)
            self._sql.execute("replace into stream values (1, ?, ?, ?, ?)", (self._kid, *following))
        self.stream = following

    def first(self) -> Batch | None:
        """The oldest that waits; None if none does."""
        found = self._run("select stream, number, body from batch where code = '' order by stream, number limit 1")
        return Batch(*found[0]) if found else None

    def waiting(self) -> int:
        return int(self._run("select count(*) from batch where code = ''")[0][0])

    def done(self, batch: Batch) -> None:
        """It was acknowledged."""
        self._run("delete from batch where stream = ? and number = ?", *batch[:2])

    def refused(self, batch: Batch, code: str) -> None:
        """It was refused as a whole. It is kept, and not sent again by itself."""
        self._run("update batch set code = ? where stream = ? and number = ?", code, *batch[:2])

    def retry(self) -> None:
        """What was refused waits again, the same bytes."""
        self._run("update batch set code = ''")

    def forget(self) -> None:
        """Give up what was refused."""
        self._run("delete from batch where code <> ''")

    def close(self) -> None:
        self._sql.close()

    def _run(self, query: str, *values: object) -> list[Any]:
        with self._lock, self._sql:
            return self._sql.execute(query, values).fetchall()


def _opened(path: Path) -> sqlite3.Connection:
    """Exclusive until it is closed or its process ends; a commit is on the disk before it returns."""
    sql = sqlite3.connect(path, timeout=0.5, check_same_thread=False)
    try:
        for pragma in ("locking_mode = exclusive", "journal_mode = wal", "synchronous = full"):
            sql.execute(f"pragma {pragma}")
        sql.executescript(f"begin immediate; {_TABLES} commit;")
    except sqlite3.Error:
        sql.close()
        raise
    return sql
