"""The durable side of twins: checkpoints, snapshots, parcels and projections, in SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from didymos_kit.database.engine import Database
from sqlalchemy import Table, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_twin_state.adapters.bulk import delete_rows, insert_rows
from didymos_twin_state.adapters.tables import (
    ATTRIBUTES,
    CHECKPOINTS,
    FORECASTS,
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

ERASED: Final = (PARCELS, HELD, SNAPSHOTS, SERIES, ROLLUPS, ATTRIBUTES, FORECASTS)  # parcels first: they fence a fold
SNAPSHOT_COLUMNS: Final = ("part", "twin", "key_epoch", "salt", "sealed")
PARCEL_COLUMNS: Final = (
    "part", "source_offset", "idx", "twin", "device", "stream", "number", "digest", "t_min_us", "t_max_us", "readings",
    "key_epoch", "salt", "sealed",
)  # fmt: skip
TWIN_COLUMNS: Final = (
    "id", "part", "owner", "profile", "lifecycle", "revision", "span_max_us", "keep_days", "place", "cell", "lon",
    "lat",
)  # fmt: skip
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
            blobs = [(part, twin, each.key_epoch, each.salt, each.sealed) for twin, each in rows.blobs.items()]
            await insert_rows(tx.connection, SNAPSHOTS, SNAPSHOT_COLUMNS, blobs, replace=True)
            if rows.twins:
                await _project(tx.connection, rows)

    async def snapshot(self, part: int, twin: str) -> SealedBlob | None:
        return (await self.snapshots(part, [twin])).get(twin)

    async def snapshots(self, part: int, twins: Collection[str]) -> Mapping[str, SealedBlob]:
        query = select(SNAPSHOTS.c.twin, SNAPSHOTS.c.key_epoch, SNAPSHOTS.c.salt, SNAPSHOTS.c.sealed)
        query = query.where(SNAPSHOTS.c.part == part, SNAPSHOTS.c.twin.in_(list(twins)))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.twin: SealedBlob(row.key_epoch, row.salt, row.sealed) for row in rows}

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
    values = [
        (
            part, said.offset, row.index, said.twin, said.device, said.stream, said.number, said.digest, row.t_min_us,
            row.t_max_us, said.count, row.key_epoch, row.salt, row.sealed,
        )
        for row in rows
        for said in (row.parcel,)
    ]  # fmt: skip
    await insert_rows(connection, table, PARCEL_COLUMNS, values)


async def _project(connection: AsyncConnection, rows: Dirty) -> None:
    """Rows of twins and their relations; what was stored of an erased twin goes."""
    spans: dict[str, int] = {}
    for row in rows.parcels:
        twin = row.parcel.twin
        spans[twin] = max(spans.get(twin, 0), row.t_max_us - row.t_min_us)
    twins = [
        (
            each.twin, each.part, each.owner, each.profile, each.lifecycle, each.revision, spans.get(each.twin, 0),
            each.keep_days, *_place(each.clear),
        )
        for each in rows.twins.values()
    ]  # fmt: skip
    await insert_rows(connection, TWINS, TWIN_COLUMNS, twins, replace=True, widest="span_max_us")
    edges = [
        (each.twin, edge.name, edge.target, edge.accepted) for each in rows.twins.values() for edge in each.relations
    ]
    await delete_rows(connection, RELATIONS, "source", rows.twins)
    await insert_rows(connection, RELATIONS, ("source", "name", "target", "accepted"), edges)
    await _project_attributes(connection, rows)
    erased = [twin.twin for twin in rows.twins.values() if twin.lifecycle == Lifecycle.ERASED]
    for table in ERASED:
        await delete_rows(connection, table, "twin", erased)


async def _project_attributes(connection: AsyncConnection, rows: Dirty) -> None:
    """Of twins that are searchable: most are not."""
    clear = {twin.twin: twin.clear for twin in rows.twins.values() if twin.clear is not None}
    await delete_rows(connection, ATTRIBUTES, "twin", clear)
    values = [
        (twin, name, None if isinstance(value, str) else value, value if isinstance(value, str) else None)
        for twin, said in clear.items()
        for name, value in said.attributes.items()
    ]
    await insert_rows(connection, ATTRIBUTES, ("twin", "name", "number", "text"), values)


def _place(clear: Clear | None) -> tuple[str, int | None, float | None, float | None]:
    """`place`, `cell`, `lon` and `lat` of a twin."""
    if clear is None or clear.place is None:
        return "", None, None, None
    place = clear.place
    return clear.where, cell_of(place), place.lon, place.lat


def _upsert(connection: AsyncConnection, table: Table) -> Any:  # noqa: ANN401 - the insert of either dialect
    return sqlite_insert(table) if connection.dialect.name == "sqlite" else postgres_insert(table)


def _after(place: Sequence[Any], after: tuple[int, int, int]) -> Any:  # noqa: ANN401 - a condition of SQL
    return tuple_(*place) > tuple_(*(literal(each) for each in after))


def _stored(row: Any) -> StoredParcel:  # noqa: ANN401 - a row of PARCELS
    blob = SealedBlob(row.key_epoch, row.salt, row.sealed)
    return StoredParcel(row.twin, row.device, row.stream, row.number, row.digest, row.source_offset, blob)
