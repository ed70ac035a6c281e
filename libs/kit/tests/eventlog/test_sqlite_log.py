"""The SQLite adapter keeps every promise of the event log."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from didymos_kit.eventlog import EventLog
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_testing import eventlog as contract


@asynccontextmanager
async def sqlite_log() -> AsyncIterator[EventLog]:
    with TemporaryDirectory() as folder:
        async with SqliteLog(Path(folder) / "log.db") as log:
            yield log


async def tidy(log: EventLog) -> None:
    assert isinstance(log, SqliteLog)
    await log.tidy()


class TestSqliteWriter(contract.WriterContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteGroup(contract.GroupContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteSeek(contract.SeekContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteLag(contract.LagContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteTail(contract.TailContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteRetention(contract.RetentionContract):
    make_log = staticmethod(sqlite_log)
    tidy = staticmethod(tidy)


class TestSqliteCompaction(contract.CompactionContract):
    make_log = staticmethod(sqlite_log)
    tidy = staticmethod(tidy)


class TestSqliteDeadLetter(contract.DeadLetterContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteHold(contract.HoldContract):
    make_log = staticmethod(sqlite_log)


class TestSqliteDrain(contract.DrainContract):
    make_log = staticmethod(sqlite_log)


@asynccontextmanager
async def impatient_log() -> AsyncIterator[EventLog]:
    """Gives a silent member up within the time that a test can wait."""
    with TemporaryDirectory() as folder:
        async with SqliteLog(Path(folder) / "log.db", session_seconds=0.05) as log:
            yield log


class TestSqliteHistories(contract.HistoryContract):
    make_log = staticmethod(impatient_log)
    silence_seconds = 0.08
