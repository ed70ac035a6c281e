"""What leaves the SQLite log: records past their retention, superseded records, old tombstones. platform.md 7.

Each function is one short step of the writer thread, so appends never wait for long.
"""

import sqlite3
from typing import Final, NamedTuple

from didymos_kit.eventlog.sqlite_file import OFFSET_BITS, OFFSETS

STEP_ROWS: Final = 1_000
VACUUM_PAGES: Final = 1_000


class Trimmed(NamedTuple):
    """A part begins at `start` from now on; `more` if the step was cut short."""

    start: int
    more: bool


def trim(connection: sqlite3.Connection, part_id: int, before_ms: int) -> Trimmed | None:
    """Delete the oldest records up to the first that is not older than `before_ms`; None if there is none to delete.

    A prefix goes, never a hole: at the start of a part `offset_lost` is exact, and Kafka does the same by segments.
    """
    query = "select start, next from part where id = ?"
    start, following = connection.execute(query, (part_id,)).fetchone()
    base = part_id << OFFSET_BITS
    span = (base + start, base + following, STEP_ROWS)
    rows = connection.execute("select id, at_ms from record where id >= ? and id < ? order by id limit ?", span)
    kept, last, count = base + following, base, 0
    for record_id, at_ms in rows:
        if at_ms >= before_ms:
            kept = record_id
            break
        last, count = record_id, count + 1
    rows.close()
    if count == 0:
        return None
    more = count == STEP_ROWS
    begin = (last + 1 if more else kept) & OFFSETS
    connection.execute("delete from record where id >= ? and id < ?", (base + start, base + begin))
    connection.execute("update part set start = ? where id = ?", (begin, part_id))
    return Trimmed(begin, more)


def compact(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Delete what is due: superseded over the lag ago, or a tombstone past its time. True if there is more."""
    query = "select at_ms, record_id from due where at_ms <= ? order by at_ms limit ?"
    rows = connection.execute(query, (now_ms, STEP_ROWS)).fetchall()
    for due_ms, record_id in rows:
        forget = (
            "delete from latest where record_id = ? and part_id = ? and key = (select key from record where id = ?)"
        )
        connection.execute(forget, (record_id, record_id >> OFFSET_BITS, record_id))
        connection.execute("delete from record where id = ?", (record_id,))
        connection.execute("delete from due where at_ms = ? and record_id = ?", (due_ms, record_id))
    return len(rows) == STEP_ROWS


def vacuum(connection: sqlite3.Connection) -> None:
    """Give freed pages back to the file system."""
    connection.execute(f"pragma incremental_vacuum({VACUUM_PAGES})").fetchall()
