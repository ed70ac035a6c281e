"""The vault: one key per twin wrapped by the master key of the house, one per epoch wrapped by that. identity.md 11."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from didymos_did import DataKey, Did, Kek, TwinId, unwrap, wrap
from didymos_did.jcs import jcs
from didymos_kit.database.engine import Database
from didymos_kit.database.seen import insert_missing
from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_identity.adapters.sql import upsert
from didymos_identity.adapters.tables import EPOCH_KEYS, KEKS

GENERATION: Final = 1  # of the master key; a weekly one, with rewrapping, comes with an external KMS
AT_ONCE: Final = 200
Name = tuple[TwinId, int]


class SqlVault:
    """`master`: 32 bytes. `entropy`: n fresh random bytes."""

    def __init__(
        self, database: Database, master: bytes, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._database, self._master, self._entropy = database, master, entropy

    async def keys(self, wanted: Sequence[Name]) -> Sequence[DataKey | None]:
        names = dict.fromkeys(wanted)
        async with self._database.read() as connection:
            keks, found = await self._known(connection, names)
        if any(name not in found and keks.get(name[0], True) is not None for name in names):
            async with self._database.unit_of_work() as tx:
                found = await self._made(tx.connection, names)
        return [found.get(name) for name in wanted]

    async def destroy(self, twin: TwinId, at: datetime) -> None:
        async with self._database.unit_of_work() as tx:
            known = (await tx.connection.execute(select(KEKS).where(KEKS.c.twin == twin).with_for_update())).first()
            if known is None or known.wrapped is not None:
                row = {"twin": twin, "generation": GENERATION, "wrapped": None, "destroyed_at": at}
                await upsert(tx.connection, KEKS, row)
            await tx.connection.execute(delete(EPOCH_KEYS).where(EPOCH_KEYS.c.twin == twin))
        await self._forget_pages()

    async def _known(
        self, connection: AsyncConnection, names: Collection[Name], *, lock: bool = False
    ) -> tuple[dict[TwinId, Kek | None], dict[Name, DataKey]]:
        """KEKs by twin (None: destroyed), and the epoch keys that there are."""
        keks: dict[TwinId, Kek | None] = {}
        twins = sorted({twin for twin, _ in names})
        for start in range(0, len(twins), AT_ONCE):
            query = select(KEKS).where(KEKS.c.twin.in_(twins[start : start + AT_ONCE])).order_by(KEKS.c.twin)
            for row in await connection.execute(query.with_for_update() if lock else query):
                keks[TwinId(Did(row.twin))] = self._kek(row.twin, row.wrapped)
        return keks, await self._opened(connection, names, keks)

    async def _opened(
        self, connection: AsyncConnection, names: Collection[Name], keks: Mapping[TwinId, Kek | None]
    ) -> dict[Name, DataKey]:
        found: dict[Name, DataKey] = {}
        asked = sorted(names)
        for start in range(0, len(asked), AT_ONCE):
            pairs = tuple_(EPOCH_KEYS.c.twin, EPOCH_KEYS.c.epoch).in_(asked[start : start + AT_ONCE])
            for row in await connection.execute(select(EPOCH_KEYS).where(pairs)):
                kek = keks.get(TwinId(Did(row.twin)))
                if kek is not None:
                    found[kek.twin, row.epoch] = kek.unwrap(row.epoch, row.wrapped)
        return found

    async def _made(self, connection: AsyncConnection, names: Collection[Name]) -> dict[Name, DataKey]:
        """All of them, with what is missing made. Two processes that make the same key get the one that came first."""
        fresh = [{"twin": twin, **self._new_kek(twin)} for twin in sorted({twin for twin, _ in names})]
        await insert_missing(connection, KEKS, fresh)
        keks, found = await self._known(connection, names, lock=True)
        missing = [name for name in sorted(names) if name not in found and keks[name[0]] is not None]
        if missing:
            rows = [self._new_epoch_key(keks[twin], epoch) for twin, epoch in missing]
            await insert_missing(connection, EPOCH_KEYS, [row for row in rows if row is not None])
            found.update(await self._opened(connection, missing, keks))
        return found

    def _kek(self, twin: str, wrapped: bytes | None) -> Kek | None:
        if wrapped is None:
            return None
        return Kek(TwinId(Did(twin)), unwrap(self._master, wrapped, _bound(twin)))

    def _new_kek(self, twin: TwinId) -> dict[str, object]:
        wrapped = wrap(self._master, self._entropy(32), self._entropy(12), _bound(twin))
        return {"generation": GENERATION, "wrapped": wrapped, "destroyed_at": None}

    def _new_epoch_key(self, kek: Kek | None, epoch: int) -> dict[str, object] | None:
        if kek is None:
            return None
        key = DataKey(kek.twin, epoch, self._entropy(32))
        return {"twin": kek.twin, "epoch": epoch, "wrapped": kek.wrap(key, self._entropy(12))}

    async def _forget_pages(self) -> None:
        """SQLite keeps old pages in its write-ahead log until it is reset: what was destroyed may not lie there."""
        if self._database.is_sqlite:
            async with self._database.engine.connect() as connection:
                raw = await connection.get_raw_connection()
                cursor = await raw.driver_connection.execute("pragma wal_checkpoint(truncate)")  # type: ignore[union-attr]
                await cursor.close()


def _bound(twin: str) -> bytes:
    return jcs(["didymos/kek/v1", GENERATION, twin])
