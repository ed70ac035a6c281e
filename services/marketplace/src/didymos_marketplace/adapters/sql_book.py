"""The double-entry book in SQL, and the settlements that it pays."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from didymos_contracts.errors.market import MARKET_ID_TAKEN, MARKET_NOT_COVERED
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_did import TwinId, parse_strict
from didymos_kit.database.seen import insert_missing
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_marketplace.adapters.tables import BALANCE, LINE, SETTLEMENT, TRANSFER
from didymos_marketplace.application.ports import Earned, Payee, Settled
from didymos_marketplace.domain.book import Account, Broken, Transfer, check
from didymos_marketplace.domain.settlement import Line, Settlement, payout_id


class SqlBook:
    """Balances are rows beside the transfers: the tables themselves refuse one below zero."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def book(self, transfer: Transfer, at: datetime) -> None:
        """In the order of the account names, so that two transfers between the same accounts never wait in a circle."""
        known = await self._find(transfer.id)
        if known is not None:
            if known != transfer:
                raise MARKET_ID_TAKEN.problem(transfer=transfer.id)
            return
        for account in sorted((transfer.source, transfer.target)):
            await self._lock(transfer.asset, account)
        broken = check(transfer, await self.held(transfer.asset, transfer.source))
        if broken is Broken.NOT_COVERED:
            raise MARKET_NOT_COVERED.problem(asset=transfer.asset, needed=transfer.minor)
        if broken is not None:
            raise PLATFORM_INVALID_FIELD.problem(pointer="/minor", detail=broken.value)
        for account, minor in ((transfer.source, -transfer.minor), (transfer.target, transfer.minor)):
            named = (BALANCE.c.asset == transfer.asset) & (BALANCE.c.account == account)
            await self._connection.execute(update(BALANCE).where(named).values(minor=BALANCE.c.minor + minor))
        row = {"source": transfer.source, "target": transfer.target, "minor": transfer.minor, "at": at}
        await self._connection.execute(insert(TRANSFER).values(id=transfer.id, asset=transfer.asset, **row))

    async def held(self, asset: str, account: Account) -> int:
        named = (BALANCE.c.asset == asset) & (BALANCE.c.account == account)
        return (await self._connection.execute(select(BALANCE.c.minor).where(named))).scalar_one_or_none() or 0

    async def holdings(self, account: Account) -> Sequence[tuple[str, int]]:
        query = select(BALANCE.c.asset, BALANCE.c.minor).where(BALANCE.c.account == account).order_by(BALANCE.c.asset)
        return [(row.asset, row.minor) for row in await self._connection.execute(query)]

    async def transfers(self) -> Sequence[Transfer]:
        """All, oldest first: for audits, which add them up and compare."""
        rows = await self._connection.execute(select(TRANSFER).order_by(TRANSFER.c.at, TRANSFER.c.id))
        return [_transfer(row) for row in rows]

    async def escrowed(self) -> int:
        """Minor units in escrow, over all assets: a gauge."""
        query = select(BALANCE.c.minor).where(BALANCE.c.account.like("escrow:%"))
        return sum((await self._connection.execute(query)).scalars())

    async def escrow_gap(self) -> int:
        """What went into escrow, less what left it, less what lies there: 0 while balances and transfers agree."""
        into = select(func.coalesce(func.sum(TRANSFER.c.minor), 0)).where(TRANSFER.c.target.like("escrow:%"))
        out = select(func.coalesce(func.sum(TRANSFER.c.minor), 0)).where(TRANSFER.c.source.like("escrow:%"))
        moved = [int((await self._connection.execute(query)).scalar_one()) for query in (into, out)]
        return moved[0] - moved[1] - await self.escrowed()

    async def _find(self, transfer: str) -> Transfer | None:
        row = (await self._connection.execute(select(TRANSFER).where(TRANSFER.c.id == transfer))).one_or_none()
        return None if row is None else _transfer(row)

    async def _lock(self, asset: str, account: Account) -> None:
        await insert_missing(self._connection, BALANCE, [{"asset": asset, "account": account, "minor": 0}])
        named = (BALANCE.c.asset == asset) & (BALANCE.c.account == account)
        await self._connection.execute(select(BALANCE.c.minor).where(named).with_for_update())


def _transfer(row: Row[Any]) -> Transfer:
    return Transfer(row.id, row.asset, Account(row.source), Account(row.target), row.minor)


class SqlSettlements:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, settled: Settled, payees: Sequence[Payee]) -> None:
        settlement = settled.settlement
        named = {"agreement": settlement.agreement, "seq": settlement.seq}
        row = {**named, "run": settled.run, "record": settled.record, "at": settled.at}
        await self._connection.execute(insert(SETTLEMENT).values(**row))
        twins = {payee.thread: payee.twin for payee in payees}
        lines = [
            {
                **named, "idx": index, "thread": line.thread, "twin": twins.get(line.thread), "asset": settlement.asset,
                "minor": line.minor, "rounds": line.rounds, "transfer": payout_id(settlement, index),
            }
            for index, line in enumerate(settlement.lines)
        ]  # fmt: skip
        if lines:
            await self._connection.execute(insert(LINE), lines)

    async def find(self, agreement: str) -> Settled | None:
        query = select(SETTLEMENT).where(SETTLEMENT.c.agreement == agreement).order_by(SETTLEMENT.c.seq.desc()).limit(1)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        record = parse_strict(row.record, limit=len(row.record))
        return Settled(_settlement(record), row.run, row.record, sha256(row.record).digest(), row.at)

    async def earned(self, twins: Sequence[TwinId]) -> Sequence[Earned]:
        query = select(LINE).where(LINE.c.twin.in_(twins)).order_by(LINE.c.agreement, LINE.c.seq, LINE.c.idx)
        return [
            Earned(row.agreement, row.seq, row.idx, row.thread, row.asset, row.minor, row.rounds, row.transfer)
            for row in await self._connection.execute(query)
        ]

    async def forget(self, twin: TwinId) -> int:
        return (await self._connection.execute(update(LINE).where(LINE.c.twin == twin).values(twin=None))).rowcount


def _settlement(said: Mapping[str, Any]) -> Settlement:
    lines = tuple(Line(one["thread"], float(one["score"]), one["rounds"], one["minor"]) for one in said["lines"])
    return Settlement(
        said["agreement"], said["seq"], said["asset"], said["funded"], said["earned"], said["fee"], said["refund"],
        lines, said["method"],
    )  # fmt: skip
