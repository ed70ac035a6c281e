"""Normalising a verified batch: times, kinds, units, bounds and quality, once per batch. data-path.md 5 and 6."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.batch import Batch
from didymos_readings.block import NUMBERS, Block, Kind, Op, Times, Values
from didymos_readings.errors import Refusal
from didymos_readings.frames import Frame, frame_of
from didymos_readings.plans import Plan, PlanProblem, plans_for
from didymos_readings.profile import Profile
from didymos_readings.quality import HIGH, LOW, NOT_SCORED, REFUSED, Assurance, Bytes, Flag, Scores
from didymos_readings.ruling import Layout, ruling_of
from didymos_readings.scoring import Series, score

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


class Columns(NamedTuple):
    """All readings of the blocks that are allowed here, n in one array. Quality is 255 where one was refused."""

    values: Values  # normalised; of points and texts 0
    quality: Bytes
    flags: Bytes
    shift_us: int


class NormalisedBlock(NamedTuple):
    """A block and what was found (a NamedTuple, as `Block` is), a view into the columns of its batch."""

    block: Block
    plan: Plan
    columns: Columns
    start: int  # of its readings in the columns
    accepted: int
    scored: int  # completeness, as the score has it
    t_min_us: int  # of the accepted readings
    t_max_us: int

    @property
    def completeness(self) -> int:
        return NOT_SCORED if self.plan.op is Op.RETRACTION else self.scored

    @property
    def t_us(self) -> Times:
        return self.block.times() + self.columns.shift_us

    @property
    def values(self) -> Values | tuple[str, ...]:
        """(n,), points (n, 3), texts; of a retraction empty."""
        block = self.block
        if block.op is Op.RETRACTION:
            return np.empty(0)
        if block.kind in NUMBERS:
            return self.columns.values[self._part]
        return block.texts() if block.kind is Kind.TEXT else block.column().astype(np.float64)

    @property
    def quality(self) -> Bytes:
        return self.columns.quality[self._part]

    @property
    def flags(self) -> Bytes:
        return self.columns.flags[self._part]

    @property
    def _part(self) -> slice:
        return slice(self.start, self.start + self.block.size)


class Normalised(NamedTuple):
    """A batch as it is applied. Blocks with no accepted reading are left out. `shift_us`: see `Annotated`.

    A NamedTuple, as `Block` is.
    """

    batch: Batch
    profile: str
    received_at_us: int
    assurance: Assurance
    shift_us: int
    blocks: tuple[NormalisedBlock, ...]
    scores: Scores | None  # of the accepted readings in order; None if there are none
    columns: Columns | None = None  # of the blocks; None if there are none

    @property
    def accepted(self) -> int:
        return sum([block.accepted for block in self.blocks])


@dataclass(frozen=True, slots=True)
class Joined:
    """The blocks that are allowed here, all their n readings in one array. `bounds`: first and last time of each."""

    blocks: Sequence[Block]
    frame: Frame
    shift_us: int
    offsets: NDArray[np.int32]
    values: Values  # of points and texts 0
    bounds: tuple[Sequence[int], Sequence[int]]

    @property
    def layout(self) -> Layout:
        return self.frame.ruling.layout

    def times(self) -> Times:
        """(n,) us."""
        spread = self.layout.spread
        ticks, begins = zip(*[(block.tick_us, block.t0_us + self.shift_us) for block in self.blocks], strict=True)
        t_us: Times = self.offsets * np.array(ticks, np.int64).repeat(spread)
        t_us += np.array(begins, np.int64).repeat(spread)
        return t_us


def normalise(
    batch: Batch, profile: Profile, received_at_us: int, enrolment: Enrolment, assurance: Assurance = Assurance.DEVICE
) -> tuple[Normalised, list[Refusal]]:
    """What of `batch` is accepted, with its quality, and what is refused, by running index. Pure and deterministic."""
    header = batch.header
    shift_us = 0 if header.sent_at_us else received_at_us - header.uptime_us
    allowed, plans, refusals = admitted_blocks(batch, profile, enrolment)
    if not allowed:
        return Normalised(batch, profile.id, received_at_us, assurance, shift_us, (), None), refusals
    with np.errstate(all="ignore"):  # what overflows is not finite, and refused below
        joined = join(allowed, frame_of(tuple(plans), tuple([block.size for block in allowed])), shift_us)
        valid = valid_readings(joined, received_at_us)
        if valid is None:
            series: Series | None = Series(joined.values, joined.frame.ruling, joined.bounds, joined.times)
            accepted: Sequence[int] = joined.layout.counts
        else:
            refusals = sorted([*refusals, *_refusals(joined, valid, received_at_us)], key=_index)
            accepted = np.add.reduceat(valid, joined.layout.starts, dtype=np.int64).tolist()
            series = _accepted(joined, valid, accepted)
        if series is None:
            return Normalised(batch, profile.id, received_at_us, assurance, shift_us, (), None), refusals
        scores = score(series, received_at_us, assurance, backfill=header.backfill)
    columns = columns_of(joined, valid, scores, no_time=not header.sent_at_us)
    found = _blocks(joined, columns, accepted, zip(scores.completeness, *series.bounds, strict=True))
    return Normalised(batch, profile.id, received_at_us, assurance, shift_us, found, scores, columns), refusals


def admitted_blocks(
    batch: Batch, profile: Profile, enrolment: Enrolment
) -> tuple[list[Block], list[Plan], list[Refusal]]:
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


def join(blocks: Sequence[Block], frame: Frame, shift_us: int) -> Joined:
    offsets = np.frombuffer(b"".join([block.dt for block in blocks]), "<i4")
    lows, highs = _bounds(offsets, frame.ruling.layout)
    firsts = [block.t0_us + shift_us + low * block.tick_us for block, low in zip(blocks, lows, strict=True)]
    if highs is lows:
        return Joined(blocks, frame, shift_us, offsets, _join_values(blocks, frame), (firsts, firsts))
    lasts = [block.t0_us + shift_us + high * block.tick_us for block, high in zip(blocks, highs, strict=True)]
    return Joined(blocks, frame, shift_us, offsets, _join_values(blocks, frame), (firsts, lasts))


def _bounds(times: NDArray[Any], layout: Layout) -> tuple[list[int], list[int]]:
    """First and last of each block."""
    if len(layout.firsts) == len(times):
        alone = times.tolist()
        return alone, alone
    return np.minimum.reduceat(times, layout.firsts).tolist(), np.maximum.reduceat(times, layout.firsts).tolist()


def _join_values(blocks: Sequence[Block], frame: Frame) -> Values:
    if frame.plain:
        joined: Values = np.frombuffer(b"".join([block.values for block in blocks]), "<f8")
    else:
        joined = np.concatenate([_plain(block) for block in blocks])
    if frame.line is not None:
        a, b = frame.line
        joined = joined * a + b
    for part, curve in frame.curves:
        joined = joined if joined.flags.writeable else joined.copy()
        joined[part] = curve(joined[part])
    return joined


def _plain(block: Block) -> Values:
    if block.op is Op.READING and (block.kind in NUMBERS or block.kind is Kind.BOOL):
        return block.column().astype(np.float64)
    return np.zeros(block.size)


def valid_readings(joined: Joined, received_at_us: int) -> NDArray[np.bool_] | None:
    """Which of the n readings are accepted; None if all are."""
    ruling, points, latest = joined.frame.ruling, joined.frame.points, received_at_us + AHEAD_US
    timely = min(joined.bounds[0]) >= 0 and max(joined.bounds[1]) <= latest
    if timely and not ruling.bounded and not points and isfinite(np.add.reduce(joined.values)):
        return None  # nothing that is not finite adds up to what is
    valid = (joined.values >= ruling.table[LOW]) & (joined.values <= ruling.table[HIGH])
    if not timely:
        t_us = joined.times()
        valid &= (t_us >= 0) & (t_us <= latest)
    for at in points:
        first, block = joined.layout.starts[at], joined.blocks[at]
        valid[first : first + block.size] &= _on_earth(block.column())
    return None if np.count_nonzero(valid) == len(valid) else valid


def _accepted(joined: Joined, valid: NDArray[np.bool_], accepted: Sequence[int]) -> Series | None:
    """The valid readings, of the blocks that have any."""
    kept = [count for count in accepted if count]
    if not kept:
        return None
    rules = tuple([rule for rule, count in zip(joined.frame.ruling.rules, accepted, strict=True) if count])
    ruling, t_us = ruling_of(rules, tuple(kept)), joined.times()[valid]
    return Series(joined.values[valid], ruling, _bounds(t_us, ruling.layout), lambda: t_us)


def _on_earth(points: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of (n, 3) longitudes, latitudes, altitudes are places. Comparison with NaN is false."""
    longitude, latitude, altitude = points.T
    found: NDArray[np.bool_] = (np.abs(longitude) <= 180) & (np.abs(latitude) <= 90) & np.isfinite(altitude)
    return found


