"""Applying readings: a pure merge that ends in one state, whatever the order. data-path.md section 8."""

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from didymos_readings.latest import LatestReading
from didymos_readings.window import Admission, Window, admit, pack_window, unpack_window
from numpy.typing import NDArray

from didymos_twin_state.domain.twin import Cell, Scalar, TwinState, with_changes

SCALAR_LOOP: Final = 32  # below it a Python loop beats numpy's fixed cost


@dataclass(frozen=True, slots=True)
class Column:
    """n readings of one property: times int64 us, values as (n,), (n, 3) or a list, quality and flags uint8.

    `indices`: of the readings in their batch, rising. `retracts`: they take back what this device said at these times.
    """

    property: str
    unit: str
    times_us: NDArray[np.int64]
    values: NDArray[np.float64] | Sequence[Scalar]
    quality: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    indices: NDArray[np.int64]
    retracts: bool = False

    @builtins.property  # `property` is a field here
    def readings(self) -> int:
        return len(self.times_us)

    @builtins.property  # `property` is a field here
    def qualities(self) -> bytes:
        return self.quality.tobytes()

    def latest(self) -> LatestReading | None:
        """The last reading in merge order, None if there is none."""
        if not len(self.times_us):
            return None
        at = newest(self)
        value = None if self.retracts else _scalar(self.values[at])
        return LatestReading(
            self.property, self.unit, value, int(self.times_us[at]), int(self.indices[at]), int(self.quality[at]),
            int(self.flags[at]), self.qualities,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenParcel:
    """One batch's readings for one twin, opened."""

    twin: str
    device: str
    stream: int
    number: int
    digest: bytes
    columns: tuple[Column | LatestReading, ...]  # to apply it, the latest reading of a column is enough
    offset: int  # of its record
    assurance: int = 0

    @property
    def turn(self) -> int:
        """Its place among batches without a number: the later one holds. Numbered batches need none."""
        return 0 if self.number else self.offset

    @property
    def count(self) -> int:
        return sum([column.readings for column in self.columns])

    @property
    def whole(self) -> tuple[Column, ...]:
        """Its columns with all their readings. Raises TypeError where only the latest of each was read."""
        columns = tuple(column for column in self.columns if isinstance(column, Column))
        if len(columns) != len(self.columns):
            raise TypeError("of this parcel only the latest readings were opened")
        return columns


def newest(column: Column) -> int:
    """Index of the last reading in merge order: latest time, then highest index."""
    times, last = column.times_us, len(column.times_us) - 1
    if last == 0:
        return 0
    if last < SCALAR_LOOP:
        listed = times.tolist()
        latest = max(listed)
        return last if listed[last] == latest else last - listed[::-1].index(latest)
    return last - int(np.argmax(times[::-1]))


def merged(cells: Mapping[str, Cell], parcel: OpenParcel) -> dict[str, Cell]:
    """The cells that `parcel` wins, by property: a last-writer-wins register ordered by `Cell.order`."""
    won: dict[str, Cell] = {}
    for column in parcel.columns:
        latest = column.latest() if isinstance(column, Column) else column
        if latest is None:
            continue
        held = won.get(latest.name) or cells.get(latest.name)
        if held is not None and held.observed_at_us > latest.observed_at_us:
            continue
        cell = Cell(
            latest.value, latest.observed_at_us, parcel.device, parcel.stream, parcel.number, latest.running,
            latest.quality, latest.flags, latest.unit, parcel.turn, parcel.assurance,
        )  # fmt: skip
        if held is None or cell.order > held.order:
            won[latest.name] = cell
    return won


def _scalar(value: object) -> Scalar:
    if isinstance(value, np.ndarray):
        x, y, z = (float(part) for part in value)
        return (x, y, z)
    if isinstance(value, np.generic):
        found: Scalar = value.item()
        return found
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a reading cannot be a {type(value).__name__}")


def apply_parcel(twin: TwinState, parcel: OpenParcel) -> tuple[TwinState, dict[str, Cell], Admission]:
    """The twin after `parcel`, the cells that changed, and how the parcel was admitted.

    A duplicate changes nothing; a conflict (same number, other digest) is held by the caller; a parcel below the window
    is placed by the caller, who can look into stored history. The result depends on its arguments only.
    """
    after, won, (admission,) = apply_parcels(twin, [parcel])
    return after, won, admission


def apply_parcels(twin: TwinState, parcels: Sequence[OpenParcel]) -> tuple[TwinState, dict[str, Cell], list[Admission]]:
    """The same of several of one twin, one after the other."""
    windows: dict[str, Window] = {}
    cells, won, position = dict(twin.cells), dict[str, Cell](), twin.position
    admissions = []
    for parcel in parcels:
        window = windows.get(parcel.device)
        if window is None:
            packed = twin.windows.get(parcel.device)
            window = Window() if packed is None else unpack_window(packed)
        window, admission = admit(window, parcel.stream, parcel.number, parcel.digest)
        admissions.append(admission)
        if admission is Admission.NEW:
            windows[parcel.device] = window
            changed = merged(cells, parcel)
            cells.update(changed)
            won.update(changed)
            position = max(position, parcel.offset + 1)
    if not windows:
        return twin, {}, admissions
    packed_windows = {**twin.windows, **{device: pack_window(window) for device, window in windows.items()}}
    return with_changes(twin, cells=cells, windows=packed_windows, position=position), won, admissions


def place(twin: TwinState, parcel: OpenParcel) -> tuple[TwinState, dict[str, Cell]]:
    """The twin after a parcel from below the window that stored history does not hold."""
    won = merged(twin.cells, parcel)
    position = max(twin.position, parcel.offset + 1)
    return with_changes(twin, cells={**twin.cells, **won}, position=position), won
