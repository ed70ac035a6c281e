"""What took effect in an attempt, in order: signals as they came, and stages whose time was up.

A coordinator that starts again plays it back into the state machine and stands where it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from didymos_did import Did
from didymos_kit.database.engine import Database
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_training_orchestration.adapters.tables import SIGNALS
from didymos_training_orchestration.domain.run import RunId


@dataclass(frozen=True, slots=True)
class AttemptName:
    run: RunId
    round: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Entry:
    """`signal`: serialised SiteSignal, empty when the time of stage `step` was up (then `site` is None)."""

    site: Did | None
    step: str
    signal: bytes = b""


class SqlJournal:
    """Each entry is a transaction of its own: it must be durable before it takes effect."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: AttemptName, entry: Entry) -> None:
        async with self._database.unit_of_work() as tx:
            last = await tx.connection.execute(select(func.max(SIGNALS.c.seq)).where(*_of(name)))
            row = {
                "run": name.run, "round": name.round, "attempt": name.attempt, "seq": (last.scalar() or 0) + 1,
                "site": entry.site or "", "step": entry.step, "signal": entry.signal,
            }  # fmt: skip
            await tx.connection.execute(insert(SIGNALS).values(**row))

    async def entries(self, name: AttemptName) -> Sequence[Entry]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(SIGNALS).where(*_of(name)).order_by(SIGNALS.c.seq))
            return [Entry(Did(row.site) if row.site else None, row.step, row.signal) for row in rows]

    async def forget(self, run: RunId, before: int) -> None:
        """Drop the signals of the rounds before `before`: their sums are committed or given up."""
        async with self._database.unit_of_work() as tx:
            await forget_signals(tx.connection, run, before)


async def forget_signals(connection: AsyncConnection, run: RunId, before: int) -> None:
    await connection.execute(delete(SIGNALS).where(SIGNALS.c.run == run, SIGNALS.c.round < before))


def _of(name: AttemptName):  # type: ignore[no-untyped-def]  # noqa: ANN202 - column expressions
    return (SIGNALS.c.run == name.run, SIGNALS.c.round == name.round, SIGNALS.c.attempt == name.attempt)
