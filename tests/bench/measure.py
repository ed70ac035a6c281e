"""What a benchmark says: figures of one run, each beside what it is measured against."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of a benchmark's table. `ratio` is ours over `against`; `met` is None where no goal is set."""

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    goal: float | None = None
    met: bool | None = None

    def row(self) -> dict[str, Any]:
        return asdict(self)


def measure(name: str, value: float, unit: str, *, against: str = "", ratio: float | None = None,
            goal: float | None = None) -> Measure:  # fmt: skip
    """A line whose goal, if any, is a lower bound of its ratio (of its value where there is no ratio)."""
    compared = value if ratio is None else ratio
    return Measure(name, value, unit, against, ratio, goal, None if goal is None else compared >= goal)


def seconds(work: Callable[[], object]) -> float:
    """CPU-independent wall seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def interleaved(ours: Callable[[], object], other: Callable[[], object], repeats: int = 5) -> tuple[float, float]:
    """Median seconds of both, called in turn after one warm-up each: a drift of the machine meets both."""
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
