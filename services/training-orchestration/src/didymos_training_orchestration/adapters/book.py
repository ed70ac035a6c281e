"""The book of rounds under each grant: accounts and entries. privacy.md section 7."""

from collections.abc import Mapping, Sequence
from typing import Final

from didymos_did import GrantId
from didymos_kit.database.seen import insert_missing
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_training_orchestration.adapters.tables import ACCOUNTS, ENTRIES
from didymos_training_orchestration.domain.budget import Account, Booking, Drawn, may_book
from didymos_training_orchestration.domain.run import RunId

_CHANGE: Final[Mapping[tuple[Booking | None, Booking], tuple[int, int]]] = {
    (None, Booking.RESERVED): (1, 0),
    (Booking.RELEASED, Booking.RESERVED): (1, 0),
    (Booking.RESERVED, Booking.SPENT): (-1, 1),
    (Booking.RESERVED, Booking.RELEASED): (-1, 0),
}


class SqlBook:
    """Grants are taken in their order, so that two rounds at once lock accounts in one order."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def accounts(self, grants: Sequence[GrantId]) -> Mapping[GrantId, Account]:
        rows = await self._connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.grant_id.in_(list(grants))))
        return {GrantId(row.grant_id): Account(GrantId(row.grant_id), row.reserved, row.spent) for row in rows}

    async def book(self, run: RunId, number: int, grants: Sequence[GrantId], then: Booking) -> None:
        here = (ENTRIES.c.run == run, ENTRIES.c.round == number)
        known = {
            row.grant_id: Booking(row.state) for row in await self._connection.execute(select(ENTRIES).where(*here))
        }
        for grant in sorted(set(grants)):
            now = known.get(grant)
            if not may_book(now, then):
                continue
            if now is None:
                entry = {"run": run, "round": number, "grant_id": grant, "state": then.value}
                await self._connection.execute(insert(ENTRIES).values(**entry))
            else:
                ours = update(ENTRIES).where(*here, ENTRIES.c.grant_id == grant)
                await self._connection.execute(ours.values(state=then.value))
            await self._change(grant, *_CHANGE[now, then])

    async def _change(self, grant: GrantId, reserved: int, spent: int) -> None:
        await insert_missing(self._connection, ACCOUNTS, [{"grant_id": grant, "reserved": 0, "spent": 0}])
        ours = update(ACCOUNTS).where(ACCOUNTS.c.grant_id == grant)
        changed = {"reserved": ACCOUNTS.c.reserved + reserved, "spent": ACCOUNTS.c.spent + spent}
        await self._connection.execute(ours.values(**changed))

    async def spent_rounds(self, run: RunId) -> Mapping[GrantId, int]:
        query = select(ENTRIES.c.grant_id, func.count().label("rounds")).where(
            ENTRIES.c.run == run, ENTRIES.c.state == Booking.SPENT.value
        )
        rows = await self._connection.execute(query.group_by(ENTRIES.c.grant_id))
        return {GrantId(row.grant_id): row.rounds for row in rows}

    async def entries(self, run: RunId, grant: GrantId) -> Mapping[int, Booking]:
        query = select(ENTRIES.c.round, ENTRIES.c.state).where(ENTRIES.c.run == run, ENTRIES.c.grant_id == grant)
        rows = await self._connection.execute(query.order_by(ENTRIES.c.round))
        return {row.round: Booking(row.state) for row in rows}

    async def drawn(self) -> Drawn:
        sums = (func.coalesce(func.sum(column), 0) for column in (ACCOUNTS.c.reserved, ACCOUNTS.c.spent))
        reserved, spent = (await self._connection.execute(select(*sums))).one()
        return Drawn(int(reserved), int(spent))
