"""History of one property: readings of many sources as one ordered set. data-path.md 8 and 11.

A *slab* holds readings with their sources, retractions among them. `joined` and `settled` commute and are idempotent:
any order, repeat or cut of parcels and series ends in one slab, so what was folded into series equals its parcels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from didymos_readings import UnitProblem, compile_unit
from numpy.typing import NDArray

from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Scalar

Numbers: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]
Values: TypeAlias = Numbers | Sequence[Scalar]


class MixedUnitsError(ValueError):
    """A span holds values in units that do not convert into each other."""


class Source(NamedTuple):
    """A batch, in merge order: of one device and time the reading of the highest source holds, in it the last."""

    device: str
    stream: int
    number: int
    turn: int  # of batches without a number the later one holds; 0 for all others
    unit: str


@dataclass(frozen=True, slots=True)
class Slab:
    """n readings: times int64 us, values float64 (n,) where all are numbers, quality and flags uint8.

    `source`: which of `sources`, int32. `index`: running index in its batch. `retracts`: the reading is taken back.
    """

    sources: tuple[Source, ...]
    times_us: Times
    values: Values
    quality: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    source: NDArray[np.int32]
    index: NDArray[np.int64]
    retracts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.times_us)

    def at(self, kept: NDArray[np.intp]) -> "Slab":
        """The readings at these indices, with the sources that they need."""
        used, source = np.unique(self.source[kept], return_inverse=True)
        return Slab(
            tuple(self.sources[number] for number in used.tolist()), self.times_us[kept], _at(self.values, kept),
            self.quality[kept], self.flags[kept], source.astype(np.int32).reshape(-1), self.index[kept],
            self.retracts[kept],
        )  # fmt: skip

    def within(self, begin_us: int, end_us: int) -> "Slab":
        """The readings of a half-open span."""
        return self.at(np.flatnonzero((self.times_us >= begin_us) & (self.times_us < end_us)))


NOTHING: Final = Slab(
    (), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8), np.empty(0, np.uint8), np.empty(0, np.int32),
    np.empty(0, np.int64), np.empty(0, np.bool_),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings in order of time: times int64 us, quality uint8; values float64 (n,) where all are numbers."""

    times_us: Times
    values: Values
    quality: NDArray[np.uint8]
    unit: str

    def __len__(self) -> int:
        return len(self.times_us)

    def part(self, begin: int, end: int) -> "Readings":
        return Readings(self.times_us[begin:end], self.values[begin:end], self.quality[begin:end], self.unit)

    @property
    def numbers(self) -> Numbers | None:
        """The values as numbers; None if one of them is a text, a truth or a place."""
        return self.values if isinstance(self.values, np.ndarray) else None


def slabs_of(parcel: OpenParcel, name: str) -> list[Slab]:
    """The readings of a property in a parcel, a slab a column."""
    return [_slab(parcel, column) for column in parcel.whole if column.property == name and len(column.times_us)]


def joined(slabs: Iterable[Slab]) -> Slab:
    """All readings of `slabs`, repeats included."""
    found = [slab for slab in slabs if len(slab)]
    if len(found) < 2:
        return found[0] if found else NOTHING
    numbers: dict[Source, int] = {}
    source = [
        np.array([numbers.setdefault(each, len(numbers)) for each in slab.sources], np.int32)[slab.source]
        for slab in found
    ]
    return Slab(
        tuple(numbers), np.concatenate([slab.times_us for slab in found]), _joined([slab.values for slab in found]),
        np.concatenate([slab.quality for slab in found]), np.concatenate([slab.flags for slab in found]),
        np.concatenate(source), np.concatenate([slab.index for slab in found]),
        np.concatenate([slab.retracts for slab in found]),
    )  # fmt: skip


def settled(slab: Slab) -> Slab:
    """In order of time; of what one device said of one time, the last in merge order. Devices do not hide each other.

    Retractions stay, so that what they outrank stays hidden if it comes later.
    """
    times = slab.times_us
    if bool(np.all(times[1:] > times[:-1])):
        return slab
    order = sorted(range(len(slab.sources)), key=slab.sources.__getitem__)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    devices = {device: at for at, device in enumerate(dict.fromkeys(source.device for source in slab.sources))}
    device = np.array([devices[source.device] for source in slab.sources], np.int32)[slab.source]
    order_of = np.lexsort((slab.index, rank[slab.source], times))
    last = np.ones(len(order_of), bool)
    last[:-1] = (np.diff(times[order_of]) != 0) | (np.diff(device[order_of]) != 0)
    return slab.at(order_of[last])


def readings_of(slab: Slab, span_us: tuple[int, int], min_quality: int = 0, device: str = "") -> Readings:
    """What holds of a settled slab in the half-open span, in the unit of its newest source. Raises MixedUnitsError."""
    begin, end = span_us
    wanted = ~slab.retracts & (slab.times_us >= begin) & (slab.times_us < end) & (slab.quality >= min_quality)
    if device:
        spoke = np.array([source.device == device for source in slab.sources], bool)
        wanted &= spoke[slab.source] if len(slab) else wanted
    kept = np.flatnonzero(wanted)
    values = _at(slab.values, kept)
    units = [source.unit for source in slab.sources]
    unit = units[int(slab.source[kept[-1]])] if len(kept) else ""
    if isinstance(values, np.ndarray) and len(set(units)) > 1:
        values = _in_unit(values, slab.source[kept], units, unit)
    return Readings(slab.times_us[kept], values, slab.quality[kept], unit)


def merged_readings(
    parcels: Iterable[OpenParcel], name: str, span_us: tuple[int, int], min_quality: int = 0
) -> Readings:
    """The readings of `name` in the half-open span that hold."""
    slab = joined(slab for parcel in parcels for slab in slabs_of(parcel, name))
    return readings_of(settled(slab), span_us, min_quality)


def _slab(parcel: OpenParcel, column: Column) -> Slab:
    size = len(column.times_us)
    source = Source(parcel.device, parcel.stream, parcel.number, parcel.turn, column.unit)
    return Slab(
        (source,), column.times_us, np.zeros(size) if column.retracts else _plain_values(column.values),
        column.quality, column.flags, np.zeros(size, np.int32), column.indices, np.full(size, column.retracts),
    )  # fmt: skip


def _plain_values(values: NDArray[np.float64] | Sequence[Scalar]) -> Values:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fi":
        return np.asarray(values, np.float64)
    return [_plain(value) for value in values]


def _plain(value: object) -> Scalar:
    if isinstance(value, np.ndarray):
        x, y, z = value.tolist()
        return (x, y, z)
    found: Scalar = value.item() if isinstance(value, np.generic) else value  # type: ignore[assignment]
    return found


def _joined(parts: Sequence[Values]) -> Values:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return [value for part in parts for value in (part.tolist() if isinstance(part, np.ndarray) else part)]


def _at(values: Values, kept: NDArray[np.intp]) -> Values:
    return values[kept] if isinstance(values, np.ndarray) else [values[at] for at in kept.tolist()]


def _in_unit(values: Numbers, source: NDArray[np.int32], units: Sequence[str], unit: str) -> Numbers:
    """Values in the units of their sources, all in `unit`."""
    found = values.copy()
    for number in np.unique(source).tolist():
        if units[number] == unit:
            continue
        way = compile_unit(units[number], unit)
        if isinstance(way, UnitProblem):
            raise MixedUnitsError(f"the span holds values in {units[number] or 'no unit'} and in {unit or 'no unit'}")
        at = source == number
        found[at] = way(values[at])
    return found
