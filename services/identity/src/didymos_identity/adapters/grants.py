"""Grants in SQL: where each stands, the record that was published of it, and the credential as received."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from didymos_did import Grant, GrantId, GrantState, TwinId
from didymos_kit.database.seen import insert_missing
from didymos_kit.tails import consent_changed, grant_from_consent
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_identity.adapters.tables import GRANTS
from didymos_identity.application.ports import GrantQuery, StoredGrant

LIVE = (GrantState.ACTIVE.value, GrantState.SUSPENDED.value)


class StaleRevisionError(RuntimeError):
    """Somebody else stored a revision of this grant in between: it was not locked."""


class SqlGrants:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, grant: Grant, credential: bytes, at: datetime) -> bool:
        row = {
            "id": grant.id, "twin": grant.twin, "owner": grant.owner, "grantee": grant.grantee,
            "valid_until": grant.terms.valid_until, "credential": credential, "registered_at": at,
            **_standing(grant, at),
        }  # fmt: skip
        return await insert_missing(self._connection, GRANTS, [row]) == 1

    async def lock(self, grant: GrantId) -> Grant | None:
        query = select(GRANTS.c.record).where(GRANTS.c.id == grant).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else grant_from_consent(row.record)

    async def save(self, grant: Grant, at: datetime) -> None:
        previous = update(GRANTS).where(GRANTS.c.id == grant.id, GRANTS.c.revision == grant.revision - 1)
        written = await self._connection.execute(previous.values(_standing(grant, at)))
        if written.rowcount != 1:
            raise StaleRevisionError(grant.id, grant.revision)

    async def find(self, grant: GrantId) -> StoredGrant | None:
        query = select(GRANTS.c.record, GRANTS.c.credential).where(GRANTS.c.id == grant)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else StoredGrant(grant_from_consent(row.record), row.credential)

    async def page(self, query: GrantQuery) -> Sequence[Grant]:
        found = select(GRANTS.c.record).where(or_(GRANTS.c.owner == query.party, GRANTS.c.grantee == query.party))
        if query.twin is not None:
            found = found.where(GRANTS.c.twin == query.twin)
        if query.after is not None:
            found = found.where(GRANTS.c.id > query.after)
        return await self._grants(found.order_by(GRANTS.c.id).limit(query.limit + 1))

    async def live_of(self, twin: TwinId) -> Sequence[Grant]:
        query = select(GRANTS.c.record).where(GRANTS.c.twin == twin, GRANTS.c.state.in_(LIVE))
        return await self._grants(query.order_by(GRANTS.c.id).with_for_update())

    async def over(self, now: datetime, limit: int) -> Sequence[Grant]:
        query = select(GRANTS.c.record).where(GRANTS.c.state.in_(LIVE), GRANTS.c.valid_until <= now)
        return await self._grants(query.order_by(GRANTS.c.id).limit(limit).with_for_update())

    async def _grants(self, query: Any) -> Sequence[Grant]:  # noqa: ANN401 - a select of records
        return [grant_from_consent(row.record) for row in await self._connection.execute(query)]


def _standing(grant: Grant, at: datetime) -> dict[str, Any]:
    record = consent_changed(grant, at).SerializeToString(deterministic=True)
    return {"state": grant.state.value, "revision": grant.revision, "record": record}
