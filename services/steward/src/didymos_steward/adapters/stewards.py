"""Stewards and acts in the database; their commands in its outbox."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from didymos_did import Did, GrantId, Purpose, TwinId
from didymos_kit.database.seen import insert_missing
from didymos_kit.database.unit_of_work import Transaction
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_steward.adapters.protobuf import command_proposed
from didymos_steward.adapters.tables import ACTS, STEWARDS
from didymos_steward.application.ports import Command, Work
from didymos_steward.domain.choice import HOUR, Past
from didymos_steward.domain.steward import Act, ActState, Band, Steward


class SqlStewards:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, twin: TwinId) -> Steward | None:
        found = await self.among([twin])
        return found[0] if found else None

    async def among(self, twins: Sequence[str]) -> list[Steward]:
        """The stewards of those of `twins` that have one."""
        rows = await self._connection.execute(select(STEWARDS).where(STEWARDS.c.twin.in_(twins)))
        return [_steward(row) for row in rows]

    async def count(self) -> int:
        return (await self._connection.execute(select(func.count()).select_from(STEWARDS))).scalar_one()

    async def put(self, steward: Steward) -> None:
        await self.remove(steward.twin)
        row = {
            "twin": steward.twin, "owner": steward.owner, "property": steward.property, "command": steward.command,
            "low": steward.band.low, "high": steward.band.high, "grant_id": steward.grant, "purpose": steward.purpose,
            "appointed_at": steward.appointed_at,
        }  # fmt: skip
        await self._connection.execute(insert(STEWARDS).values(row))

    async def remove(self, twin: TwinId) -> None:
        await self._connection.execute(delete(STEWARDS).where(STEWARDS.c.twin == twin))


class SqlActs:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, act: Act) -> bool:
        row = {
            "id": act.id, "twin": act.twin, "property": act.property, "value": act.value, "unit": act.unit,
            "before": act.before, "reason": act.reason, "grant_id": act.grant, "at": act.at, "state": act.state.value,
            "detail": act.detail, "undone_by": act.undone_by,
        }  # fmt: skip
        return await insert_missing(self._connection, ACTS, [row]) == 1

    async def lock(self, act_id: bytes) -> Act | None:
        row = (await self._connection.execute(select(ACTS).where(ACTS.c.id == act_id).with_for_update())).one_or_none()
        return None if row is None else _act(row)

    async def save(self, act: Act) -> None:
        changed = {"state": act.state.value, "detail": act.detail, "undone_by": act.undone_by}
        await self._connection.execute(update(ACTS).where(ACTS.c.id == act.id).values(changed))

    async def past(self, grant: GrantId, now: datetime) -> Past:
        mine = ACTS.c.grant_id == grant
        counts = select(
            func.count(), func.count().filter(ACTS.c.at > now - HOUR),
            func.max(ACTS.c.at).filter(ACTS.c.state == ActState.REFUSED.value),
        ).where(mine)  # fmt: skip
        in_all, last_hour, refused_at = (await self._connection.execute(counts)).one()
        return Past(last_hour, in_all, refused_at)

    async def newest(self, twin: TwinId, limit: int) -> Sequence[Act]:
        query = select(ACTS).where(ACTS.c.twin == twin).order_by(ACTS.c.at.desc(), ACTS.c.id.desc()).limit(limit)
        return [_act(row) for row in await self._connection.execute(query)]

    async def in_state(self, twin: TwinId, state: ActState) -> Sequence[Act]:
        query = select(ACTS).where(ACTS.c.twin == twin, ACTS.c.state == state.value).order_by(ACTS.c.at.desc())
        return [_act(row) for row in await self._connection.execute(query)]


def work_of(actor: Did) -> Callable[[Transaction], Work]:
    """`Work` of one transaction; what it proposes is proposed by `actor`, this steward's DID."""

    def bound(tx: Transaction) -> Work:
        def propose(command: Command) -> None:
            tx.publish_event(command_proposed(command, actor), key=command.twin)

        return Work(SqlStewards(tx.connection), SqlActs(tx.connection), propose)

    return bound


def _steward(row: Row[Any]) -> Steward:
    return Steward(
        TwinId(row.twin), Did(row.owner), row.property, row.command, Band(row.low, row.high), GrantId(row.grant_id),
        Purpose(row.purpose), row.appointed_at,
    )  # fmt: skip


def _act(row: Row[Any]) -> Act:
    return Act(
        bytes(row.id), TwinId(row.twin), row.property, row.value, row.unit, row.before, row.reason,
        GrantId(row.grant_id), row.at, ActState(row.state), row.detail, bytes(row.undone_by),
    )  # fmt: skip
