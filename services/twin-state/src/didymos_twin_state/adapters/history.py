"""The durable side of twins: checkpoints, snapshots, parcels and projections, in SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from didymos_kit.database.engine import Database
from sqlalchemy import Table, delete, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_twin_state.adapters.tables import (
    ATTRIBUTES,
    CHECKPOINTS,
    HELD,
    PARCELS,
    RELATIONS,
    ROLLUPS,
    SERIES,
    SNAPSHOTS,
    TWINS,
)
from didymos_twin_state.application.ports import (
    Checkpoint,
    Dirty,
    Fenced,
    Marks,
    Moved,
    ParcelRow,
    SealedBlob,
    StoredParcel,
)
from didymos_twin_state.domain.geo import cell_of
from didymos_twin_state.domain.search import Clear
from didymos_twin_state.domain.twin import Lifecycle

ERASED: Final = (PARCELS, HELD, SNAPSHOTS, SERIES, ROLLUPS, ATTRIBUTES)  # parcels first: they fence a fold
PROJECTED: Final = ("owner", "profile", "lifecycle", "revision", "keep_days", "place", "cell", "lon", "lat")
SLICE: Final = 200  # parcels fetched at once


class SqlHistory:
    """`TwinHistory` on kit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, part: int, owner: str) -> Checkpoint:
        row = {"part": part, "epoch": 1, "owner": owner, "readings": 0, "writes": 0}
        async with self._database.unit_of_work() as tx:
            statement = _upsert(tx.connection, CHECKPOINTS).values(row)
            raised = {"epoch": CHECKPOINTS.c.epoch + 1, "owner": owner}
            claimed = statement.on_conflict_do_update(index_elements=["part"], set_=raised)
            columns = (CHECKPOINTS.c.epoch, CHECKPOINTS.c.readings, CHECKPOINTS.c.writes)
            epoch, readings, writes = (await tx.connection.execute(claimed.returning(*columns))).one()
        return Checkpoint(epoch, Marks(readings, writes))

    async def checkpoint(self, part: int, epoch: int, expected: Marks, reached: Marks, rows: Dirty) -> None:
        async with self._database.unit_of_work() as tx:
            await _advance(tx.connection, part, epoch, expected, reached)
            await _store_parcels(tx.connection, PARCELS, part, rows.parcels)
            await _store_parcels(tx.connection, HELD, part, rows.held)
            if rows.blobs:
                blobs = [
                    {"part": part, "twin": twin, "key_epoch": b.key_epoch, "salt": b.salt, "sealed": b.sealed}
                    for twin, b in rows.blobs.items()
                ]
                await _replace(tx.connection, SNAPSHOTS, blobs)
            if rows.twins:
                await _project(tx.connection, rows)

    async def snapshot(self, part: int, twin: str) -> SealedBlob | None:
        query = select(SNAPSHOTS.c.key_epoch, SNAPSHOTS.c.salt, SNAPSHOTS.c.sealed)
        query = query.where(SNAPSHOTS.c.part == part, SNAPSHOTS.c.twin == twin)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else SealedBlob(row.key_epoch, row.salt, row.sealed)

    async def holds(self, twin: str, digest: bytes, t_min_us: int) -> int | None:
        query = select(PARCELS.c.source_offset).where(
            PARCELS.c.twin == twin, PARCELS.c.t_min_us == t_min_us, PARCELS.c.digest == digest
        )
        async with self._database.read() as connection:
            found: int | None = (await connection.execute(query.limit(1))).scalar_one_or_none()
        return found

    async def parcels(self, twin: str, from_us: int, to_us: int) -> AsyncIterator[StoredParcel]:
        """A slice at a time, by (t_min, place): an open cursor would pin the file."""
        spans = select(TWINS.c.span_max_us).where(TWINS.c.id == twin)
        place = (PARCELS.c.t_min_us, PARCELS.c.source_offset, PARCELS.c.idx)
        after: tuple[int, int, int] | None = None
        while True:
            async with self._database.read() as connection:
                span = (await connection.execute(spans)).scalar_one_or_none() or 0
                query = select(PARCELS).where(
                    PARCELS.c.twin == twin, PARCELS.c.t_min_us < to_us, PARCELS.c.t_max_us >= from_us,
                    PARCELS.c.t_min_us >= from_us - span,
                )  # fmt: skip
                if after is not None:
                    query = query.where(_after(place, after))
                rows = (await connection.execute(query.order_by(*place).limit(SLICE))).all()
            for row in rows:
                yield _stored(row)
            if len(rows) < SLICE:
                return
            after = (rows[-1].t_min_us, rows[-1].source_offset, rows[-1].idx)

    async def marks(self, part: int) -> Marks:
        query = select(CHECKPOINTS.c.readings, CHECKPOINTS.c.writes).where(CHECKPOINTS.c.part == part)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return Marks() if row is None else Marks(row.readings, row.writes)

    async def incoming(self, twin: str) -> Sequence[tuple[str, str]]:
        query = select(RELATIONS.c.source, RELATIONS.c.name).where(RELATIONS.c.target == twin, RELATIONS.c.accepted)
        async with self._database.read() as connection:
            return [(row.source, row.name) for row in await connection.execute(query.order_by(RELATIONS.c.source))]


