"""What was used under grants: reads are counted in memory and stored now and then, commands exactly.

A process that dies forgets the reads of its last two seconds, and each process counts its own: the bound on reads is
soft by that much. Commands of stewards are counted in the transaction that admits them.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from didymos_contracts.errors import Problem
from didymos_did import Grant, GrantId, TwinId, Usage
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.service import Stopping
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_twin_state.adapters.tables import COMMANDS, READS

STORED_SECONDS: Final = 2.0
HOUR_SECONDS: Final = 3600.0
HOUR_US: Final = 3_600_000_000
MOST_STAMPS: Final = 10_000


class GrantUses:
    """`Uses` of the processes that answer reads."""

    def __init__(self, database: Database, clock: Clock, grants: Callable[[TwinId], tuple[Grant, ...]]) -> None:
        self._database, self._clock, self._grants = database, clock, grants
        self._reads: Counter[GrantId] = Counter()
        self._unsaved: Counter[GrantId] = Counter()
        self._stamps: dict[GrantId, deque[float]] = {}

    async def load(self) -> None:
        async with self._database.read() as connection:
            for row in await connection.execute(select(READS)):
                self._reads[GrantId(row.grant_id)] = row.reads

    def usage(self, twin: TwinId) -> Mapping[GrantId, Usage]:
        counts = {grant.id: self._reads[grant.id] for grant in self._grants(twin) if grant.id in self._reads}
        return {grant: Usage(reads=count) for grant, count in counts.items()}

    def last_hour(self, grant: GrantId) -> int:
        stamps = self._stamps.get(grant)
        if not stamps:
            return 0
        since = self._clock.monotonic() - HOUR_SECONDS
        while stamps and stamps[0] < since:
            stamps.popleft()
        return len(stamps)

    def read(self, grant: GrantId) -> None:
        self._reads[grant] += 1
        self._unsaved[grant] += 1
        self._stamps.setdefault(grant, deque(maxlen=MOST_STAMPS)).append(self._clock.monotonic())

    async def run(self, stopping: Stopping) -> None:
        """Store what was counted, each two seconds and at the end."""
        while not await stopping.within(STORED_SECONDS):
            await self._store()
        await self._store()

    async def _store(self) -> None:
        unsaved, self._unsaved = self._unsaved, Counter()
        if not unsaved:
            return
        rows = [{"grant_id": grant, "reads": count} for grant, count in unsaved.items()]
        try:
            async with self._database.unit_of_work() as tx:
                insert = sqlite_insert if tx.connection.dialect.name == "sqlite" else postgres_insert
                statement = insert(READS)
                added = {"reads": READS.c.reads + statement.excluded.reads}
                await tx.connection.execute(
                    statement.on_conflict_do_update(index_elements=["grant_id"], set_=added), rows
                )
        except Problem as problem:
            self._unsaved.update(unsaved)
            log.get().warning("twin.uses_not_stored", code=problem.row.code)


async def command_usage(connection: AsyncConnection, grant: GrantId, now_us: int) -> tuple[int, int]:
    """Commands that were admitted under `grant`: in all and in the last hour."""
    mine = (COMMANDS.c.grant_id == grant, COMMANDS.c.code == "")
    total = await connection.scalar(select(func.count()).select_from(COMMANDS).where(*mine))
    recent = await connection.scalar(
        select(func.count()).select_from(COMMANDS).where(*mine, COMMANDS.c.at_us > now_us - HOUR_US)
    )
    return total or 0, recent or 0
