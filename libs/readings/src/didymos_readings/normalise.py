"""Normalising a verified batch: times, kinds, units, bounds and quality, once per batch. data-path.md 5 and 6."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.batch import Batch
from didymos_readings.block import NUMBERS, Block, Kind, Op, Times, Values
from didymos_readings.errors import Refusal
from didymos_readings.plans import Plan, PlanProblem, plans_for
from didymos_readings.profile import Profile
from didymos_readings.quality import HIGH, LOW, NOT_SCORED, REFUSED, Assurance, Bytes, Flag, Scores
from didymos_readings.ruling import Layout, Ruling, ruling_of
from didymos_readings.scoring import Series, score
from didymos_readings.units import IDENTITY, Affine, Curve

AHEAD_US: Final = 120_000_000  # how far a device's clock may run ahead
_T0_LIMIT: Final = 1 << 61  # beyond it, times could overflow; far beyond any valid one

Enrolment: TypeAlias = Callable[[str, str], str | None]
"""(twin, property): the code that refuses the device's readings there, such as `reading.not_enrolled`; None: it may."""

_ENROLMENT_DETAILS: Final = {
    "reading.not_enrolled": "the device is not enrolled for this property of this twin",
    "twin.suspended": "the twin takes no readings now",
    "batch.device_lost": "the device was reported lost for this twin",
    "key.destroyed": "the twin was erased",
    "profile.unknown": "the device is enrolled under another profile",
}


class NormalisedBlock(NamedTuple):
    """A block and what was found (a NamedTuple, as `Block` is). Quality is 255 where a reading was refused."""

    block: Block
    plan: Plan
    t_us: Times  # (n,)
    values: Values | tuple[str, ...]  # (n,), points (n, 3), texts; of a retraction empty
    quality: Bytes
    flags: Bytes
    completeness: int
    accepted: int
    t_min_us: int  # of the accepted readings
    t_max_us: int


@dataclass(frozen=True, slots=True)
class Normalised:
    """A batch as it is applied. Blocks with no accepted reading are left out. `shift_us`: see `Annotated`."""

    batch: Batch
    profile: str
    received_at_us: int
    assurance: Assurance
    shift_us: int
    blocks: tuple[NormalisedBlock, ...]
    scores: Scores | None  # of the accepted readings in order; None if there are none

    @property
    def accepted(self) -> int:
        return sum(block.accepted for block in self.blocks)


@dataclass(frozen=True, slots=True)
class _Joined:
    """The blocks that are allowed here, all their n readings in one array. `bounds`: first and last time of each."""

    blocks: Sequence[Block]
    plans: Sequence[Plan]
    ruling: Ruling
    t_us: Times
    values: Values  # of points and texts 0
    bounds: tuple[list[int], list[int]]

    @property
    def layout(self) -> Layout:
        return self.ruling.layout


def normalise(
    batch: Batch, profile: Profile, received_at_us: int, enrolment: Enrolment, assurance: Assurance = Assurance.DEVICE
) -> tuple[Normalised, list[Refusal]]:
    """What of `batch` is accepted, with its quality, and what is refused, by running index. Pure and deterministic."""
    header = batch.header
    shift_us = 0 if header.sent_at_us else received_at_us - header.uptime_us
    allowed, plans, refusals = _admitted(batch, profile, enrolment)
    if not allowed:
        return Normalised(batch, profile.id, received_at_us, assurance, shift_us, (), None), refusals
    with np.errstate(all="ignore"):  # what overflows is not finite, and refused below
        joined = _join(allowed, plans, shift_us)
        valid = _valid(joined, received_at_us)
        if valid is None:
            series: Series | None = Series(joined.values, joined.t_us, joined.ruling)
            bounds = joined.bounds
            accepted: Sequence[int] = joined.layout.counts
        else:
            refusals = sorted([*refusals, *_refusals(joined, valid, received_at_us)], key=_index)
            accepted = np.add.reduceat(valid, joined.layout.starts, dtype=np.int64).tolist()
            series = _accepted(joined, valid, accepted)
            bounds = ([], []) if series is None else _bounds(series.t_us, series.ruling.layout)
        scores = None if series is None else score(series, received_at_us, assurance, backfill=header.backfill)
    found: tuple[NormalisedBlock, ...] = ()
    if scores is not None:
        found = _blocks(joined, valid, accepted, scores, zip(*bounds, strict=True), no_time=not header.sent_at_us)
    return Normalised(batch, profile.id, received_at_us, assurance, shift_us, found, scores), refusals


