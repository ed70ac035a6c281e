"""Series and rollups in SQLite or PostgreSQL. data-path.md section 11; ADR 105."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from didymos_kit.database.engine import Database
from sqlalchemy import Table, and_, delete, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_twin_state.adapters.tables import (
    FORECASTS,
    FRESH,
    HELD,
    IS_FOLDED,
    PARCELS,
    ROLLUPS,
    SERIES,
    SHORTENED,
    TWINS,
)
from didymos_twin_state.application.past_ports import (
    Ages,
    ChunkRow,
    Due,
    Extent,
    Folding,
    FreshParcel,
    Glance,
    SeriesRow,
    Window,
)
from didymos_twin_state.application.ports import SealedBlob, StoredParcel

SLICE: Final = 200  # parcels fetched at once
CLAUSES: Final = 200  # of one statement
MOST_VALUES: Final = 5_000  # of one statement; SQLite takes 32,766


_PLACE: Final = (PARCELS.c.t_min_us, PARCELS.c.source_offset, PARCELS.c.idx)


class _NotFreshError(Exception):
    """Another fold, or an erasure, was first."""


class SqlPast:
    """`TwinPast` on kit's database. The parcels that a fold marks are its fence: of two folds one finds them fresh."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def window(self, glance: Glance) -> Window:
        async with self._database.read() as connection:
            fresh = (await connection.execute(_fresh_query(glance.part, glance.twin, *glance.span))).all()
            series, readings = await _series_within(connection, glance)
            chunks: Sequence[Any] = ()
            if glance.step_us:
                asked = _chunk_query(glance.twin, glance.name, glance.step_us, *glance.chunks)
                chunks = (await connection.execute(asked)).all()
        return Window(
            [_fresh(row) for row in fresh], len(fresh) == SLICE, [_series(row) for row in series], readings,
            [_chunk(row) for row in chunks],
        )  # fmt: skip

    async def extents(self, twin: str, name: str, from_us: int, to_us: int, limit: int) -> Sequence[Extent]:
        columns = (SERIES.c.bucket_us, SERIES.c.t_max_us, SERIES.c.readings)
        query = select(*columns).where(_meets(twin, name, from_us, to_us)).order_by(SERIES.c.bucket_us).limit(limit)
        async with self._database.read() as connection:
            return [Extent(*row) for row in await connection.execute(query)]

    async def fresh(self, part: int, twin: str, from_us: int, to_us: int) -> AsyncIterator[FreshParcel]:
        """A slice at a time: an open cursor would pin the file."""
        query = _fresh_query(part, twin, from_us, to_us)
        following = query
        while True:
            async with self._database.read() as connection:
                rows = (await connection.execute(following)).all()
            for row in rows:
                yield _fresh(row)
            if len(rows) < SLICE:
                return
            last = (rows[-1].t_min_us, rows[-1].source_offset, rows[-1].idx)
            following = query.where(tuple_(*_PLACE) > tuple_(*(literal(each) for each in last)))

    async def series(self, twin: str, name: str, from_us: int, to_us: int) -> Sequence[SeriesRow]:
        query = select(SERIES).where(_meets(twin, name, from_us, to_us)).order_by(SERIES.c.bucket_us)
        async with self._database.read() as connection:
            return [_series(row) for row in await connection.execute(query)]

    async def chunks(self, twin: str, name: str, step_us: int, from_us: int, to_us: int) -> Sequence[ChunkRow]:
        async with self._database.read() as connection:
            return [_chunk(row) for row in await connection.execute(_chunk_query(twin, name, step_us, from_us, to_us))]

    async def due(self, part: int, before_us: int, after: str, limit: int) -> Sequence[Due]:
        names = select(PARCELS.c.twin).where(
            PARCELS.c.part == part, FRESH, PARCELS.c.twin > after, PARCELS.c.t_max_us < before_us
        )
        found = names.distinct().order_by(PARCELS.c.twin).limit(limit).subquery()
        query = select(found.c.twin, TWINS.c.profile).outerjoin(TWINS, TWINS.c.id == found.c.twin)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(found.c.twin))).all()
        return [Due(row.twin, row.profile or "") for row in rows]

    async def fold(self, folding: Folding) -> bool:
        try:
            async with self._database.unit_of_work() as tx:
                await _fold(tx.connection, folding)
        except _NotFreshError:
            return False
        return True

    async def expire(self, ages: Ages, limit: int) -> int:
        rules = [
            (PARCELS, and_(IS_FOLDED, PARCELS.c.key_epoch < ages.parcels)),
            (HELD, HELD.c.key_epoch < ages.parcels),
            (SERIES, SERIES.c.key_epoch < ages.series),
            (FORECASTS, FORECASTS.c.key_epoch < ages.series),
            *(
                (ROLLUPS, and_(ROLLUPS.c.step_us == step, ROLLUPS.c.key_epoch < before))
                for step, before in ages.chunks.items()
            ),
        ]
        asked = [(table, select(*table.primary_key.columns).where(old)) for table, old in rules]
        asked += [(table, _shortened(table, ages.today)) for table in (PARCELS, HELD, SERIES, ROLLUPS, FORECASTS)]
        went = 0
        for table, some in asked:
            keys = tuple_(*table.primary_key.columns)
            async with self._database.unit_of_work() as tx:
                went += (await tx.connection.execute(delete(table).where(keys.in_(some.limit(limit))))).rowcount
        return went


