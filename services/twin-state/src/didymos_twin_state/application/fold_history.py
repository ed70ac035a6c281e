"""Folding: parcels of closed hours or days become series and rollups. data-path.md section 11; ADR 105.

A fold adds to what is stored, so nothing needs to be known of buckets that are stale: late parcels are folded like
others, and a fold that is repeated writes what is there already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from didymos_readings import Profile

from didymos_twin_state.application.past_ports import ChunkRow, Due, Extent, Folding, FreshParcel, SeriesRow, TwinPast
from didymos_twin_state.application.permits import feature
from didymos_twin_state.application.ports import SealedBlob, Seals, StoredParcel
from didymos_twin_state.application.read_twin import part_of
from didymos_twin_state.domain.columns import MixedUnitsError, Slab, joined, readings_of, settled, slabs_of
from didymos_twin_state.domain.packing import Chunk, pack_chunk, pack_slab, unpack_chunk, unpack_slab
from didymos_twin_state.domain.reading import OpenParcel
from didymos_twin_state.domain.rollup import (
    CHUNK_US,
    DAY_US,
    HOUR_US,
    MINUTE_US,
    NONE,
    Entries,
    entries_of,
    replaced,
    rolled,
)

GRACE_US: Final = 5 * MINUTE_US  # after a bucket closed
SLOW_SECONDS: Final = 60.0  # readings this far apart make buckets of a day
PARCELS: Final = 500  # of one fold
READINGS: Final = 200_000
TURN: Final = 32  # parcels opened between two looks at the event loop
ROWS: Final = 100  # of a day: there are 24 hours in it
DAY_READINGS: Final = 20_000  # of one row
Open: TypeAlias = Callable[[StoredParcel], Awaitable[OpenParcel | None]]


class ErasedError(Exception):
    """The keys of the twin are destroyed: there is nothing to fold."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What folding works with."""

    past: TwinPast
    opened: Open
    seals: Seals


def bucket_us(profile: Profile | None) -> int:
    """A day if what comes regularly under this profile comes at most once a minute, else an hour."""
    rules = [] if profile is None or profile.other is not None else list(profile.properties.values())
    periods = [rule.period_s for rule in rules if rule.period_s is not None]
    return DAY_US if periods and min(periods) >= SLOW_SECONDS else HOUR_US


async def fold_twin(due: Due, profile: Profile | None, now_us: int, folder: Folder) -> int:
    """Fold the oldest fresh parcels of closed buckets. How many were folded: 0 when there are none, or others did."""
    size = bucket_us(profile)
    closed_us = (now_us - GRACE_US) // size * size
    part, taken, slabs = part_of(due.twin), [], dict[str, list[Slab]]()
    readings = 0
    async with aclosing(folder.past.fresh(part, due.twin, 0, closed_us)) as found:  # type: ignore[type-var]
        async for fresh in found:
            if fresh.t_max_us >= closed_us:
                continue
            parcel = await folder.opened(fresh.stored)
            if parcel is None:
                return 0
            taken.append(fresh)
            readings += parcel.count
            if len(taken) % TURN == 0:
                await asyncio.sleep(0)
            for name in {column.property for column in parcel.whole}:
                slabs.setdefault(name, []).extend(slabs_of(parcel, name))
            if len(taken) >= PARCELS or readings >= READINGS:
                break
    if not taken:
        return 0
    written = _Written(due.twin, part, taken)
    try:
        for name, each in slabs.items():
            await _property(name, joined(each), size, closed_us, written, folder)
    except ErasedError:
        return 0
    return len(taken) if await folder.past.fold(written.folding()) else 0


@dataclass(slots=True)
class _Written:
    """The fold as it is put together."""

    twin: str
    part: int
    taken: list[FreshParcel]
    gone: list[tuple[str, int, int]] = field(default_factory=list)
    series: list[SeriesRow] = field(default_factory=list)
    chunks: list[ChunkRow] = field(default_factory=list)

    def folding(self) -> Folding:
        places = [(each.stored.offset, each.index) for each in self.taken]
        return Folding(self.twin, self.part, places, self.gone, self.series, self.chunks)


