"""The list of refusals in the database."""

from collections.abc import Sequence
from datetime import datetime

from didymos_did import TwinId
from didymos_kit.database.engine import Database
from didymos_kit.database.seen import insert_missing
from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.engine import Row

from didymos_ingestion.adapters.tables import REFUSAL
from didymos_ingestion.application.keep_refusals import Place
from didymos_ingestion.domain.refusal import KeptRefusal


class SqlRefusals:
    """The `Refusals` port. Each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, refusals: Sequence[KeptRefusal]) -> None:
        if not refusals:
            return
        rows = [
            {
                "part": each.partition, "off": each.offset, "idx": each.index, "readings": each.count,
                "twin": each.twin, "device": each.device, "batch": each.batch, "code": each.code, "detail": each.detail,
                "profile": each.profile, "received_at": each.received_at, "released": False,
            }
            for each in refusals
        ]  # fmt: skip
        async with self._database.unit_of_work() as tx:
            for first in range(0, len(rows), 500):  # SQLite takes at most 32,766 values in one statement
                await insert_missing(tx.connection, REFUSAL, rows[first : first + 500])

    async def drop_before(self, at: datetime) -> None:
        async with self._database.unit_of_work() as tx:
            await tx.connection.execute(delete(REFUSAL).where(REFUSAL.c.received_at < at))

    async def drop_twin(self, twin: TwinId) -> None:
        async with self._database.unit_of_work() as tx:
            await tx.connection.execute(delete(REFUSAL).where(REFUSAL.c.twin == twin))

    async def of_twin(self, twin: TwinId, after: Place | None, limit: int) -> Sequence[KeptRefusal]:
        place = (REFUSAL.c.part, REFUSAL.c.off, REFUSAL.c.idx)
        query = select(REFUSAL).where(REFUSAL.c.twin == twin).order_by(*place).limit(limit)
        if after is not None:
            query = query.where(tuple_(*place) > after)
        async with self._database.read() as connection:
            return [_refusal(row) for row in await connection.execute(query)]

    async def of_batch(self, twin: TwinId, batch: bytes) -> Sequence[KeptRefusal]:
        query = select(REFUSAL).where(REFUSAL.c.twin == twin, REFUSAL.c.batch == batch).order_by(REFUSAL.c.idx)
        async with self._database.read() as connection:
            return [_refusal(row) for row in await connection.execute(query)]

    async def release(self, refusals: Sequence[KeptRefusal]) -> None:
        async with self._database.unit_of_work() as tx:
            for each in refusals:
                place = (REFUSAL.c.part == each.partition, REFUSAL.c.off == each.offset, REFUSAL.c.idx == each.index)
                await tx.connection.execute(update(REFUSAL).where(*place).values(released=True))


def _refusal(row: Row[tuple[object, ...]]) -> KeptRefusal:
    return KeptRefusal(
        row.twin, row.device, row.batch, row.part, row.off, row.idx, row.readings, row.code, row.detail, row.profile,
        row.received_at, row.released,
    )  # fmt: skip
