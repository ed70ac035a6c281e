"""The state of a witness in SQLite: one row per origin, advanced under a write lock, and the evidence of forks."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, TypeVar

from didymos_provenance import parse_checkpoint, parse_note

from didymos_ledger.application.ports import Witnessed

T = TypeVar("T")
MAX_EVIDENCE: Final = 1_000  # per origin: enough to convict, and a forking log cannot fill the disk
_SCHEMA: Final = """
create table if not exists witnessed(origin text primary key, size integer not null, note text not null) strict;
create table if not exists evidence(
    id integer primary key, origin text not null, at integer not null, request blob not null) strict;
"""


class WitnessDb:
    """`WitnessStates` in one file. SQLite work is done by `executor`, a pool of one thread."""

    def __init__(self, path: Path, executor: Executor) -> None:
        self._executor = executor
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = wal", "synchronous = full", "busy_timeout = 5000"):
            self._db.execute(f"pragma {pragma}")
        self._db.executescript(_SCHEMA)

    async def close(self) -> None:
        await self._run(self._db.close)

    async def find(self, origin: str) -> Witnessed | None:
        """The newest that was cosigned, or None."""
        return await self._run(lambda: self._find(origin))

    async def advance(self, old: int, new: Witnessed) -> bool:
        """Compare and set under BEGIN IMMEDIATE; durable when True."""
        return await self._run(lambda: self._advance(old, new))

    async def keep_evidence(self, origin: str, request: bytes, at: int) -> None:
        """The first 1,000 contradictions of an origin."""
        await self._run(lambda: self._keep(origin, request, at))

    async def evidence(self, origin: str) -> list[bytes]:
        """Requests that contradicted what the origin had signed before, oldest first."""
        query = "select request from evidence where origin = ? order by id"
        return await self._run(lambda: [row[0] for row in self._db.execute(query, (origin,))])

    def _find(self, origin: str) -> Witnessed | None:
        row = self._db.execute("select note from witnessed where origin = ?", (origin,)).fetchone()
        return None if row is None else Witnessed(parse_checkpoint(parse_note(row[0]).text), row[0])

    def _advance(self, old: int, new: Witnessed) -> bool:
        origin, size = new.checkpoint.origin, new.checkpoint.size
        with _Immediate(self._db) as db:
            row = db.execute("select size from witnessed where origin = ?", (origin,)).fetchone()
            if (row[0] if row else 0) != old:
                return False
            db.execute("insert or replace into witnessed values (?, ?, ?)", (origin, size, new.note))
            return True

    def _keep(self, origin: str, request: bytes, at: int) -> None:
        with _Immediate(self._db) as db:
            count = db.execute("select count(*) from evidence where origin = ?", (origin,)).fetchone()[0]
            if count < MAX_EVIDENCE:
                row = (origin, at, request)
                db.execute("insert into evidence(origin, at, request) values (?, ?, ?)", row)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class _Immediate:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("begin immediate")
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._db.execute("commit" if kind is None else "rollback")
