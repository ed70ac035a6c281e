"""`Records` and `Keeping` in SQL. Each record is sealed under the key of its holder, by AES-256-GCM."""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from didymos_did import Did, jcs, parse_strict, unwrap, wrap
from didymos_kit.clock import Clock
from didymos_kit.database.seen import insert_missing
from didymos_provenance import SALT_BYTES, Json, Salt
from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_ledger.adapters.tables import HOLDER, PARTY, PAYOUT, RECORD
from didymos_ledger.application.ports import Kept, Parties, Payout
from didymos_ledger.domain.provable import Provable

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
RECORD_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Seals:
    """The master key of the store: wraps the keys of holders, and names them so that nobody reads who they are."""

    master: bytes = field(repr=False)

    def name(self, holder: str) -> str:
        return hmac.digest(self.master, b"didymos/holder/v1\0" + holder.encode(), "sha256").hex()

    def fresh(self, name: str) -> bytes:
        """A new key of a holder, wrapped."""
        return wrap(self.master, os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES), name.encode())

    def key(self, name: str, wrapped: bytes) -> bytes:
        return unwrap(self.master, wrapped, name.encode())


class SqlRecords:
    """Reads and, in a unit of work, writes."""

    def __init__(self, connection: AsyncConnection, seals: Seals, clock: Clock) -> None:
        self._connection, self._seals, self._clock = connection, seals, clock

    async def find(self, kind: str, subject: str) -> Kept | None:
        return await self._one(select(RECORD).where((RECORD.c.kind == kind) & (RECORD.c.subject == subject)))

    async def of_thread(self, kind: str, thread: bytes) -> Kept | None:
        named = (RECORD.c.kind == kind) & (RECORD.c.thread == thread)
        return await self._one(select(RECORD).where(named).order_by(RECORD.c.at.desc()).limit(1))

    async def last_round(self, run: str) -> Kept | None:
        named = (RECORD.c.kind == "round.closed") & (RECORD.c.run == run)
        return await self._one(select(RECORD).where(named).order_by(RECORD.c.round.desc()).limit(1))

    async def payout(self, transfer: str) -> Payout | None:
        row = (await self._connection.execute(select(PAYOUT).where(PAYOUT.c.transfer == transfer))).one_or_none()
        return None if row is None else _payout(row)

    async def payouts(self, agreement: str, seq: int) -> Sequence[Payout]:
        named = (PAYOUT.c.agreement == agreement) & (PAYOUT.c.seq == seq)
        return [_payout(row) for row in await self._connection.execute(select(PAYOUT).where(named).order_by("idx"))]

    async def parties(self, agreement: str) -> Parties | None:
        row = (await self._connection.execute(select(PARTY).where(PARTY.c.agreement == agreement))).one_or_none()
        return None if row is None else Parties(Did(row.provider), Did(row.buyer))

    async def organisations(self) -> Sequence[Did]:
        rows = (await self._connection.execute(select(PARTY.c.provider, PARTY.c.buyer).distinct())).all()
        return sorted({Did(did) for row in rows for did in row})

    async def keep(self, provable: Provable, record: Mapping[str, Json], salt: Salt, commitment: bytes) -> bool:
        name = self._seals.name(provable.holder)
        key = await self._key(name, make=True)
        if key is None:
            return False
        plain = salt + jcs(dict(record))
        row = {
            "event_id": provable.event_id, "kind": provable.kind, "subject": provable.subject,
            "thread": provable.thread, "commitment": commitment, "facts": jcs(dict(provable.facts)),
            "sealed": wrap(key, plain, os.urandom(NONCE_BYTES), provable.event_id), "holder": name,
            "owner": provable.owner, "agreement": provable.agreement, "run": provable.run, "round": provable.round,
            "at": self._clock.now(),
        }  # fmt: skip
        await self._connection.execute(insert(RECORD).values(**row))
        return True

    async def unplaced(self) -> Sequence[bytes]:
        rows = await self._connection.execute(select(RECORD.c.event_id).where(RECORD.c.place.is_(None)))
        return list(rows.scalars())

    async def place(self, places: Mapping[bytes, int]) -> None:
        for event, index in places.items():
            await self._connection.execute(update(RECORD).where(RECORD.c.event_id == event).values(place=index))

    async def add_payout(self, payout: Payout) -> None:
        row = {
            "transfer": payout.transfer, "agreement": payout.agreement, "seq": payout.seq, "idx": payout.index,
            "thread": payout.thread, "asset": payout.asset, "minor": payout.minor,
        }  # fmt: skip
        await insert_missing(self._connection, PAYOUT, [row])

    async def add_parties(self, agreement: str, parties: Parties) -> None:
        row = {"agreement": agreement, "provider": parties.provider, "buyer": parties.buyer}
        await insert_missing(self._connection, PARTY, [row])

    async def erase(self, holder: str) -> int:
        name = self._seals.name(holder)
        await insert_missing(self._connection, HOLDER, [{"holder": name, "wrapped": None, "at": self._clock.now()}])
        await self._connection.execute(update(HOLDER).where(HOLDER.c.holder == name).values(wrapped=None))
        return (await self._connection.execute(delete(RECORD).where(RECORD.c.holder == name))).rowcount

    async def _one(self, query: Select[Any]) -> Kept | None:
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        key = await self._key(row.holder, make=False)
        return None if key is None else _kept(row, unwrap(key, row.sealed, row.event_id))

    async def _key(self, name: str, *, make: bool) -> bytes | None:
        """The key of a holder; None for one that was destroyed."""
        query = select(HOLDER.c.wrapped).where(HOLDER.c.holder == name)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None and make:
            wrapped = self._seals.fresh(name)
            await self._connection.execute(insert(HOLDER).values(holder=name, wrapped=wrapped, at=self._clock.now()))
            return self._seals.key(name, wrapped)
        return None if row is None or row.wrapped is None else self._seals.key(name, row.wrapped)


def _kept(row: Row[Any], plain: bytes) -> Kept:
    return Kept(
        row.event_id, row.kind, row.subject, row.thread, row.commitment, parse_strict(row.facts),
        parse_strict(plain[SALT_BYTES:], limit=RECORD_BYTES), Salt(plain[:SALT_BYTES]),
        None if row.owner is None else Did(row.owner), row.agreement, row.run, row.place,
    )  # fmt: skip


def _payout(row: Row[Any]) -> Payout:
    return Payout(row.transfer, row.agreement, row.seq, row.idx, row.thread, row.asset, row.minor)
