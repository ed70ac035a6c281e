"""The past of one property: the readings of a span, merged from series and fresh parcels. data-path.md 11 and 12."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE
from didymos_contracts.errors.twin import QUERY_TOO_WIDE, READ_TOKEN_TIMEOUT
from didymos_did import Action, TwinId

from didymos_twin_state.application.fold_history import Open, opened_chunks, opened_slabs
from didymos_twin_state.application.past_ports import FreshParcel, Glance, TwinPast
from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import Seals, TwinHistory
from didymos_twin_state.application.read_twin import Places, part_of
from didymos_twin_state.domain.columns import MixedUnitsError, Readings, Slab, joined, readings_of, settled, slabs_of
from didymos_twin_state.domain.packing import Chunk

MOST_READINGS: Final = 1_000_000
LOOK_SECONDS: Final = 0.05
LOOKS: Final = 3  # at the store, for one page
EXTENTS: Final = 2_000  # rows of series looked at for one page
BEGIN_US: Final = 0  # no reading is older, and none of the future is accepted: spans end within what a database holds
END_US: Final = 253_402_300_799_000_000  # the year 9999


@dataclass(frozen=True, slots=True)
class Past:
    """Where history is read, and how parcels are opened."""

    history: TwinHistory
    past: TwinPast
    opened: Open
    seals: Seals
    seconds: float

    async def wait(self, places: Places) -> None:
        """Until all places are durable. Raises READ_TOKEN_TIMEOUT."""
        for part, marks in places.by_part.items():
            try:
                async with asyncio.timeout(self.seconds):
                    while not (await self.history.marks(part)).reached(marks):  # noqa: ASYNC110 - another process writes
                        await asyncio.sleep(LOOK_SECONDS)
            except TimeoutError:
                raise READ_TOKEN_TIMEOUT.problem(partition=part) from None

    async def readings(
        self, twin: str, name: str, span_us: tuple[int, int], min_quality: int = 0, device: str = ""
    ) -> Readings:
        """All readings of the half-open span that hold. Raises QUERY_TOO_WIDE beyond a million."""
        slab = await self.slab(twin, name, span_us)
        return shown(slab, span_us, min_quality, device)

    async def slab(self, twin: str, name: str, span_us: tuple[int, int]) -> Slab:
        """Settled readings that cover the span, retractions among them. Raises QUERY_TOO_WIDE."""
        found = await self.look(twin, name, span_us, (span_us,))
        return settled(joined([*found.folded, *found.fresh]))

    async def look(
        self, twin: str, name: str, span_us: tuple[int, int], stretches: Sequence[tuple[int, int]], step_us: int = 0,
        chunks: tuple[int, int] = (0, 0),
    ) -> "Look":  # fmt: skip
        """Fresh readings of the span, folded ones of the stretches, and chunks. Raises QUERY_TOO_WIDE."""
        glance = Glance(part_of(twin), twin, name, span_us, stretches, MOST_READINGS, step_us, chunks)
        window = await self.past.window(glance)
        fresh = await self._fresh_of(twin, name, window.fresh)
        if window.more:  # then series and chunks are read after all of them: what is folded meanwhile is seen twice
            fresh = await self._fresh(twin, name, span_us)
            window = await self.past.window(glance)
        _check_width(window.readings + sum(map(len, fresh)))
        folded = await opened_slabs(twin, window.series, self.seals)
        opened = await opened_chunks(twin, window.chunks, self.seals)
        return Look(fresh, folded, opened)

    async def horizon(self, twin: str, name: str, span_us: tuple[int, int], wanted: int) -> int:
        """A time up to which series hold about as many readings, within the span; its end if they hold fewer."""
        rows = await self.past.extents(twin, name, *span_us, EXTENTS)
        count = 0
        for row in rows:
            count += row.readings
            if count >= wanted:
                return min(span_us[1], row.t_max_us + 1)
        return min(span_us[1], rows[-1].t_max_us + 1) if len(rows) == EXTENTS else span_us[1]

    async def folded(self, twin: str, name: str, span_us: tuple[int, int]) -> list[Slab]:
        """Of series alone. Raises QUERY_TOO_WIDE."""
        rows = await self.past.extents(twin, name, *span_us, MOST_READINGS)
        _check_width(sum(row.readings for row in rows))
        return await opened_slabs(twin, await self.past.series(twin, name, *span_us), self.seals)

    async def _fresh(self, twin: str, name: str, span_us: tuple[int, int]) -> list[Slab]:
        found: list[Slab] = []
        count = 0
        async for fresh in self.past.fresh(part_of(twin), twin, *span_us):
            slabs = await self._fresh_of(twin, name, [fresh])
            found += slabs
            count += sum(map(len, slabs))
            _check_width(count)
        return found

    async def _fresh_of(self, twin: str, name: str, parcels: Sequence[FreshParcel]) -> list[Slab]:
        """Readings of parcels that no series holds yet."""
        await self.seals.warm((twin, fresh.stored.blob.key_epoch) for fresh in parcels)
        opened = [await self.opened(fresh.stored) for fresh in parcels]
        return [slab for parcel in opened if parcel is not None for slab in slabs_of(parcel, name)]


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of a property: slabs to be joined, and chunks by their begin."""

    fresh: list[Slab]
    folded: list[Slab]
    chunks: Mapping[int, Chunk]