def _admitted(batch: Batch, profile: Profile, enrolment: Enrolment) -> tuple[list[Block], list[Plan], list[Refusal]]:
    """Blocks that enrolment and profile let through, their plans, and the refusals of the others."""
    allowed: list[Block] = []
    found: list[Plan] = []
    refusals: list[Refusal] = []
    for block, plan in zip(batch.blocks, plans_for(profile, batch.blocks), strict=True):
        code = enrolment(block.twin, block.property)
        if code is not None:
            refusals.append(Refusal(code, _ENROLMENT_DETAILS.get(code, code), block.first, block.size))
        elif isinstance(plan, PlanProblem):
            refusals.append(Refusal(plan.code, plan.detail, block.first, block.size))
        elif not -_T0_LIMIT < block.t0_us < _T0_LIMIT:
            refusals.append(Refusal("reading.time_invalid", "times start in 1970", block.first, block.size))
        else:
            allowed.append(block)
            found.append(plan)
    return allowed, found, refusals


def _join(blocks: Sequence[Block], plans: Sequence[Plan], shift_us: int) -> _Joined:
    ruling = ruling_of(tuple([plan.rule for plan in plans]), tuple([block.size for block in blocks]))
    layout = ruling.layout
    offsets = np.frombuffer(b"".join([block.dt for block in blocks]), "<i4")
    ticks = {block.tick_us for block in blocks}
    if len(ticks) == 1:
        t_us = offsets * np.int64(ticks.pop())
    else:
        t_us = offsets * np.array([block.tick_us for block in blocks], np.int64).repeat(layout.spread)
    t_us += np.array([block.t0_us + shift_us for block in blocks], np.int64).repeat(layout.spread)
    return _Joined(blocks, plans, ruling, t_us, _join_values(blocks, plans, layout), _bounds(t_us, layout))


def _bounds(t_us: Times, layout: Layout) -> tuple[list[int], list[int]]:
    """First and last time of each block."""
    if len(layout.firsts) == len(t_us):
        return t_us.tolist(), t_us.tolist()
    return np.minimum.reduceat(t_us, layout.firsts).tolist(), np.maximum.reduceat(t_us, layout.firsts).tolist()


def _join_values(blocks: Sequence[Block], plans: Sequence[Plan], layout: Layout) -> Values:
    if all(block.kind is Kind.F64 and block.op is Op.READING for block in blocks):
        joined: Values = np.frombuffer(b"".join([block.values for block in blocks]), "<f8")
    else:
        joined = np.concatenate([_plain(block) for block in blocks])
    lines = [plan.conversion if isinstance(plan.conversion, Affine) else IDENTITY for plan in plans]
    if any(line is not IDENTITY for line in lines):
        a, b = np.array([line.a for line in lines]), np.array([line.b for line in lines])
        joined = joined * a.repeat(layout.spread) + b.repeat(layout.spread)
    for first, block, plan in zip(layout.starts, blocks, plans, strict=True):
        if isinstance(plan.conversion, Curve):
            joined = joined if joined.flags.writeable else joined.copy()
            joined[first : first + block.size] = plan.conversion(joined[first : first + block.size])
    return joined


def _plain(block: Block) -> Values:
    if block.op is Op.READING and (block.kind in NUMBERS or block.kind is Kind.BOOL):
        return block.column().astype(np.float64)
    return np.zeros(block.size)


def _valid(joined: _Joined, received_at_us: int) -> NDArray[np.bool_] | None:
    """Which of the n readings are accepted; None if all are."""
    table, latest = joined.ruling.table, received_at_us + AHEAD_US
    valid = (joined.values >= table[LOW]) & (joined.values <= table[HIGH])
    if min(joined.bounds[0]) < 0 or max(joined.bounds[1]) > latest:
        valid &= (joined.t_us >= 0) & (joined.t_us <= latest)
    for first, block in zip(joined.layout.starts, joined.blocks, strict=True):
        if block.kind is Kind.POINT and block.op is Op.READING:
            valid[first : first + block.size] &= _on_earth(block.column())
    return None if np.count_nonzero(valid) == len(valid) else valid


