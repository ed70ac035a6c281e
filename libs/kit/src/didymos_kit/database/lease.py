"""Who relays the outbox of a service: one process at a time, by a row that it renews. platform.md 6."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from didymos_kit.database.columns import Instant
from didymos_kit.database.engine import Database
from didymos_kit.database.outbox import OUTBOX, TABLES
from didymos_kit.database.seen import insert_missing
from sqlalchemy import ColumnElement, delete, literal, literal_column, update
from sqlalchemy.ext.asyncio import AsyncConnection

LEASE: Final = TABLES.lease
LEASE_SECONDS: Final = 3  # a take-over must fit into the 5 s after which consent is stale
RENEW_SECONDS: Final = 1.0
_ALL_SHARDS: Final = 0  # the number of the one lease
_NOBODY: Final = UUID(int=0)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LeaseLostError(RuntimeError):
    """Another process relays by now."""


class Lease:
    """The lease as one process sees it. PostgreSQL measures it by the clock of the server, so clocks need not agree.

    A SQLite file has one process (`flock` on the log beside it), so its first claim need not wait for a dead owner.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owner = uuid4()
        self._at_once = database.is_sqlite

    async def take(self) -> int | None:
        """The epoch of a new term, or None while another process holds the lease."""
        async with self._database.unit_of_work() as tx:
            row = {"lease": _ALL_SHARDS, "owner": _NOBODY, "epoch": 0, "until": _NEVER}
            await insert_missing(tx.connection, LEASE, [row])
            statement = update(LEASE).where(LEASE.c.lease == _ALL_SHARDS)
            if not self._at_once:
                statement = statement.where((LEASE.c.owner == self._owner) | (LEASE.c.until < self._in(0)))
            ours = {"owner": self._owner, "epoch": LEASE.c.epoch + 1, "until": self._in(LEASE_SECONDS)}
            taken = await tx.connection.execute(statement.values(**ours).returning(LEASE.c.epoch))
            epoch: int | None = taken.scalar()
        self._at_once = False
        return epoch

    async def renew(self, epoch: int) -> None:
        """Raises LeaseLostError."""
        async with self._database.unit_of_work() as tx:
            await self._hold(tx.connection, epoch)

    async def remove(self, epoch: int, rows: Sequence[int]) -> None:
        """Delete these rows of the outbox, if the lease is still ours, and renew it. Raises LeaseLostError."""
        async with self._database.unit_of_work() as tx:
            await self._hold(tx.connection, epoch)
            await tx.connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(rows)))

    async def release(self, epoch: int) -> None:
        """Let another process begin at once; of no effect if one did already."""
        async with self._database.unit_of_work() as tx:
            statement = update(LEASE).where(LEASE.c.lease == _ALL_SHARDS, LEASE.c.epoch == epoch)
            await tx.connection.execute(statement.values(owner=_NOBODY, until=_NEVER))

    async def _hold(self, connection: AsyncConnection, epoch: int) -> None:
        statement = update(LEASE).where(LEASE.c.lease == _ALL_SHARDS, LEASE.c.epoch == epoch)
        held = await connection.execute(statement.values(until=self._in(LEASE_SECONDS)).returning(LEASE.c.epoch))
        if held.scalar() is None:
            raise LeaseLostError(self._database.name)

    def _in(self, seconds: int) -> ColumnElement[datetime]:
        """The instant that many seconds from now."""
        if self._database.is_sqlite:
            return literal(self._database.stamp.clock.now() + timedelta(seconds=seconds), Instant)
        return literal_column(f"clock_timestamp() + interval '{seconds} seconds'", Instant)
