"""The store of `Idempotency-Key` in the database of a service: `didymos_kit.http.idempotency.Answers`."""

from datetime import datetime
from typing import Any, Final

import msgspec
from didymos_kit.database.engine import Database
from didymos_kit.database.outbox import TABLES
from didymos_kit.database.seen import insert_missing
from didymos_kit.http.idempotency import KEPT, LEASE, Answer, Claim, Held
from sqlalchemy import ColumnElement, Row, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

TABLE: Final = TABLES.idempotency
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, tuple[tuple[str, str], ...]]).decode


class SqlAnswers:
    """Each method is a transaction of its own: a claim must be seen by others before the work begins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, claim: Claim) -> Held | None:
        async with self._database.unit_of_work() as tx:
            row = {
                "principal": claim.principal, "path": claim.path, "key": claim.key, "body_sha256": claim.body_sha256,
                "expires_at": claim.expires_at,
            }  # fmt: skip
            if await insert_missing(tx.connection, TABLE, [row]):
                return None
            held = await _held(tx.connection, claim)
            if held is None or claim.at >= held.claim.expires_at or _abandoned(held, claim):
                renewed = {**row, "status": None, "headers": None, "body": None}
                await tx.connection.execute(update(TABLE).where(_named(claim)).values(**renewed))
                return None
            return held

    async def finish(self, claim: Claim, answer: Answer) -> None:
        said = {"status": answer.status, "headers": _encode((answer.media_type, answer.headers)), "body": answer.body}
        async with self._database.unit_of_work() as tx:
            await tx.connection.execute(update(TABLE).where(_in_flight(claim)).values(**said))

    async def release(self, claim: Claim) -> None:
        async with self._database.unit_of_work() as tx:
            await tx.connection.execute(delete(TABLE).where(_in_flight(claim)))

    async def forget(self, now: datetime) -> int:
        """Drop what expired; how many."""
        async with self._database.unit_of_work() as tx:
            return (await tx.connection.execute(delete(TABLE).where(TABLE.c.expires_at <= now))).rowcount


def _named(claim: Claim) -> ColumnElement[bool]:
    return and_(TABLE.c.principal == claim.principal, TABLE.c.path == claim.path, TABLE.c.key == claim.key)


def _in_flight(claim: Claim) -> ColumnElement[bool]:
    """The row, as long as it is this very claim's: a later one has another time."""
    ours = and_(TABLE.c.expires_at == claim.expires_at, TABLE.c.body_sha256 == claim.body_sha256)
    return and_(_named(claim), TABLE.c.status.is_(None), ours)


async def _held(connection: AsyncConnection, claim: Claim) -> Held | None:
    found = (await connection.execute(select(TABLE).where(_named(claim)).with_for_update())).one_or_none()
    return None if found is None else Held(_claim(found), _answer(found))


def _claim(row: Row[Any]) -> Claim:
    return Claim(row.principal, row.path, row.key, row.body_sha256, row.expires_at - KEPT)


def _answer(row: Row[Any]) -> Answer | None:
    if row.status is None:
        return None
    media_type, headers = _decode(row.headers)
    return Answer(row.status, row.body, media_type, headers)


def _abandoned(held: Held, claim: Claim) -> bool:
    """Whether the first request died, and this is the same one again."""
    late = held.answer is None and claim.at - held.claim.at >= LEASE
    return late and held.claim.body_sha256 == claim.body_sha256