def shown(slab: Slab, span_us: tuple[int, int], min_quality: int = 0, device: str = "") -> Readings:
    """`readings_of`. Raises READING_UNIT_INCOMMENSURABLE for a span whose units do not convert into each other."""
    try:
        return readings_of(slab, span_us, min_quality, device)
    except MixedUnitsError as error:
        raise READING_UNIT_INCOMMENSURABLE.problem(detail=f"{error}: ask for a shorter span") from error


def _check_width(count: int) -> None:
    if count > MOST_READINGS:
        raise QUERY_TOO_WIDE.problem(limit=MOST_READINGS, detail="ask for a shorter span")


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """Readings of `name` in [from, to), at most `limit`, of at least `min_quality`."""

    twin: TwinId
    name: str
    from_us: int
    to_us: int
    limit: int
    min_quality: int = 0
    device: str = ""


async def read_range(query: RangeQuery, reader: Reader, permits: Permits, past: Past) -> tuple[Readings, int | None]:
    """The readings in order of time, and where to go on (a time, microseconds) if there are more.

    Readings of one time are never torn apart. Raises CONSENT_STALE, PLATFORM_NOT_FOUND, QUERY_TOO_WIDE.
    """
    permits.require(reader, Action.HISTORY, query.twin, feature(query.name))
    span = (max(query.from_us, BEGIN_US), min(query.to_us, END_US))
    found, until = await _enough(query, span, past)
    if len(found) <= query.limit:
        return found, until if until < span[1] else None
    times, end = found.times_us, query.limit
    while end > 0 and times[end - 1] == times[query.limit]:
        end -= 1
    if end == 0:  # more than `limit` of one time: give them all
        end = int((times <= times[query.limit]).sum())
        return found.part(0, end), (int(times[end]) if end < len(times) else None)
    return found.part(0, end), int(times[end])


async def _enough(query: RangeQuery, span: tuple[int, int], past: Past) -> tuple[Readings, int]:
    """The readings from the begin of the span on, and up to when: more than the limit, or all of some looks.

    So a page costs what it holds; where most readings are below the quality that is asked for, it may be short.
    """
    begin, end = span
    until = begin
    for _ in range(LOOKS):
        until = await past.horizon(query.twin, query.name, (until, end), query.limit + 1)
        found = await past.readings(query.twin, query.name, (begin, until), query.min_quality, query.device)
        if until >= end or len(found) > query.limit:
            break
    return found, until
