"""The clock port: where time comes from is a parameter of whoever needs it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Time, UTC. Everything that decides by time takes one."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""

    def now_us(self) -> int:
        """Microseconds since 1970: the unit of the data paths."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back: for deadlines and staleness."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


def to_us(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant, exactly."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The instant that lies `us` microseconds after 1970. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=us)
