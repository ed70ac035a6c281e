"""The past of one property: readings in a span, and aggregates of it. data-path.md sections 11 and 12."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_contracts.errors.twin import QUERY_TOO_WIDE, READ_TOKEN_TIMEOUT
from didymos_did import Action, TwinId

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import StoredParcel, TwinHistory
from didymos_twin_state.application.read_twin import Places
from didymos_twin_state.domain.aggregate import MOST_STEPS, Buckets, aggregate
from didymos_twin_state.domain.columns import Readings, merged_readings
from didymos_twin_state.domain.reading import OpenParcel

MOST_READINGS: Final = 1_000_000
LOOK_SECONDS: Final = 0.05
BEGIN_US: Final = 0  # no reading is older, and none of the future is accepted: spans end within what a database holds
END_US: Final = 253_402_300_799_000_000  # the year 9999
Open: TypeAlias = Callable[[StoredParcel], Awaitable[OpenParcel | None]]
"""Opens a stored parcel; None if its key was destroyed."""


@dataclass(frozen=True, slots=True)
class Past:
    """Where history is read, and how parcels are opened."""

    history: TwinHistory
    opened: Open
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

    async def readings(self, twin: str, name: str, span_us: tuple[int, int], min_quality: int = 0) -> Readings:
        """All readings of the half-open span. Raises QUERY_TOO_WIDE beyond a million."""
        found: list[OpenParcel] = []
        count = 0
        async for parcel in self._parcels(twin, span_us):
            count += sum(len(column.times_us) for column in parcel.columns if column.property == name)
            if count > MOST_READINGS:
                raise QUERY_TOO_WIDE.problem(limit=MOST_READINGS, detail="ask for a shorter span")
            found.append(parcel)
        return merged_readings(found, name, span_us, min_quality)

    async def _parcels(self, twin: str, span_us: tuple[int, int]) -> AsyncIterator[OpenParcel]:
        async for stored in self.history.parcels(twin, *span_us):
            parcel = await self.opened(stored)
            if parcel is not None:
                yield parcel


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """Readings of `name` in [from, to), at most `limit`, of at least `min_quality`."""

    twin: TwinId
    name: str
    from_us: int
    to_us: int
    limit: int
    min_quality: int = 0


async def read_range(query: RangeQuery, reader: Reader, permits: Permits, past: Past) -> tuple[Readings, int | None]:
    """The readings in order of time, and where to go on (a time, microseconds) if there are more.

    Readings of one time are never torn apart. Raises CONSENT_STALE, PLATFORM_NOT_FOUND, QUERY_TOO_WIDE.
    """
    permits.require(reader, Action.HISTORY, query.twin, feature(query.name))
    span = (max(query.from_us, BEGIN_US), min(query.to_us, END_US))
    found = await past.readings(query.twin, query.name, span, query.min_quality)
    if len(found) <= query.limit:
        return found, None
    times, end = found.times_us, query.limit
    while end > 0 and times[end - 1] == times[query.limit]:
        end -= 1
    if end == 0:  # more than `limit` of one time: give them all
        end = int((times <= times[query.limit]).sum())
        return found.part(0, end), (int(times[end]) if end < len(times) else None)
    return found.part(0, end), int(times[end])


@dataclass(frozen=True, slots=True)
class AggregateQuery:
    twin: TwinId
    name: str
    from_us: int
    to_us: int
    step_us: int
    function: str


async def read_aggregate(query: AggregateQuery, reader: Reader, permits: Permits, past: Past) -> tuple[Buckets, str]:
    """Buckets of the span and the unit of the property. Raises as `read_range`; PLATFORM_INVALID_FIELD for texts."""
    permits.require(reader, Action.HISTORY, query.twin, feature(query.name))
    if (query.to_us - query.from_us) // query.step_us > MOST_STEPS:
        raise QUERY_TOO_WIDE.problem(limit=MOST_STEPS, detail="ask for longer steps or a shorter span")
    span = (max(query.from_us, BEGIN_US), min(query.to_us, END_US))
    found = await past.readings(query.twin, query.name, span)
    numbers = found.numbers
    if numbers is None and query.function != "count":
        raise PLATFORM_INVALID_FIELD.problem(pointer="?property", detail="its values are no numbers")
    values = found.times_us.astype(float) if numbers is None else numbers
    return aggregate(found.times_us, values, query.step_us, query.function), found.unit