async def _advance(connection: AsyncConnection, part: int, epoch: int, expected: Marks, reached: Marks) -> None:
    """Raises Fenced or Moved: then nothing of the checkpoint is stored."""
    mine = update(CHECKPOINTS).where(
        CHECKPOINTS.c.part == part, CHECKPOINTS.c.epoch == epoch,
        CHECKPOINTS.c.readings == expected.readings, CHECKPOINTS.c.writes == expected.writes,
    )  # fmt: skip
    moved = await connection.execute(mine.values(readings=reached.readings, writes=reached.writes))
    if moved.rowcount == 1:
        return
    found = await connection.execute(select(CHECKPOINTS.c.epoch).where(CHECKPOINTS.c.part == part))
    if found.scalar_one_or_none() != epoch:
        raise Fenced
    raise Moved


async def _store_parcels(connection: AsyncConnection, table: Table, part: int, rows: Sequence[ParcelRow]) -> None:
    if not rows:
        return
    values = [
        {
            "part": part, "source_offset": row.parcel.offset, "idx": row.index, "twin": row.parcel.twin,
            "device": row.parcel.device, "stream": row.parcel.stream, "number": row.parcel.number,
            "digest": row.parcel.digest, "t_min_us": row.t_min_us, "t_max_us": row.t_max_us,
            "readings": row.parcel.count, "key_epoch": row.key_epoch, "salt": row.salt, "sealed": row.sealed,
        }
        for row in rows
    ]  # fmt: skip
    await connection.execute(insert(table), values)


async def _project(connection: AsyncConnection, rows: Dirty) -> None:
    """Rows of twins and their relations; what was stored of an erased twin goes."""
    spans: dict[str, int] = {}
    for row in rows.parcels:
        twin = row.parcel.twin
        spans[twin] = max(spans.get(twin, 0), row.t_max_us - row.t_min_us)
    twins = [
        {
            "id": twin.twin, "part": twin.part, "owner": twin.owner, "profile": twin.profile,
            "lifecycle": twin.lifecycle, "revision": twin.revision, "span_max_us": spans.get(twin.twin, 0),
            "keep_days": twin.keep_days, **_place(twin.clear),
        }
        for twin in rows.twins.values()
    ]  # fmt: skip
    statement = _upsert(connection, TWINS)
    new = statement.excluded
    widest = _widest(connection)(TWINS.c.span_max_us, new.span_max_us)
    changed = {name: new[name] for name in PROJECTED} | {"span_max_us": widest}
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), twins)
    edges = [
        {"source": twin.twin, "name": edge.name, "target": edge.target, "accepted": edge.accepted}
        for twin in rows.twins.values()
        for edge in twin.relations
    ]
    await connection.execute(delete(RELATIONS).where(RELATIONS.c.source.in_(list(rows.twins))))
    if edges:
        await connection.execute(insert(RELATIONS), edges)
    await _project_attributes(connection, rows)
    erased = [twin.twin for twin in rows.twins.values() if twin.lifecycle == Lifecycle.ERASED]
    for table in ERASED if erased else ():
        await connection.execute(delete(table).where(table.c.twin.in_(erased)))


async def _project_attributes(connection: AsyncConnection, rows: Dirty) -> None:
    """Of twins that are searchable: most are not."""
    clear = {twin.twin: twin.clear for twin in rows.twins.values() if twin.clear is not None}
    if not clear:
        return
    await connection.execute(delete(ATTRIBUTES).where(ATTRIBUTES.c.twin.in_(list(clear))))
    values = [
        {
            "twin": twin, "name": name, "number": None if isinstance(value, str) else value,
            "text": value if isinstance(value, str) else None,
        }
        for twin, said in clear.items()
        for name, value in said.attributes.items()
    ]  # fmt: skip
    if values:
        await connection.execute(insert(ATTRIBUTES), values)


def _place(clear: Clear | None) -> dict[str, Any]:
    if clear is None or clear.place is None:
        return {"place": "", "cell": None, "lon": None, "lat": None}
    place = clear.place
    return {"place": clear.where, "cell": cell_of(place), "lon": place.lon, "lat": place.lat}


async def _replace(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    statement = _upsert(connection, table)
    keys = [column.name for column in table.primary_key.columns]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def _upsert(connection: AsyncConnection, table: Table) -> Any:  # noqa: ANN401 - the insert of either dialect
    return sqlite_insert(table) if connection.dialect.name == "sqlite" else postgres_insert(table)


def _widest(connection: AsyncConnection) -> Any:  # noqa: ANN401 - a function of SQL
    return func.max if connection.dialect.name == "sqlite" else func.greatest


def _after(place: Sequence[Any], after: tuple[int, int, int]) -> Any:  # noqa: ANN401 - a condition of SQL
    return tuple_(*place) > tuple_(*(literal(each) for each in after))


def _stored(row: Any) -> StoredParcel:  # noqa: ANN401 - a row of PARCELS
    blob = SealedBlob(row.key_epoch, row.salt, row.sealed)
    return StoredParcel(row.twin, row.device, row.stream, row.number, row.digest, row.source_offset, blob)
