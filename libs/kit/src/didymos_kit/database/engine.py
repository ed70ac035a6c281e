"""The database of a service: one SQLite file, or one schema of PostgreSQL. platform.md 6, ADR 13."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit.database.migrate import Migrations
from didymos_kit.database.unit_of_work import Stamp, Transaction
from didymos_kit.faults import fault_point
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

BUSY_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0
POOL_SECONDS: Final = 5.0
POOL: Final = 5
_READS: Final = "didymos_reads"
_PASSING: Final = ("40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300")  # SQLSTATE; 08* as well


class Database:
    """`async with Database(engine, "identity", stamp, migrations) as database`; closes the engine at the end.

    Raised out of both units: `platform.unavailable` while the database is away, or when the transaction lost to another
    one; whether a commit that failed so took place is not known: repeat it by an idempotent use case.
    """

    def __init__(self, engine: AsyncEngine, name: str, stamp: Stamp, migrations: Migrations | None = None) -> None:
        self.name, self.stamp = name, stamp
        self.engine, self._migrations = engine, migrations
        self._at_head = migrations is None
        self._committed: list[Callable[[], None]] = []
        self.is_sqlite = engine.dialect.name == "sqlite"
        options: dict[str, Any] = (
            {_READS: True} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        self._reading = engine.execution_options(**options)
        self._turns = asyncio.Lock()
        self._writing: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back by whatever is raised in it.

        SQLite has one writer at a time: the next waits for its turn here, in order. A unit within a unit of the same
        task is a mistake and raises RuntimeError.
        """
        async with self._turn():
            with translated():
                async with _connected(self.engine) as connection, connection.begin():
                    tx = Transaction(connection, self.stamp)
                    yield tx
                    await tx.write_out()
            fault_point("unit.committed")
        if tx.published:
            for wake in self._committed:
                wake()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot: all that is read in the block is of one moment. Nothing can be written."""
        with translated():
            async with _connected(self._reading) as connection:
                yield connection

    async def check(self) -> str | None:
        """Readiness: the database answers and its schema is at head (one that is ahead is fine)."""
        async with self.read() as connection:
            if self._at_head or self._migrations is None:
                await connection.execute(text("select 1"))
                return None
            self._at_head = await connection.run_sync(self._migrations.at_head)
        return None if self._at_head else "database: schema behind"

    def on_commit(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each unit of this process that published."""
        self._committed.append(wake)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if not self.is_sqlite:
            yield
            return
        task = asyncio.current_task()
        if task is not None and self._writing is task:
            raise RuntimeError(f"{self.name}: a unit of work within a unit of work would wait for itself")
        async with self._turns:
            self._writing = task
            try:
                yield
            finally:
                self._writing = None


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of the pool. What the driver raises while it opens one is not SQLAlchemy's, so it is met here."""
    async with contextlib.AsyncExitStack() as open_until:
        try:
            connection = await open_until.enter_async_context(engine.connect())
        except Exception as error:
            if is_away(error):
                raise PLATFORM_UNAVAILABLE.problem(dependency="database") from error
            raise
        yield connection


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What passes by itself as `platform.unavailable`; all else as it is."""
    try:
        yield
    except DBAPIError as error:
        if _passes(error):
            raise PLATFORM_UNAVAILABLE.problem(dependency="database") from error
        raise


def is_away(error: Exception) -> bool:
    """Whether the server cannot be reached, is starting or stopping, or is full: from a driver that opens a connection,
    or from an engine."""
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError):
        return True
    return _passes(error) if isinstance(error, DBAPIError) else _state_passes(getattr(error, "sqlstate", None))


def _passes(error: DBAPIError) -> bool:
    """The connection is gone, the server shuts down or is full, or a lock or deadlock lost."""
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return _state_passes(state)
    return isinstance(error, OperationalError) and "locked" in str(error.orig)


def _state_passes(state: object) -> bool:
    return isinstance(state, str) and (state in _PASSING or state.startswith("08"))


class _RollsBack(sqlite3.Connection):
    """Holds no lock once it is closed: while a cursor is alive, SQLite keeps an open transaction until it is gone.

    So a task that was cancelled in mid-statement would lock the file for as long as its traceback lives.
    """

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()


def sqlite_engine(path: Path, *, erasing: bool = False) -> AsyncEngine:
    """`erasing`: deleted content is overwritten in the file, for the vault."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connecting = {"isolation_level": None, "timeout": BUSY_SECONDS, "factory": _RollsBack}  # no BEGIN but ours
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", connect_args=connecting, pool_size=POOL, pool_timeout=POOL_SECONDS
    )
    pragmas = ["journal_mode = wal", "synchronous = full", "foreign_keys = on", "journal_size_limit = 67108864"]
    pragmas += ["secure_delete = on"] if erasing else []

    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401 - of the driver
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"pragma {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READS, False)
        connection.exec_driver_sql("begin" if reads else "begin immediate")

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def postgres_engine(url: str, schema: str, *, pooled: bool = True) -> AsyncEngine:
    """`url`: postgresql://user:password@host:port/database. Unpooled, and without a limit a command: for migrations."""
    settings = {"search_path": f'"{schema}"', "application_name": schema, "lock_timeout": "5000"}
    connecting: dict[str, Any] = {"timeout": CONNECT_SECONDS, "server_settings": settings}
    target = make_url(url).set(drivername="postgresql+asyncpg")
    if not pooled:
        return create_async_engine(target, connect_args=connecting, poolclass=NullPool)
    connecting["command_timeout"] = COMMAND_SECONDS
    return create_async_engine(target, connect_args=connecting, pool_size=POOL, max_overflow=POOL * 3)