async def _fold(connection: AsyncConnection, folding: Folding) -> None:
    twin = folding.twin
    await _mark(connection, folding)
    gone = [
        and_(SERIES.c.property == name, SERIES.c.bucket_us >= begin, SERIES.c.bucket_us < end)
        for name, begin, end in folding.gone
    ]
    for first in range(0, len(gone), CLAUSES):
        await connection.execute(delete(SERIES).where(SERIES.c.twin == twin, or_(*gone[first : first + CLAUSES])))
    series = [
        {
            "twin": twin, "property": row.name, "bucket_us": row.bucket_us, "t_min_us": row.t_min_us,
            "t_max_us": row.t_max_us, "readings": row.readings, **_sealed(row.blob),
        }
        for row in folding.series
    ]  # fmt: skip
    if series:
        await connection.execute(insert(SERIES), series)
    if folding.chunks:
        await _store_chunks(connection, twin, folding.chunks)


async def _mark(connection: AsyncConnection, folding: Folding) -> None:
    """Raises _NotFreshError."""
    place = tuple_(PARCELS.c.source_offset, PARCELS.c.idx)
    marked = 0
    for first in range(0, len(folding.parcels), MOST_VALUES):
        some = list(folding.parcels[first : first + MOST_VALUES])
        mine = update(PARCELS).where(
            PARCELS.c.part == folding.part, PARCELS.c.twin == folding.twin, FRESH, place.in_(some)
        )
        marked += (await connection.execute(mine.values(folded=True))).rowcount
    if marked != len(folding.parcels):
        raise _NotFreshError


def _shortened(table: Table, today: int) -> Any:  # noqa: ANN401 - a query
    """Keys of what owners want to be kept no longer."""
    kept = select(today - TWINS.c.keep_days).where(TWINS.c.id == table.c.twin).scalar_subquery()
    query = select(*table.primary_key.columns).where(
        table.c.twin.in_(select(TWINS.c.id).where(SHORTENED)), table.c.key_epoch < kept
    )
    return query.where(IS_FOLDED) if table is PARCELS else query


async def _store_chunks(connection: AsyncConnection, twin: str, chunks: Sequence[ChunkRow]) -> None:
    """Deleted and inserted: the marked parcels keep all others away."""
    place = tuple_(ROLLUPS.c.property, ROLLUPS.c.step_us, ROLLUPS.c.bucket_us)
    for first in range(0, len(chunks), MOST_VALUES):
        some = [(row.name, row.step_us, row.bucket_us) for row in chunks[first : first + MOST_VALUES]]
        await connection.execute(delete(ROLLUPS).where(ROLLUPS.c.twin == twin, place.in_(some)))
    rows = [
        {
            "twin": twin, "property": row.name, "step_us": row.step_us, "bucket_us": row.bucket_us,
            **_sealed(row.blob),
        }
        for row in chunks
    ]  # fmt: skip
    await connection.execute(insert(ROLLUPS), rows)


def _fresh_query(part: int, twin: str, from_us: int, to_us: int) -> Any:  # noqa: ANN401 - a query
    query = select(PARCELS).where(
        PARCELS.c.part == part, PARCELS.c.twin == twin, FRESH, PARCELS.c.t_min_us < to_us,
        PARCELS.c.t_max_us >= from_us,
    )  # fmt: skip
    return query.order_by(*_PLACE).limit(SLICE)


def _chunk_query(twin: str, name: str, step_us: int, from_us: int, to_us: int) -> Any:  # noqa: ANN401 - a query
    query = select(ROLLUPS).where(
        ROLLUPS.c.twin == twin, ROLLUPS.c.property == name, ROLLUPS.c.step_us == step_us,
        ROLLUPS.c.bucket_us >= from_us, ROLLUPS.c.bucket_us < to_us,
    )  # fmt: skip
    return query.order_by(ROLLUPS.c.bucket_us)


def _meets(twin: str, name: str, from_us: int, to_us: int) -> Any:  # noqa: ANN401 - a condition of SQL
    return and_(
        SERIES.c.twin == twin, SERIES.c.property == name, SERIES.c.bucket_us < to_us, SERIES.c.t_min_us < to_us,
        SERIES.c.t_max_us >= from_us,
    )  # fmt: skip


async def _series_within(connection: AsyncConnection, glance: Glance) -> tuple[Sequence[Any], int]:
    """Rows that meet the stretches, unless they hold too many readings; and how many they hold."""
    if not glance.stretches:
        return (), 0
    meet = or_(*(_meets(glance.twin, glance.name, *stretch) for stretch in glance.stretches))
    counted = await connection.execute(select(func.coalesce(func.sum(SERIES.c.readings), 0)).where(meet))
    readings = int(counted.scalar_one())
    if not readings or readings > glance.most:
        return (), readings
    rows = await connection.execute(select(SERIES).where(meet).order_by(SERIES.c.bucket_us))
    return rows.all(), readings


def _sealed(blob: SealedBlob) -> dict[str, Any]:
    return {"key_epoch": blob.key_epoch, "salt": blob.salt, "sealed": blob.sealed}


def _blob(row: Any) -> SealedBlob:  # noqa: ANN401 - a row of either table
    return SealedBlob(row.key_epoch, row.salt, row.sealed)


def _series(row: Any) -> SeriesRow:  # noqa: ANN401 - a row of SERIES
    return SeriesRow(row.property, row.bucket_us, row.t_min_us, row.t_max_us, row.readings, _blob(row))


def _chunk(row: Any) -> ChunkRow:  # noqa: ANN401 - a row of ROLLUPS
    return ChunkRow(row.property, row.step_us, row.bucket_us, _blob(row))


def _fresh(row: Any) -> FreshParcel:  # noqa: ANN401 - a row of PARCELS
    stored = StoredParcel(row.twin, row.device, row.stream, row.number, row.digest, row.source_offset, _blob(row))
    return FreshParcel(stored, row.idx, row.t_max_us)