def _accepted(joined: _Joined, valid: NDArray[np.bool_], accepted: Sequence[int]) -> Series | None:
    """The valid readings, of the blocks that have any."""
    kept = [count for count in accepted if count]
    if not kept:
        return None
    rules = tuple([rule for rule, count in zip(joined.ruling.rules, accepted, strict=True) if count])
    return Series(joined.values[valid], joined.t_us[valid], ruling_of(rules, tuple(kept)))


def _on_earth(points: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of (n, 3) longitudes, latitudes, altitudes are places. Comparison with NaN is false."""
    longitude, latitude, altitude = points.T
    found: NDArray[np.bool_] = (np.abs(longitude) <= 180) & (np.abs(latitude) <= 90) & np.isfinite(altitude)
    return found


def _refusals(joined: _Joined, valid: NDArray[np.bool_], received_at_us: int) -> list[Refusal]:
    found: list[Refusal] = []
    running = np.concatenate([np.arange(block.first, block.first + block.size) for block in joined.blocks])
    block_of = np.arange(len(joined.blocks)).repeat(joined.layout.spread)
    firsts = joined.layout.starts
    for at in np.flatnonzero(~valid).tolist():
        block, plan = joined.blocks[block_of[at]], joined.plans[block_of[at]]
        t_us = int(joined.t_us[at])
        if t_us < 0:
            code, detail = "reading.time_invalid", "times start in 1970"
        elif t_us > received_at_us + AHEAD_US:
            code, detail = "reading.time_ahead", "the time is over 120 s ahead of the clock here"
        elif not np.isfinite(_sent(block, at - firsts[block_of[at]])).all():
            code, detail = "reading.not_finite", "the value is no finite number"
        elif block.kind is Kind.POINT:
            code, detail = "reading.out_of_bounds", "a point is longitude within 180, latitude within 90 degrees"
        else:
            code, detail = (
                "reading.out_of_bounds",
                f"outside {plan.rule.low:g} to {plan.rule.high:g} {plan.unit}",
            )
        last = found[-1] if found else None
        index = int(running[at])
        if last and (last.code, last.detail, last.index + last.count) == (code, detail, index):
            found[-1] = Refusal(code, detail, last.index, last.count + 1)
        else:
            found.append(Refusal(code, detail, index, 1))
    return found


def _sent(block: Block, index: int) -> NDArray[Any]:
    return np.asarray(block.column()[index], np.float64)


def _blocks(
    joined: _Joined,
    valid: NDArray[np.bool_] | None,
    accepted: Sequence[int],
    scores: Scores,
    bounds: Iterator[tuple[int, int]],
    *,
    no_time: bool,
) -> tuple[NormalisedBlock, ...]:
    quality, flags = scores.quality, scores.flags
    if valid is not None:
        quality, flags = np.full(len(valid), REFUSED, np.uint8), np.zeros(len(valid), np.uint8)
        quality[valid], flags[valid] = scores.quality, scores.flags
    if no_time:
        flags |= np.uint8(Flag.NO_TIME)
    found = []
    completeness = iter(scores.completeness)
    for first, block, plan, count in zip(joined.layout.starts, joined.blocks, joined.plans, accepted, strict=True):
        if not count:
            continue
        part, complete, (t_min, t_max) = slice(first, first + block.size), next(completeness), next(bounds)
        if isinstance(plan.conversion, Curve):
            flags[part] |= np.uint8(Flag.CURVE)
        if block.op is Op.RETRACTION:
            complete = NOT_SCORED
        numbers = block.kind in NUMBERS and block.op is Op.READING
        values = joined.values[part] if numbers else _other_values(block)
        found.append(
            NormalisedBlock(
                block, plan, joined.t_us[part], values, quality[part], flags[part], complete, count, t_min, t_max
            )
        )
    return tuple(found)


def _other_values(block: Block) -> Values | tuple[str, ...]:
    if block.op is Op.RETRACTION:
        return np.empty(0)
    return block.texts() if block.kind is Kind.TEXT else block.column().astype(np.float64)


def _index(refusal: Refusal) -> int:
    return refusal.index
