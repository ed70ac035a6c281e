"""Aggregates of a property: from rollups where they serve, else from the readings. data-path.md section 12."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE, READING_UNIT_UNKNOWN
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_contracts.errors.twin import QUERY_TOO_WIDE
from didymos_did import Action, TwinId
from didymos_readings import Affine, Curve, UnitProblem, compile_unit
from didymos_readings.units import IDENTITY

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.read_history import BEGIN_US, END_US, MOST_READINGS, Look, Past, shown
from didymos_twin_state.domain import rollup
from didymos_twin_state.domain.aggregate import (
    MOST_STEPS,
    Buckets,
    Fill,
    aggregate,
    epoch_bounds,
    filled,
    of_entries,
    whole_days,
    zone_bounds,
)
from didymos_twin_state.domain.columns import Readings, Times, joined, settled
from didymos_twin_state.domain.rollup import CHUNK_US, DAY_US, Entries

ZONE_END_US: Final = END_US - 20_000 * DAY_US  # local days beyond cannot be counted
RUNS: Final = 32  # stretches of raw readings between entries; more are read as one


@dataclass(frozen=True, slots=True)
class AggregateQuery:
    """`function` of the readings in [from, to). `zone`: steps are its days. `unit` None: as it is stored."""

    twin: TwinId
    name: str
    from_us: int
    to_us: int
    step_us: int
    function: str
    fill: Fill = "none"
    zone: ZoneInfo | None = None
    unit: str | None = None
    molar: Decimal | None = None
    min_quality: int = 0
    device: str = ""

    @property
    def plain(self) -> bool:
        """Whether entries tell it, as far as the step allows."""
        return self.function in rollup.FUNCTIONS and not self.min_quality and not self.device


@dataclass(frozen=True, slots=True)
class Aggregated:
    """Steps and the unit of their values. `rollups`: entries that served, instead of readings."""

    buckets: Buckets
    unit: str
    rollups: int = 0


async def read_aggregate(query: AggregateQuery, reader: Reader, permits: Permits, past: Past) -> Aggregated:
    """Raises CONSENT_STALE, PLATFORM_NOT_FOUND, QUERY_TOO_WIDE; PLATFORM_INVALID_FIELD for texts and odd steps;
    READING_UNIT_INCOMMENSURABLE."""
    permits.require(reader, Action.HISTORY, query.twin, feature(query.name))
    span = (max(query.from_us, BEGIN_US), min(query.to_us, END_US))
    bounds = _bounds(replace(query, from_us=span[0], to_us=max(span)))
    step = _entry_step(query, span, bounds)
    if step is None:
        slab = await past.slab(query.twin, query.name, span)
        served = _computed(query, shown(slab, span, query.min_quality, query.device), bounds)
    else:
        served = await _served(query, span, step, bounds, past)
    return replace(served, buckets=filled(served.buckets, bounds, query.fill))


def conversion(stored: str, wanted: str | None, molar: Decimal | None) -> Affine | Curve:
    """From the stored unit to what is asked for. Raises READING_UNIT_UNKNOWN, READING_UNIT_INCOMMENSURABLE."""
    if wanted is None:
        return IDENTITY
    way = compile_unit(stored, wanted, molar)
    if isinstance(way, UnitProblem):
        row = READING_UNIT_UNKNOWN if way.code == READING_UNIT_UNKNOWN.code else READING_UNIT_INCOMMENSURABLE
        raise row.problem(pointer="?unit", detail=f"from {stored or 'no unit'}: {way.detail}")
    return way


def _bounds(query: AggregateQuery) -> Times:
    """Raises QUERY_TOO_WIDE, PLATFORM_INVALID_FIELD."""
    if (query.to_us - query.from_us) // query.step_us > MOST_STEPS:
        raise QUERY_TOO_WIDE.problem(limit=MOST_STEPS, detail="ask for longer steps or a shorter span")
    if query.zone is None:
        return epoch_bounds(query.from_us, query.to_us, query.step_us)
    days = whole_days(query.step_us)
    if days is None or days > MOST_STEPS or query.to_us > ZONE_END_US:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?zone", detail="goes with steps of whole days")
    return zone_bounds(query.from_us, query.to_us, days, query.zone)


def _computed(query: AggregateQuery, found: Readings, bounds: Times) -> Aggregated:
    numbers = found.numbers
    if numbers is None:
        if query.function != "count":
            raise PLATFORM_INVALID_FIELD.problem(pointer="?property", detail="its values are no numbers")
        return Aggregated(aggregate(found.times_us, np.zeros(len(found)), _ended(query, bounds), "count"), "")
    way = conversion(found.unit, query.unit, query.molar) if len(found) else IDENTITY
    unit = found.unit if query.unit is None else query.unit
    with np.errstate(all="ignore"):
        values = np.asarray(way(numbers), np.float64)
    return Aggregated(aggregate(found.times_us, values, _ended(query, bounds), query.function), unit)


def _ended(query: AggregateQuery, bounds: Times) -> Times:
    """The last step ends with the span: a value does not hold beyond what was asked for."""
    ended = bounds.copy()
    ended[-1] = min(ended[-1], max(query.to_us, int(ended[-2]) if len(ended) > 1 else 0))
    return ended


def _entry_step(query: AggregateQuery, span: tuple[int, int], bounds: Times) -> int | None:
    """The widest step whose entries make up the steps between `bounds`; None if readings are needed."""
    step = next((step for step in rollup.STEPS if not (bounds % step).any()), None)
    return step if step is not None and query.plain and -(-span[0] // step) < span[1] // step else None


async def _served(query: AggregateQuery, span: tuple[int, int], step: int, bounds: Times, past: Past) -> Aggregated:
    """From entries, with readings at the rims and where fresh parcels lie; from readings if entries do not tell it."""
    begin, end = -(-span[0] // step) * step, span[1] // step * step
    rims = [(first, last) for first, last in ((span[0], begin), (end, span[1])) if first < last]
    width = CHUNK_US[step]
    look = await past.look(query.twin, query.name, span, rims, step, (begin // width * width, end))
    found = await _combined(query, (begin, end), step, bounds, past, look, rims)
    if found is not None:
        return found
    slabs = [*await past.folded(query.twin, query.name, span), *look.fresh]
    return _computed(query, shown(settled(joined(slabs)), span), bounds)


async def _combined(
    query: AggregateQuery, inner: tuple[int, int], step: int, bounds: Times, past: Past, look: Look,
    rims: list[tuple[int, int]],
) -> Aggregated | None:  # fmt: skip
    chunks = [chunk for chunk in look.chunks.values() if chunk.mixed or chunk.raw]
    unit = chunks[-1].unit if chunks else ""
    if not chunks or any(chunk.mixed or chunk.unit != unit for chunk in chunks):
        return None
    entries = np.concatenate([chunk.entries for chunk in chunks])
    entries = entries[(entries["begin"] >= inner[0]) & (entries["begin"] < inner[1])]
    served = len(entries)
    touched = np.unique(np.concatenate([np.empty(0, np.int64), *(slab.times_us // step * step for slab in look.fresh)]))
    gone = await _gone(query, inner, CHUNK_US[step], look, past)
    stretches = [*rims, *gone, *_runs(inner, touched.astype(np.int64), step)]
    for at, (first, last) in enumerate(stretches):
        slabs = look.folded if at < len(rims) else await past.folded(query.twin, query.name, (first, last))
        found = shown(settled(joined([*slabs, *look.fresh])), (first, last))
        if found.numbers is None or (len(found) and found.unit != unit):
            return None
        raw = rollup.rolled(rollup.entries_of(found.times_us, found.numbers), step)
        entries = rollup.replaced(entries, raw, first // step * step, -(-last // step) * step)
    return _told(query, entries, bounds, unit, served)


async def _gone(
    query: AggregateQuery, inner: tuple[int, int], width: int, look: Look, past: Past
) -> list[tuple[int, int]]:  # fmt: skip
    """Stretches whose chunks went by age while their series stay."""
    begins = range(inner[0] // width * width, inner[1], width)
    missing = [begin for begin in begins if begin not in look.chunks]
    if not missing:
        return []
    hull = (max(missing[0], inner[0]), min(missing[-1] + width, inner[1]))
    rows = await past.past.extents(query.twin, query.name, *hull, MOST_READINGS)
    held = sorted({row.bucket_us // width * width for row in rows}.intersection(missing))
    return [(max(begin, inner[0]), min(begin + width, inner[1])) for begin in held]


def _told(query: AggregateQuery, entries: Entries, bounds: Times, unit: str, served: int) -> Aggregated | None:
    way = conversion(unit, query.unit, query.molar)
    if not isinstance(way, Affine) or way.a <= 0:
        return None
    steps = rollup.converted(rollup.regrouped(entries, bounds), way.a, way.b)
    return Aggregated(
        of_entries(steps, _ended(query, bounds), query.function), unit if query.unit is None else query.unit, served
    )


def _runs(inner: tuple[int, int], touched: Times, step: int) -> list[tuple[int, int]]:
    """Half-open stretches of entries that fresh readings changed."""
    found: list[tuple[int, int]] = []
    for first in (int(at) for at in touched if inner[0] <= at < inner[1]):
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], first + step)
        else:
            found.append((first, first + step))
    return found if len(found) <= RUNS else [(found[0][0], found[-1][1])]
