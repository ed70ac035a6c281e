"""`state.db`: what a log must remember beside its tiles. SQLite, one writer thread, synchronous=FULL."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from didymos_contracts.errors.ledger import LEDGER_FENCED
from didymos_provenance import Hash, parse_checkpoint, parse_note

from didymos_ledger.application.ports import Agreed, Head
from didymos_ledger.domain.batch import SourceCursor

_SCHEMA: Final = """
create table if not exists signed(size integer primary key, root blob not null, note text not null) strict;
create table if not exists seen(
    event_id blob primary key, idx integer not null, at integer not null, leaf blob not null) strict, without rowid;
create index if not exists seen_at on seen(at);
create table if not exists cursor(
    topic text, part integer, next integer not null, primary key (topic, part)) strict, without rowid;
create table if not exists witness(name text primary key, size integer not null) strict, without rowid;
create table if not exists agreed(
    size integer primary key, note text not null, strength text not null, at integer not null) strict;
create table if not exists epoch(id integer primary key check (id = 1), epoch integer not null) strict;
"""


class Seen(NamedTuple):
    """An appended event: where its entry is, the time in it (UTC seconds) and its leaf hash."""

    event_id: bytes
    place: int  # index of its entry
    at: int
    leaf: Hash


class StateDb:
    """Used by one thread at a time. Each change checks the epoch: a writer that was replaced raises LEDGER_FENCED."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma busy_timeout = 5000")
        self._db.executescript(_SCHEMA)
        self.epoch = self._take_epoch()

    def close(self) -> None:
        self._db.close()

    def head(self) -> Head | None:
        """The newest signed checkpoint."""
        row = self._db.execute("select note from signed order by size desc limit 1").fetchone()
        if row is None:
            return None
        note = parse_note(row[0])
        return Head(parse_checkpoint(note.text), note)

    def publish(self, head: Head, seen: Iterable[Seen], cursors: Iterable[SourceCursor]) -> None:
        """One transaction: the signed row, and what the frames below it said. One root per size, ever."""
        rows = [tuple(one) for one in seen]
        places = [(one.topic, one.partition, one.next_offset) for one in cursors]
        checkpoint = head.checkpoint
        with self._transaction() as db:
            db.execute("insert into signed values (?, ?, ?)", (checkpoint.size, checkpoint.root, head.note.encode()))
            db.executemany("insert or replace into seen values (?, ?, ?, ?)", rows)
            db.executemany("insert or replace into cursor values (?, ?, ?)", places)

    def seen(self, event_ids: Sequence[bytes]) -> dict[bytes, Seen]:
        """Those of at most 1,024 events that were appended within the time kept."""
        marks = ",".join("?" * len(event_ids))
        rows = self._db.execute(f"select event_id, idx, at, leaf from seen where event_id in ({marks})", event_ids)  # noqa: S608 - question marks only
        return {row[0]: Seen(*row) for row in rows}

    def forget_seen(self, before: int) -> None:
        """Events older than `before`, UTC seconds, may come again as new ones."""
        with self._transaction() as db:
            db.execute("delete from seen where at < ?", (before,))

    def cursors(self) -> dict[tuple[str, int], int]:
        return {(topic, part): following for topic, part, following in self._db.execute("select * from cursor")}

    def witness_sizes(self) -> dict[str, int]:
        return dict(self._db.execute("select name, size from witness").fetchall())

    def remember(self, sizes: Mapping[str, int], agreed: Agreed | None) -> None:
        """New sizes of witnesses and the newest agreed checkpoint; the ones before it are in the tiles' history."""
        with self._transaction() as db:
            db.executemany("insert or replace into witness values (?, ?)", list(sizes.items()))
            if agreed is not None:
                row = (agreed.checkpoint.size, agreed.note.encode(), agreed.strength, agreed.at)
                db.execute("insert or replace into agreed values (?, ?, ?, ?)", row)
                db.execute("delete from agreed where size < ?", (agreed.checkpoint.size,))

    def agreed(self) -> Agreed | None:
        row = self._db.execute("select note, strength, at from agreed order by size desc limit 1").fetchone()
        if row is None:
            return None
        note = parse_note(row[0])
        return Agreed(parse_checkpoint(note.text), note, row[1], row[2])

    def _take_epoch(self) -> int:
        self._db.execute("begin immediate")
        self._db.execute("insert into epoch values (1, 1) on conflict (id) do update set epoch = epoch + 1")
        epoch: int = self._db.execute("select epoch from epoch").fetchone()[0]
        self._db.execute("commit")
        return epoch

    def _transaction(self) -> "_Fenced":
        return _Fenced(self._db, self.epoch)


class _Fenced:
    """BEGIN IMMEDIATE, the epoch check, then COMMIT, or ROLLBACK on an error."""

    def __init__(self, db: sqlite3.Connection, epoch: int) -> None:
        self._db, self._epoch = db, epoch

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("begin immediate")
        current = self._db.execute("select epoch from epoch").fetchone()[0]
        if current != self._epoch:
            self._db.execute("rollback")
            raise LEDGER_FENCED.problem(epoch=self._epoch, current=current)
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._db.execute("commit" if kind is None else "rollback")
