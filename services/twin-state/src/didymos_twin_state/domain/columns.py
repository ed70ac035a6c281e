"""History of one property: parcels merged to one ordered set of readings. data-path.md 8 and 11."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Scalar

Numbers: TypeAlias = NDArray[np.float64]
_NOTHING: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings in order of time: times int64 us, quality uint8; values float64 (n,) where all are numbers."""

    times_us: NDArray[np.int64]
    values: Numbers | Sequence[Scalar]
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


def merged_readings(
    parcels: Iterable[OpenParcel], name: str, span_us: tuple[int, int], min_quality: int = 0
) -> Readings:
    """The readings of `name` in the half-open span that hold.

    What one device said of one time is one reading: the last in merge order (stream, number, index). If that takes the
    reading back, there is none. Devices do not hide each other.
    """
    found = [(parcel, column) for parcel in parcels for column in parcel.columns if column.property == name]
    if not found:
        return Readings(_NOTHING, np.empty(0), np.empty(0, np.uint8), "")
    sizes = [len(column.times_us) for _, column in found]
    devices = {device: at for at, device in enumerate(sorted({parcel.device for parcel, _ in found}))}
    times = np.concatenate([column.times_us for _, column in found])
    device = np.repeat([devices[parcel.device] for parcel, _ in found], sizes)
    stream = np.repeat([parcel.stream for parcel, _ in found], sizes)
    number = np.repeat(np.array([parcel.number for parcel, _ in found], np.uint64), sizes)
    index = np.concatenate([column.indices for _, column in found])
    retracts = np.repeat([column.retracts for _, column in found], sizes)
    quality = np.concatenate([column.quality for _, column in found])
    order = np.lexsort((index, number, stream, device, times))
    last = np.ones(len(order), bool)
    last[:-1] = (np.diff(times[order]) != 0) | (np.diff(device[order]) != 0)
    kept = order[last]
    begin, end = span_us
    wanted = ~retracts[kept] & (times[kept] >= begin) & (times[kept] < end) & (quality[kept] >= min_quality)
    kept = kept[wanted]
    unit = next((column.unit for _, column in reversed(found) if not column.retracts), "")
    return Readings(times[kept], _picked([column for _, column in found], kept), quality[kept], unit)


def _picked(columns: Sequence[Column], kept: NDArray[np.intp]) -> Numbers | list[Scalar]:
    """The values at `kept`, indices over all columns in order. A retraction has none: zeros hold its place."""
    spread = [np.zeros(len(column.times_us)) if column.retracts else column.values for column in columns]
    if all(isinstance(each, np.ndarray) and each.ndim == 1 and each.dtype.kind in "fi" for each in spread):
        joined: Numbers = np.concatenate([np.asarray(each, np.float64) for each in spread])
        return joined[kept]
    flat = [_plain(value) for each in spread for value in each]
    return [flat[at] for at in kept.tolist()]


def _plain(value: object) -> Scalar:
    if isinstance(value, np.ndarray):
        x, y, z = value.tolist()
        return (x, y, z)
    found: Scalar = value.item() if isinstance(value, np.generic) else value  # type: ignore[assignment]
    return found