def _refusals(joined: Joined, valid: NDArray[np.bool_], received_at_us: int) -> list[Refusal]:
    found: list[Refusal] = []
    running = np.concatenate([np.arange(block.first, block.first + block.size) for block in joined.blocks])
    block_of = np.arange(len(joined.blocks)).repeat(joined.layout.spread)
    firsts, times = joined.layout.starts, joined.times()
    for at in np.flatnonzero(~valid).tolist():
        block, plan = joined.blocks[block_of[at]], joined.frame.plans[block_of[at]]
        t_us = int(times[at])
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


def columns_of(joined: Joined, valid: NDArray[np.bool_] | None, scores: Scores, *, no_time: bool) -> Columns:
    quality, flags = scores.quality, scores.flags
    if valid is not None:
        quality, flags = np.full(len(valid), REFUSED, np.uint8), np.zeros(len(valid), np.uint8)
        quality[valid], flags[valid] = scores.quality, scores.flags
    if no_time:
        flags |= np.uint8(Flag.NO_TIME)
    for part, _ in joined.frame.curves:
        flags[part] |= np.uint8(Flag.CURVE)
    return Columns(joined.values, quality, flags, joined.shift_us)


def _blocks(
    joined: Joined, columns: Columns, accepted: Sequence[int], scored: Iterator[tuple[int, int, int]]
) -> tuple[NormalisedBlock, ...]:
    """Those with accepted readings. `scored`: completeness, first and last time of each of these."""
    placed = zip(joined.blocks, joined.frame.plans, repeat(columns), joined.layout.starts, accepted)
    kept = [each for each in placed if each[-1]]
    return tuple([NormalisedBlock._make(each + found) for each, found in zip(kept, scored, strict=True)])


def _index(refusal: Refusal) -> int:
    return refusal.index
