"""A clock that stands still until it is told to go on, and ids that repeat with their seed."""

from datetime import UTC, datetime, timedelta
from random import Random

from didymos_kit.clock import to_us
from didymos_kit.ids import OrderedIds

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class FixedClock:
    """Stands at `at`; `advance` moves wall and monotonic time alike, `step` the wall clock alone."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at, self._monotonic = at, 0.0

    def now(self) -> datetime:
        return self._at

    def now_us(self) -> int:
        return to_us(self._at)

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock, forwards or back, as an operator or NTP does."""
        self._at += timedelta(seconds=seconds)


def seeded_ids(clock: FixedClock | None = None, seed: int = 1) -> OrderedIds:
    return OrderedIds(clock or FixedClock(), Random(seed).randbytes)
