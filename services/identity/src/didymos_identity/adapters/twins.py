"""Twins, devices, subjects and token keys in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from didymos_did import DeviceEnrolment, Did, KeyId, SubjectStatus, TwinId
from didymos_kit.database.seen import insert_missing
from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_identity.adapters.sql import upsert
from didymos_identity.adapters.tables import DEVICES, SUBJECTS, TOKEN_KEYS, TWINS
from didymos_identity.domain.device import Device
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.token_key import TokenKey
from didymos_identity.domain.twin import Twin, TwinState

AT_ONCE: Final = 500  # names in one question: SQLite takes 32,766 parameters, but plans them one by one


class SqlTwins:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, twin: Twin) -> bool:
        return await insert_missing(self._connection, TWINS, [_twin_row(twin)]) == 1

    async def lock(self, twin: TwinId) -> Twin | None:
        query = select(TWINS).where(TWINS.c.id == twin).with_for_update()  # SQLite: BEGIN IMMEDIATE is the lock
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _twin(row)

    async def find(self, *twins: TwinId) -> Mapping[TwinId, Twin]:
        found: dict[TwinId, Twin] = {}
        for start in range(0, len(twins), AT_ONCE):
            query = select(TWINS).where(TWINS.c.id.in_(twins[start : start + AT_ONCE]))
            found.update({TwinId(Did(row.id)): _twin(row) for row in await self._connection.execute(query)})
        return found

    async def save(self, twin: Twin) -> None:
        row = _twin_row(twin)
        await self._connection.execute(update(TWINS).where(TWINS.c.id == twin.id).values(row))

    async def owned_by(self, owner: Did) -> bool:
        return bool((await self._connection.execute(select(exists().where(TWINS.c.owner == owner)))).scalar())

    async def in_state(self, state: TwinState) -> Sequence[TwinId]:
        rows = await self._connection.execute(select(TWINS.c.id).where(TWINS.c.state == state.value))
        return [TwinId(Did(row.id)) for row in rows]


def _twin(row: Any) -> Twin:  # noqa: ANN401 - a row
    return Twin(TwinId(Did(row.id)), Did(row.owner), row.registered_at, TwinState(row.state), row.revision)


def _twin_row(twin: Twin) -> dict[str, Any]:
    return {
        "id": twin.id, "owner": twin.owner, "state": twin.state.value, "revision": twin.revision,
        "registered_at": twin.registered_at,
    }  # fmt: skip


class SqlDevices:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, device: Did, twin: TwinId) -> Device | None:
        query = select(DEVICES).where(DEVICES.c.id == device, DEVICES.c.twin == twin).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _device(row)

    async def save(self, device: Device) -> None:
        said = device.enrolment
        await upsert(self._connection, DEVICES, {
            "id": said.device, "twin": said.twin, "owner": said.owner, "paths": list(said.paths),
            "max_rate": said.max_rate, "profile": said.profile, "aliases": list(said.aliases),
            "valid_from": said.valid_from, "valid_until": said.valid_until, "digest": said.digest,
            "revision": device.revision, "lost_since": device.lost_since,
        })  # fmt: skip

    async def known(self, device: Did) -> bool:
        return bool((await self._connection.execute(select(exists().where(DEVICES.c.id == device)))).scalar())


def _device(row: Any) -> Device:  # noqa: ANN401 - a row
    enrolment = DeviceEnrolment(
        Did(row.owner), Did(row.id), TwinId(Did(row.twin)), tuple(row.paths), row.max_rate, row.profile,
        row.valid_from, row.valid_until, row.digest, tuple(row.aliases),
    )  # fmt: skip
    return Device(enrolment, row.revision, row.lost_since)


class SqlSubjects:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, did: Did) -> Subject | None:
        """A first change has no row to lock: it puts one there, so that two administrators meet."""
        start = {"did": did, "kind": "", "status": SubjectStatus.ACTIVE.name, "revision": 0}
        if await insert_missing(self._connection, SUBJECTS, [start]) == 1:
            return None
        query = select(SUBJECTS).where(SUBJECTS.c.did == did).with_for_update()
        row = (await self._connection.execute(query)).one()
        return Subject(Did(row.did), row.kind, SubjectStatus[row.status], row.revision)

    async def save(self, subject: Subject) -> None:
        values = {"kind": subject.kind, "status": subject.status.name, "revision": subject.revision}
        await self._connection.execute(update(SUBJECTS).where(SUBJECTS.c.did == subject.did).values(values))


class SqlTokenKeys:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: TokenKey) -> None:
        await upsert(self._connection, TOKEN_KEYS, {
            "kid": key.kid, "multikey": key.multikey, "not_before": key.not_before, "not_after": key.not_after,
        })  # fmt: skip

    async def forget(self, ended_before: datetime) -> Sequence[TokenKey]:
        statement = delete(TOKEN_KEYS).where(TOKEN_KEYS.c.not_after < ended_before).returning(TOKEN_KEYS)
        rows = await self._connection.execute(statement)
        return [TokenKey(KeyId(row.kid), row.multikey, row.not_before, row.not_after) for row in rows]
