"""The oracle: what must be there, given what was acknowledged. Pure; it knows the merge order and nothing of the house.

A batch that was sent again, killed under or answered twice changes nothing of what it expects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

import numpy as np
from didymos_readings import Column
from numpy.typing import NDArray

EQUAL: Final = 1e-12
SUMS_EQUAL: Final = 1e-9
Name = tuple[str, str]  # twin, property


class Held(NamedTuple):
    """Readings of a property: times in microseconds, ascending, and values."""

    t_us: NDArray[np.int64]
    values: NDArray[np.float64]


class Found(NamedTuple):
    """What a house says of a property: its history, count and sum by aggregate, time and value on the twin."""

    history: Held
    counted: float
    total: float
    latest: tuple[int, float | None]  # None: a value in another unit


@dataclass(slots=True)
class Verdict:
    """In readings, but for the last three. `twice` counts times shown again, and readings stored beyond those sent."""

    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0  # another value than the last one in merge order
    strange: int = 0  # never sent
    counts_off: int = 0  # properties whose aggregates disagree
    latest_off: int = 0  # properties whose value on the twin is not the maximum in merge order
    properties: int = 0

    def __iadd__(self, other: "Verdict") -> "Verdict":
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self

    @property
    def holds(self) -> bool:
        return not (self.lost or self.twice or self.wrong or self.strange or self.counts_off or self.latest_off)


class _Said(NamedTuple):
    order: tuple[int, int]  # stream, number
    t_us: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass
class Oracle:
    """Of one device a twin: its batches are ordered by stream and number, readings in a batch by their place."""

    said: dict[Name, list[_Said]] = field(default_factory=dict)
    numbers: set[tuple[str, int, int]] = field(default_factory=set)
    parcels: dict[str, int] = field(default_factory=dict)  # acknowledged batches that speak of a twin
    units: dict[Name, str] = field(default_factory=dict)  # as sent: one a property

    def acknowledge(
        self, device: str, order: tuple[int, int], columns: Sequence[Column], refused: Iterable[tuple[int, int]] = ()
    ) -> int:
        """How many readings are acknowledged by it. `refused`: (running index in the batch, count) of what was not."""
        if (device, *order) in self.numbers:
            return 0
        self.numbers.add((device, *order))
        gone = {at for index, count in refused for at in range(index, index + count)}
        first, taken, twins = 0, 0, set[str]()
        for column in columns:
            size = len(column.t_us)
            kept = np.array([first + at not in gone for at in range(size)], bool) if gone else np.ones(size, bool)
            first += size
            if not kept.any():
                continue
            values = np.asarray(column.values, np.float64)[kept]
            said = _Said(order, np.asarray(column.t_us, np.int64)[kept], values)
            self.said.setdefault((column.twin, column.property), []).append(said)
            self.units[column.twin, column.property] = column.unit
            taken += len(values)
            twins.add(column.twin)
        for twin in twins:
            self.parcels[twin] = self.parcels.get(twin, 0) + 1
        return taken

    def readings(self, twin: str) -> int:
        """Acknowledged, those that a later one corrected included."""
        return sum(len(each.t_us) for (of, _), said in self.said.items() if of == twin for each in said)

    def expected(self, name: Name) -> Held:
        """Of each time the last in merge order."""
        said = sorted(self.said[name], key=lambda each: each.order)  # stable: columns of a batch stay in their order
        t_us, values = np.concatenate([each.t_us for each in said]), np.concatenate([each.values for each in said])
        by_time = np.argsort(t_us, kind="stable")
        t_us, values = t_us[by_time], values[by_time]
        last = np.append(t_us[1:] != t_us[:-1], True)
        return Held(t_us[last], values[last])

    def judge(self, name: Name, found: Found) -> Verdict:
        wanted, (times, values) = self.expected(name), found.history
        shown, first, often = np.unique(times, return_index=True, return_counts=True)
        both, at_wanted, at_shown = np.intersect1d(wanted.t_us, shown, assume_unique=True, return_indices=True)
        same = np.isclose(values[first][at_shown], wanted.values[at_wanted], rtol=EQUAL, atol=0.0)
        total = float(wanted.values.sum())
        sums = abs(found.total - total) <= SUMS_EQUAL * float(np.abs(wanted.values).sum())
        at_us, value = found.latest
        latest = at_us == int(wanted.t_us[-1]) and (
            value is None or bool(np.isclose(value, wanted.values[-1], rtol=EQUAL, atol=0.0))
        )
        return Verdict(
            acknowledged=sum(len(each.t_us) for each in self.said[name]), lost=len(wanted.t_us) - len(both),
            twice=int((often - 1).sum()), wrong=int((~same).sum()), strange=len(shown) - len(both),
            counts_off=int(found.counted != len(wanted.t_us) or not sums), latest_off=int(not latest), properties=1,
        )  # fmt: skip

    def judge_rows(self, rows: dict[str, tuple[int, int]]) -> Verdict:
        """By (readings, parcels) that are stored of a twin: history does not show a batch that was applied twice."""
        verdict = Verdict()
        for twin, parcels in self.parcels.items():
            readings, stored = rows.get(twin, (0, 0))
            beyond = readings - self.readings(twin)
            verdict.twice += max(beyond, int(stored > parcels), 0)
            verdict.lost += max(-beyond, int(stored < parcels), 0)
        return verdict


def held(page: dict[str, Any]) -> Held:
    """A page of history."""
    return Held(np.array(page["t"], np.int64), np.array(page["v"], np.float64))
