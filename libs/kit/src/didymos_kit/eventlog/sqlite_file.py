"""The file of the SQLite log: its schema, how it is opened, and what makes it refuse. platform.md section 7."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_FOLDER_LOCKED
from didymos_contracts.topics import Topic

APPLICATION_ID: Final = 0x44494459  # "DIDY"
VERSION: Final = 1
OFFSET_BITS: Final = 40  # record id = part id * 2^40 + offset: one B-tree holds all parts, each in order
OFFSETS: Final = (1 << OFFSET_BITS) - 1
CHECKPOINT_PAGES: Final = 4000  # of the WAL: 16 MiB
SCHEMA: Final = """
create table topic(
  id integer primary key, name text not null unique, partitions integer not null, compact integer not null,
  retention_ms integer not null) strict;
create table part(
  id integer primary key, topic_id integer not null, number integer not null, start integer not null,
  next integer not null, unique(topic_id, number)) strict;
create table record(
  id integer primary key, at_ms integer not null, key blob not null, value blob, headers blob not null) strict;
create table latest(
  part_id integer not null, key blob not null, record_id integer not null, primary key(part_id, key)
) strict, without rowid;
create table due(
  at_ms integer not null, record_id integer not null, primary key(at_ms, record_id)) strict, without rowid;
create table grp(name text primary key, generation integer not null) strict;
create table committed(
  grp text not null, part_id integer not null, next integer not null, primary key(grp, part_id)
) strict, without rowid;
"""


class LogCorruptError(RuntimeError):
    """The file is not the log it should be. Nothing is repaired: restore it, or begin with an empty folder."""


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as the file holds it. Part ids are consecutive: partition n has `first_part + n`."""

    name: Topic
    partitions: int
    compact: bool
    retention_ms: int
    first_part: int

    def part_ids(self) -> range:
        return range(self.first_part, self.first_part + self.partitions)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file is ours alone: groups and fences live in one process. Raises `platform.folder_locked`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PLATFORM_FOLDER_LOCKED.problem(folder=str(path.parent)) from error
        yield
    finally:
        os.close(handle)  # releases the lock, as the end of the process does


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode: every BEGIN is ours. Used by one thread, closed by another."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("pragma synchronous = full")
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """The writer's connection; makes the file if there is none. Raises LogCorruptError."""
    try:
        connection = connect(path)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise LogCorruptError(f"{path.name}: {error}") from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("pragma application_id").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
    if tables == 0:
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        stamp = f"pragma application_id = {APPLICATION_ID}; pragma user_version = {VERSION};"
        connection.executescript(f"begin immediate; {SCHEMA} {stamp} commit;")
    elif found != APPLICATION_ID:
        raise LogCorruptError("the file is another database")
    (version,) = connection.execute("pragma user_version").fetchone()
    if version != VERSION:
        raise LogCorruptError(f"the file has layout {version}, this program writes {VERSION}")
    connection.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"pragma journal_size_limit = {CHECKPOINT_PAGES * 4096}")
    _check(connection)


def _check(connection: sqlite3.Connection) -> None:
    """No record may lie outside of its part's offsets. Looks at one record a part: start-up does not scan."""
    for part, start, following in connection.execute("select id, start, next from part"):
        low, high = part << OFFSET_BITS, (part << OFFSET_BITS) + OFFSETS
        bounds = connection.execute("select min(id), max(id) from record where id between ? and ?", (low, high))
        first, last = bounds.fetchone()
        if first is not None and (first < low + start or last >= low + following):
            raise LogCorruptError(f"part {part} holds records outside of its offsets {start} to {following}")


def topics_of(connection: sqlite3.Connection) -> list[TopicInfo]:
    rows = connection.execute(
        "select name, partitions, compact, retention_ms, min(part.id) from topic join part on topic_id = topic.id "
        "group by topic.id"
    )
    return [TopicInfo(Topic(name), count, bool(compact), ms, first) for name, count, compact, ms, first in rows]


def add_topic(connection: sqlite3.Connection, name: Topic, partitions: int, *, compact: bool, retention_ms: int) -> int:
    """The id of its first part."""
    insert = "insert into topic(name, partitions, compact, retention_ms) values (?, ?, ?, ?) returning id"
    (topic,) = connection.execute(insert, (name, partitions, compact, retention_ms)).fetchone()
    (first,) = connection.execute("select coalesce(max(id), 0) + 1 from part").fetchone()
    rows = [(first + number, topic, number) for number in range(partitions)]
    connection.executemany("insert into part(id, topic_id, number, start, next) values (?, ?, ?, 0, 0)", rows)
    return int(first)
