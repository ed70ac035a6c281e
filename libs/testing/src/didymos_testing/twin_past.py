"""What each adapter of twin-state's past promises; the past in memory. Subclasses give the fixture `stores`."""

# ruff: noqa: S101 - a contract is made of tests
import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from didymos_twin_state.application.fold_history import Folder, fold_twin, opened_chunks
from didymos_twin_state.application.past_ports import (
    Ages,
    ChunkRow,
    Due,
    Extent,
    Folding,
    FreshParcel,
    Glance,
    SeriesRow,
    TwinPast,
    Window,
)
from didymos_twin_state.application.ports import Dirty, Marks, ParcelRow, SealedBlob, StoredParcel, TwinHistory
from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import part_of
from didymos_twin_state.domain.columns import merged_readings
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Lifecycle

from didymos_testing.twin_state import MemoryHistory, PlainSeals
from didymos_testing.twin_stores import PART, a_row, a_twin

Stores: TypeAlias = tuple[TwinHistory, TwinPast]
BLOB = SealedBlob(20_000, b"s" * 16, b"sealed")
DAY_US = 86_400_000_000


@dataclass(slots=True)
class MemoryPast:
    """`TwinPast` beside a `MemoryHistory`, whose parcels it folds."""

    history: MemoryHistory
    folded: set[tuple[str, int, int]] = field(default_factory=set)
    rows: dict[tuple[str, str, int], SeriesRow] = field(default_factory=dict)
    entries: dict[tuple[str, str, int, int], ChunkRow] = field(default_factory=dict)

    async def window(self, glance: Glance) -> Window:
        fresh = [each async for each in self.fresh(glance.part, glance.twin, *glance.span)]
        mine = [row for key, row in sorted(self.rows.items()) if key[:2] == (glance.twin, glance.name)]
        rows = [row for row in mine if any(row.t_min_us < e and row.t_max_us >= b for b, e in glance.stretches)]
        readings = sum(row.readings for row in rows)
        chunks = await self.chunks(glance.twin, glance.name, glance.step_us, *glance.chunks)
        shown = rows if readings <= glance.most else []
        return Window(fresh, more=False, series=shown, readings=readings, chunks=chunks)

    async def extents(self, twin: str, name: str, from_us: int, to_us: int, limit: int) -> Sequence[Extent]:
        rows = await self.series(twin, name, from_us, to_us)
        return [Extent(row.bucket_us, row.t_max_us, row.readings) for row in rows][:limit]

    async def fresh(self, _part: int, twin: str, from_us: int, to_us: int) -> AsyncIterator[FreshParcel]:
        order = sorted(self.history.rows, key=lambda each: (each.t_min_us, each.parcel.offset, each.index))
        for row in order:
            parcel = row.parcel
            if (twin, parcel.offset, row.index) in self.folded or parcel.twin != twin:
                continue
            if row.t_min_us < to_us and row.t_max_us >= from_us:
                blob = SealedBlob(row.key_epoch, row.salt, row.sealed)
                stored = StoredParcel(
                    twin, parcel.device, parcel.stream, parcel.number, parcel.digest, parcel.offset, blob
                )
                yield FreshParcel(stored, row.index, row.t_max_us)

    async def series(self, twin: str, name: str, from_us: int, to_us: int) -> Sequence[SeriesRow]:
        mine = [row for (of, about, _), row in sorted(self.rows.items()) if (of, about) == (twin, name)]
        return [row for row in mine if row.t_min_us < to_us and row.t_max_us >= from_us]

    async def chunks(self, twin: str, name: str, step_us: int, from_us: int, to_us: int) -> Sequence[ChunkRow]:
        mine = [row for key, row in sorted(self.entries.items()) if key[:3] == (twin, name, step_us)]
        return [row for row in mine if from_us <= row.bucket_us < to_us]

    async def due(self, _part: int, before_us: int, after: str, limit: int) -> Sequence[Due]:
        found = {
            row.parcel.twin
            for row in self.history.rows
            if (row.parcel.twin, row.parcel.offset, row.index) not in self.folded and row.t_max_us < before_us
        }
        names = sorted(name for name in found if name > after)[:limit]
        twins = self.history.twins
        return [Due(name, twins[name].profile if name in twins else "") for name in names]

    async def fold(self, folding: Folding) -> bool:
        marks = {(folding.twin, offset, index) for offset, index in folding.parcels}
        held = {(row.parcel.twin, row.parcel.offset, row.index) for row in self.history.rows}
        if marks & self.folded or not marks <= held:
            return False
        self.folded |= marks
        for name, begin, end in folding.gone:
            self.rows = {
                key: row
                for key, row in self.rows.items()
                if key[:2] != (folding.twin, name) or not begin <= key[2] < end
            }
        self.rows |= {(folding.twin, row.name, row.bucket_us): row for row in folding.series}
        self.entries |= {(folding.twin, row.name, row.step_us, row.bucket_us): row for row in folding.chunks}
        return True

    async def expire(self, ages: Ages, limit: int) -> int:
        raise NotImplementedError("what is in memory does not grow old")


