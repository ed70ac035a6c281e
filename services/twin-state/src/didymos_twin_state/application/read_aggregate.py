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

from didymos_twin_state.application.fold_history import opened_chunks
from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.read_history import BEGIN_US, END_US, Past, shown
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
    served = await _served(query, span, bounds, past)
    if served is None:
        served = _computed(query, await past.readings(
            query.twin, query.name, span, query.min_quality, query.device
        ), bounds)  # fmt: skip
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


async def _served(query: AggregateQuery, span: tuple[int, int], bounds: Times, past: Past) -> Aggregated | None:
    """From entries, with readings at the rims and where fresh parcels lie; None if entries do not tell it."""
    step = next((step for step in rollup.STEPS if not (bounds % step).any()), None)
    begin, end = (0, 0) if step is None else (-(-span[0] // step) * step, span[1] // step * step)
    if step is None or not query.plain or begin >= end:
        return None
    fresh = await past.fresh(query.twin, query.name, span)
    width = CHUNK_US[step]
    rows = await past.past.chunks(query.twin, query.name, step, begin // width * width, end)
    chunks = [each for each in (await opened_chunks(query.twin, rows, past.seals)).values() if each.mixed or each.raw]
    unit = chunks[-1].unit if chunks else ""
    if not chunks or any(chunk.mixed or chunk.unit != unit for chunk in chunks):
        return None
    entries = np.concatenate([chunk.entries for chunk in chunks])
    entries = entries[(entries["begin"] >= begin) & (entries["begin"] < end)]
    served = len(entries)
    touched = np.unique(np.concatenate([np.empty(0, np.int64), *(slab.times_us // step * step for slab in fresh)]))
    for first, last in _runs(span, (begin, end), touched.astype(np.int64), step):
        slabs = await past.folded(query.twin, query.name, (first, last))
        found = shown(settled(joined([*slabs, *fresh])), (first, last))
        if found.numbers is None or (len(found) and found.unit != unit):
            return None
        raw = rollup.rolled(rollup.entries_of(found.times_us, found.numbers), step)
        entries = rollup.replaced(entries, raw, first // step * step, -(-last // step) * step)
    return _told(query, entries, bounds, unit, served)


def _told(query: AggregateQuery, entries: Entries, bounds: Times, unit: str, served: int) -> Aggregated | None:
    way = conversion(unit, query.unit, query.molar)
    if not isinstance(way, Affine) or way.a <= 0:
        return None
    steps = rollup.converted(rollup.regrouped(entries, bounds), way.a, way.b)
    return Aggregated(
        of_entries(steps, _ended(query, bounds), query.function), unit if query.unit is None else query.unit, served
    )


def _runs(span: tuple[int, int], inner: tuple[int, int], touched: Times, step: int) -> list[tuple[int, int]]:
    """Half-open stretches that entries do not cover, or that fresh readings changed."""
    stretches = [(int(at), int(at) + step) for at in touched if inner[0] <= at < inner[1]]
    joined_: list[tuple[int, int]] = []
    for first, last in stretches:
        if joined_ and joined_[-1][1] == first:
            joined_[-1] = (joined_[-1][0], last)
        else:
            joined_.append((first, last))
    if len(joined_) > RUNS:
        joined_ = [(joined_[0][0], joined_[-1][1])]
    rims = [(span[0], inner[0]), (inner[1], span[1])]
    return [*joined_, *((first, last) for first, last in rims if first < last)]
