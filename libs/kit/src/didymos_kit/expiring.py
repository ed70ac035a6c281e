"""Values that are kept for a while: a bounded map from which the oldest go first, at no cost that grows with it."""

from typing import Generic, NamedTuple, TypeVar

Name = TypeVar("Name")
Value = TypeVar("Value")


class Held(NamedTuple, Generic[Value]):
    """A value, and until when on the clock of its map it is kept."""

    value: Value
    until: float


class Expiring(Generic[Name, Value]):
    """At most `most` values, each for `seconds` after it was put. What is put anew is new."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._held: dict[Name, Held[Value]] = {}  # in the order of their ends

    def __len__(self) -> int:
        return len(self._held)

    def get(self, name: Name, now: float) -> Held[Value] | None:
        held = self._held.get(name)
        return held if held is not None and held.until > now else None

    def put(self, name: Name, value: Value, now: float) -> None:
        """What has expired goes, and the oldest while there is no room. `now` never goes back."""
        self._held.pop(name, None)
        while self._held:
            oldest = next(iter(self._held))
            if len(self._held) < self._most and self._held[oldest].until > now:
                break
            del self._held[oldest]
        self._held[name] = Held(value, now + self._seconds)