async def _property(name: str, fresh: Slab, size: int, closed_us: int, written: _Written, folder: Folder) -> None:
    chunks = _Chunks(written.twin, name, folder)
    for day in np.unique(fresh.times_us // DAY_US).tolist():
        begin, end = day * DAY_US, (day + 1) * DAY_US
        mine = fresh.within(begin, end)
        extents = await folder.past.extents(written.twin, name, begin, end, ROWS)
        aged = bool(extents) and not await folder.past.chunks(written.twin, name, MINUTE_US, begin, begin + 1)
        buckets, whole = _buckets(mine, extents, size, begin, closed=end <= closed_us, aged=aged)
        written.gone += [(name, begin, end)] if whole else [(name, *bucket) for bucket in buckets]
        for bucket in buckets:
            rows = await folder.past.series(written.twin, name, *bucket)
            held = await opened_slabs(written.twin, rows, folder.seals)
            slab = settled(joined([*held, mine]).within(*bucket))
            if len(slab):
                times, blob = slab.times_us, await _seal(written.twin, name, pack_slab(slab), folder.seals)
                written.series.append(
                    SeriesRow(name, bucket[0], int(times[0]), int(times[-1]), len(slab), blob)
                )  # fmt: skip
                await _roll(slab, bucket, chunks, adds=not held)
    written.chunks += await chunks.rows()


def _buckets(
    fresh: Slab, extents: Sequence[Extent], size: int, day_us: int, *, closed: bool, aged: bool
) -> tuple[list[tuple[int, int]], bool]:
    """The buckets of a day that are written anew, and whether they replace all that is stored of it.

    A closed day becomes one row if it holds few enough readings, and hours again once it holds too many. `aged`: its
    entries of minutes went before its series did, so that all of them are made anew.
    """
    wide = aged or any(row.t_max_us >= row.bucket_us + HOUR_US for row in extents)
    few = len(fresh) + sum(row.readings for row in extents) <= DAY_READINGS
    if size == DAY_US or (few and (closed or wide)):
        return [(day_us, day_us + DAY_US)], True
    hours = (
        range(day_us, day_us + DAY_US, HOUR_US) if wide else (np.unique(fresh.times_us // HOUR_US) * HOUR_US).tolist()
    )
    return [(hour, hour + HOUR_US) for hour in hours], wide


async def _roll(slab: Slab, bucket: tuple[int, int], chunks: "_Chunks", *, adds: bool) -> None:
    """Entries of all steps that the bucket touches. `adds`: no series of it is left, so that entries are added to."""
    try:
        found = readings_of(slab, bucket)
    except MixedUnitsError:
        found = None
    numbers = None if found is None else found.numbers
    if found is None or numbers is None:
        for step in CHUNK_US:
            await chunks.put(step, NONE, bucket, None)
        return
    minutes = rolled(entries_of(found.times_us, numbers), MINUTE_US)
    await chunks.put(MINUTE_US, minutes, bucket, found.unit, adds=adds)
    await chunks.put(HOUR_US, rolled(minutes, HOUR_US), bucket, found.unit, adds=adds)
    day = bucket[0] // DAY_US * DAY_US
    kept, _, mixed = await chunks.held(HOUR_US, day)  # of all hours of the day
    hours = kept[(kept["begin"] >= day) & (kept["begin"] < day + DAY_US)]
    await chunks.put(DAY_US, rolled(hours, DAY_US), (day, day + DAY_US), None if mixed else found.unit)


class _Chunks:
    """The chunks of a property that a fold changes, each read once."""

    def __init__(self, twin: str, name: str, folder: Folder) -> None:
        self._twin, self._name, self._folder = twin, name, folder
        self._held: dict[tuple[int, int], tuple[Entries, str, bool]] = {}  # entries, unit, mixed

    async def put(
        self, step_us: int, fresh: Entries, span_us: tuple[int, int], unit: str | None, *, adds: bool = False
    ) -> None:
        """Entries of the span, in place of those that are there. `unit` None: they tell nothing."""
        begin_us, end_us = span_us
        entries, held, mixed = await self.held(step_us, begin_us)
        key = (step_us, begin_us // CHUNK_US[step_us] * CHUNK_US[step_us])
        inside = (entries["begin"] >= begin_us) & (entries["begin"] < end_us)
        mixed = mixed or unit is None or bool((~inside | adds).any() and len(fresh) and held != unit)
        kept = held if not len(fresh) or unit is None else unit
        if adds and inside.any():
            both = np.concatenate([entries[inside], fresh])
            fresh = rolled(both[np.lexsort((both["t_first"], both["begin"]))], step_us)
        self._held[key] = (replaced(entries, fresh, begin_us, end_us), kept, mixed)

    async def rows(self) -> list[ChunkRow]:
        found = []
        for (step, begin), (entries, unit, mixed) in self._held.items():
            blob = await _seal(self._twin, self._name, pack_chunk(entries, unit, mixed=mixed), self._folder.seals)
            found.append(ChunkRow(self._name, step, begin, blob))
        return found

    async def held(self, step_us: int, at_us: int) -> tuple[Entries, str, bool]:
        """The chunk around `at_us`: entries, unit, and whether it is mixed."""
        begin = at_us // CHUNK_US[step_us] * CHUNK_US[step_us]
        known = self._held.get((step_us, begin))
        if known is None:
            rows = await self._folder.past.chunks(self._twin, self._name, step_us, begin, begin + 1)
            found = await opened_chunks(self._twin, rows, self._folder.seals)
            known = (found[begin].entries, found[begin].unit, found[begin].mixed) if found else (NONE, "", False)
            self._held[step_us, begin] = known
        return known


async def opened_slabs(twin: str, rows: Sequence[SeriesRow], seals: Seals) -> list[Slab]:
    """Series, opened; none once the keys are destroyed."""
    found = []
    await seals.warm((twin, row.blob.key_epoch) for row in rows)
    for row in rows:
        plain = await seals.open_blob(twin, row.blob, feature(row.name))
        if plain is not None:
            found.append(unpack_slab(plain))
    return found


async def opened_chunks(twin: str, rows: Sequence[ChunkRow], seals: Seals) -> Mapping[int, Chunk]:
    """Chunks by their begin, opened; none once the keys are destroyed."""
    found = {}
    await seals.warm((twin, row.blob.key_epoch) for row in rows)
    for row in rows:
        plain = await seals.open_blob(twin, row.blob, feature(row.name))
        if plain is not None:
            found[row.bucket_us] = unpack_chunk(plain)
    return found


async def _seal(twin: str, name: str, plain: bytes, seals: Seals) -> SealedBlob:
    blob = await seals.seal_blob(twin, plain, feature(name))
    if blob is None:
        raise ErasedError(twin)
    return blob
