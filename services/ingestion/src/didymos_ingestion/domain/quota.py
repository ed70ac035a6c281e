"""How much one device may send, and how much may be on its way to the log. data-path.md 7; no clock inside."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

BURST_SECONDS: Final = 10
DEVICES: Final = 50_000  # remembered; the one that was silent longest is forgotten, and starts full again
SHED_BYTES: Final = 24 << 20
DRAIN_SECONDS: Final = 5
LONGEST_SECONDS: Final = 30


@dataclass(slots=True)
class Bucket:
    """`level` readings may be sent at once, below 0 after a batch above the burst; `rate` a second come back."""

    level: float
    at: float
    rate: int

    def level_at(self, now: float) -> float:
        return min(float(self.rate * BURST_SECONDS), self.level + max(0.0, now - self.at) * self.rate)


class Buckets:
    """A bucket per device, of `BURST_SECONDS` at its rate. The true bound of a device is this times the processes."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Bucket] = OrderedDict()

    def wait_seconds(self, device: str, now: float) -> float:
        """0 if the device may send now; else how long until it may. Takes nothing: nobody has proved who sends."""
        known = self._known.get(device)
        return 0.0 if known is None else max(0.0, -known.level_at(now) / known.rate)

    def take(self, device: str, readings: int, rate: int, now: float) -> float:
        """Take `readings`; 0, or how many seconds they come too early. A batch above the burst needs a full bucket."""
        most = float(rate * BURST_SECONDS)
        known = self._known.get(device)
        level = most if known is None else min(most, known.level_at(now))
        needed = min(float(readings), most)
        if level < needed:
            return (needed - level) / rate
        if known is not None:
            known.level, known.at, known.rate = level - readings, now, rate
            self._known.move_to_end(device)
            return 0.0
        self._known[device] = Bucket(level - readings, now, rate)
        if len(self._known) > DEVICES:
            self._known.popitem(last=False)
        return 0.0


class Load:
    """Bytes between their arrival and the acknowledgement of the log."""

    def __init__(self, shed_bytes: int = SHED_BYTES) -> None:
        self._shed = shed_bytes
        self._drained: deque[tuple[float, int]] = deque()
        self.in_flight = 0

    def wait_seconds(self, size: int, now: float) -> float:
        """0 if `size` bytes more may come in; else when to ask again: what is in flight over the rate of 5 s."""
        if self.in_flight + size <= self._shed:
            return 0.0
        drained = sum(size for at, size in self._drained if at > now - DRAIN_SECONDS)
        if not drained:
            return float(LONGEST_SECONDS)
        return min(float(LONGEST_SECONDS), max(1.0, self.in_flight * DRAIN_SECONDS / drained))

    def enter(self, size: int) -> None:
        self.in_flight += size

    def leave(self, size: int, now: float) -> None:
        """The log has it, or its sender was told that it has not."""
        self.in_flight -= size
        second = float(int(now))
        if self._drained and self._drained[-1][0] == second:
            self._drained[-1] = (second, self._drained[-1][1] + size)
        else:
            self._drained.append((second, size))
            while self._drained[0][0] <= now - DRAIN_SECONDS - 1:
                self._drained.popleft()