def series_row(name: str, bucket: int, last: int, blob: SealedBlob = BLOB) -> SeriesRow:
    return SeriesRow(name, bucket, bucket, last, 2, blob)


def a_folding(parcels: Sequence[tuple[int, int]], *series: SeriesRow, twin: str = "t") -> Folding:
    gone = [(row.name, row.bucket_us, row.bucket_us + 100) for row in series]
    chunks = [ChunkRow(row.name, 60, row.bucket_us, row.blob) for row in series]
    return Folding(twin, PART, parcels, gone, series, chunks)


async def holding(stores: Stores, *begins: int, twin: str = "t") -> None:
    history, _ = stores
    claimed = await history.claim(PART, "a")
    rows = [a_row(twin, at, begin) for at, begin in enumerate(begins)]
    dirty = Dirty(parcels=rows, twins={twin: a_twin(twin)})
    await history.checkpoint(PART, claimed.epoch, Marks(), Marks(len(begins), 0), dirty)


async def offsets(past: TwinPast, begin: int = 0, end: int = 10**9, twin: str = "t") -> list[int]:
    return [each.stored.offset async for each in past.fresh(PART, twin, begin, end)]


class PastContract:
    """A fold is one transaction over parcels that are fresh; nothing is seen of one that lost."""

    async def test_fresh_parcels_come_in_order_and_once(self, stores: Stores) -> None:
        await holding(stores, *(1000 - at // 3 for at in range(450)))
        found = await offsets(stores[1])
        assert found == sorted(range(450), key=lambda at: (1000 - at // 3, at))
        assert await offsets(stores[1], 1001, 2000) == [0, 1, 2]
        assert await offsets(stores[1], twin="u") == []

    async def test_what_is_folded_is_fresh_no_more_and_shown_by_its_series(self, stores: Stores) -> None:
        await holding(stores, 10, 20, 300)
        row = series_row("p", 0, 99)
        assert await stores[1].fold(a_folding([(0, 0), (1, 0)], row))
        assert await offsets(stores[1]) == [2]
        assert list(await stores[1].series("t", "p", 50, 99)) == [row]
        assert list(await stores[1].series("t", "p", 100, 900)) == []
        assert list(await stores[1].series("t", "q", 0, 900)) == []
        assert [each.bucket_us for each in await stores[1].chunks("t", "p", 60, 0, 1)] == [0]
        assert list(await stores[1].chunks("t", "p", 61, 0, 1)) == []

    async def test_of_two_folds_of_one_parcel_the_second_writes_nothing(self, stores: Stores) -> None:
        await holding(stores, 10, 20)
        assert await stores[1].fold(a_folding([(0, 0)], series_row("p", 0, 99)))
        late = a_folding([(0, 0), (1, 0)], series_row("p", 0, 50, SealedBlob(1, b"s", b"other")))
        assert not await stores[1].fold(late)
        assert [row.t_max_us for row in await stores[1].series("t", "p", 0, 900)] == [99]
        assert await offsets(stores[1]) == [1]

    async def test_a_fold_replaces_the_series_and_chunks_of_its_bucket(self, stores: Stores) -> None:
        await holding(stores, 10, 20)
        await stores[1].fold(a_folding([(0, 0)], series_row("p", 0, 9), series_row("p", 40, 49)))
        wide = Folding("t", PART, [(1, 0)], [("p", 0, 100)], [series_row("p", 0, 99)], [])
        assert await stores[1].fold(wide)
        assert [row.t_max_us for row in await stores[1].series("t", "p", 0, 900)] == [99]

    async def test_twins_that_are_due_come_page_by_page(self, stores: Stores) -> None:
        history, past = stores
        claimed = await history.claim(PART, "a")
        rows = [a_row(twin, at, begin) for at, (twin, begin) in enumerate([("a", 10), ("b", 500), ("c", 20), ("d", 5)])]
        dirty = Dirty(parcels=rows, twins={"a": a_twin("a"), "c": a_twin("c")})
        await history.checkpoint(PART, claimed.epoch, Marks(), Marks(4, 0), dirty)
        assert list(await past.due(PART, 400, "", 2)) == [Due("a", "glucose@1"), Due("c", "glucose@1")]
        assert list(await past.due(PART, 400, "c", 2)) == [Due("d", "")]

    async def test_a_fold_of_an_erased_twin_writes_nothing(self, stores: Stores) -> None:
        history, past = stores
        await holding(stores, 10)
        claimed = await history.claim(PART, "b")
        erased = Dirty(twins={"t": a_twin("t", Lifecycle.ERASED)})
        await history.checkpoint(PART, claimed.epoch, Marks(1, 0), Marks(1, 1), erased)
        assert not await past.fold(a_folding([(0, 0)], series_row("p", 0, 99)))
        assert list(await past.series("t", "p", 0, 900)) == []

    async def test_a_window_shows_all_of_one_moment(self, stores: Stores) -> None:
        await holding(stores, 10, 20, 300)
        rows = [series_row("p", 0, 99), series_row("p", 100, 199), series_row("p", 200, 299)]
        await stores[1].fold(a_folding([(0, 0), (1, 0)], *rows))
        glance = Glance(PART, "t", "p", (0, 900), [(10, 20), (250, 260)], 4, 60, (0, 101))
        found = await stores[1].window(glance)
        assert [each.stored.offset for each in found.fresh] == [2]
        assert ([row.bucket_us for row in found.series], found.readings, found.more) == ([0, 200], 4, False)
        assert [row.bucket_us for row in found.chunks] == [0, 100]
        wide = await stores[1].window(replace(glance, most=3, step_us=0, span=(0, 10)))
        assert (list(wide.fresh), list(wide.series), wide.readings, list(wide.chunks)) == ([], [], 4, [])
        nothing = await stores[1].window(replace(glance, stretches=()))
        assert (list(nothing.series), nothing.readings) == ([], 0)
        assert [each.readings for each in await stores[1].extents("t", "p", 0, 150, 9)] == [2, 2]
        assert [each.bucket_us for each in await stores[1].extents("t", "p", 50, 900, 2)] == [0, 100]


class StoredPastContract(PastContract):
    """Beside that, of databases: erasure takes series and chunks, age takes what may go, a slice at a time."""

    async def test_erasure_takes_series_and_rollups(self, stores: Stores) -> None:
        history, past = stores
        await holding(stores, 10)
        await past.fold(a_folding([(0, 0)], series_row("p", 0, 99)))
        claimed = await history.claim(PART, "b")
        erased = Dirty(twins={"t": a_twin("t", Lifecycle.ERASED)})
        await history.checkpoint(PART, claimed.epoch, Marks(1, 0), Marks(1, 1), erased)
        assert list(await past.series("t", "p", 0, 900)) == []
        assert list(await past.chunks("t", "p", 60, 0, 1)) == []

    async def test_only_what_is_folded_and_old_goes_a_slice_at_a_time(self, stores: Stores) -> None:
        history, past = stores
        await holding(stores, 10, 20, 30, 40)
        rows = [series_row("p", 0, 9), series_row("p", 100, 109, replace(BLOB, key_epoch=20_001))]
        await past.fold(a_folding([(0, 0), (1, 0)], *rows))
        assert await past.expire(Ages(20_000, 20_000, {60: 20_000}, 20_005), 10) == 0
        ages = Ages(parcels=20_001, series=20_001, chunks={60: 20_001, 61: 99_999}, today=20_005)
        assert await past.expire(ages, 1) == 3  # a parcel, a row of series, a chunk
        assert await past.expire(ages, 10) == 1
        assert await past.expire(ages, 10) == 0
        assert [stored.offset async for stored in history.parcels("t", 0, 10**9)] == [2, 3]
        assert await offsets(past) == [2, 3]
        assert [row.bucket_us for row in await past.series("t", "p", 0, 900)] == [100]
        assert [row.bucket_us for row in await past.chunks("t", "p", 60, 0, 900)] == [100]

    async def test_of_many_folds_at_once_one_writes(self, stores: Stores) -> None:
        await holding(stores, 10, 20, 30)
        foldings = [a_folding([(0, 0), (at % 3, 0)] if at % 3 else [(0, 0)], series_row("p", 0, at)) for at in range(9)]
        won = await asyncio.gather(*(stores[1].fold(folding) for folding in foldings))
        assert won.count(True) == 1
        assert [row.t_max_us for row in await stores[1].series("t", "p", 0, 900)] == [won.index(True)]

    async def test_an_owner_has_the_past_of_its_twin_go_sooner(self, stores: Stores) -> None:
        history, past = stores
        await holding(stores, 10, 20)
        await past.fold(a_folding([(0, 0)], series_row("p", 0, 9)))
        claimed = await history.claim(PART, "b")
        shortened = Dirty(twins={"t": replace(a_twin("t"), keep_days=5)})
        await history.checkpoint(PART, claimed.epoch, await history.marks(PART), Marks(9, 1), shortened)
        assert await past.expire(Ages(0, 0, {60: 0}, today=20_005), 10) == 0
        assert await past.expire(Ages(0, 0, {60: 0}, today=20_006), 10) == 3
        assert await offsets(past) == [1]
        assert list(await past.series("t", "p", 0, 900)) == []

    async def test_folded_equals_raw_on_this_database_too(self, stores: Stores) -> None:
        history, past = stores
        seals, parcels = PlainSeals(), dict[int, OpenParcel]()

        async def opened(stored: StoredParcel) -> OpenParcel | None:
            return parcels[stored.offset]

        reader = Past(history, past, opened, seals, 1.0)
        folder, part, draw = Folder(past, opened, seals), part_of("t"), np.random.default_rng(7)
        claimed = await history.claim(part, "a")
        for offset in range(12):  # late ones among them, over three days, one taken back
            times = draw.integers(0, 3 * DAY_US, 50).astype(np.int64)
            quality = np.full(50, 90, np.uint8)
            column = Column("p", "u", times, draw.normal(0, 9, 50), quality, quality * 0, np.arange(50), offset == 7)
            parcels[offset] = OpenParcel("t", "d", 1, offset + 1, offset.to_bytes(32, "big"), (column,), offset)
            row = ParcelRow(parcels[offset], 0, 1, b"", b"", int(times.min()), int(times.max()))
            dirty = Dirty(parcels=[row], twins={"t": replace(a_twin("t"), part=part)})
            await history.checkpoint(part, claimed.epoch, Marks(offset, 0), Marks(offset + 1, 0), dirty)
            if offset % 4 == 3:
                assert await fold_twin(Due("t", ""), None, 9 * DAY_US, folder) == 4
            raw = merged_readings(parcels.values(), "p", (0, 3 * DAY_US))
            found = await reader.readings("t", "p", (0, 3 * DAY_US))
            assert (found.times_us.tolist(), list(found.values)) == (raw.times_us.tolist(), list(raw.values))
        chunks = await opened_chunks("t", await past.chunks("t", "p", DAY_US, 0, 1), seals)
        entries, numbers = chunks[0].entries, raw.numbers
        assert numbers is not None
        assert entries["count"].sum() == len(numbers)
        assert abs(entries["sum"].sum() - numbers.sum()) <= 1e-12 * np.abs(numbers).sum()
