"""Identifiers that sort by time: UUID version 7 (RFC 9562 section 5.7)."""

import secrets
from collections.abc import Callable
from typing import Final, Protocol
from uuid import UUID

from didymos_kit.clock import Clock

_COUNTER_BITS: Final = 12


class Ids(Protocol):
    """Where new identifiers come from."""

    def uuid7(self) -> UUID:
        """An id greater than every one this source gave before."""


def uuid7(ms: int, counter: int, entropy: bytes) -> UUID:
    """48 bits of `ms` since 1970, version, 12 bits of `counter`, variant, 62 bits of `entropy` (8 bytes)."""
    random = int.from_bytes(entropy, "big") & (1 << 62) - 1
    return UUID(int=ms << 80 | 7 << 76 | counter << 64 | 2 << 62 | random)


class OrderedIds:
    """Strictly increasing within the process, also when the clock stands still or steps back (method 1 of 6.2)."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock, self._entropy = clock, entropy
        self._ms, self._counter = 0, 0

    def uuid7(self) -> UUID:
        ms = self._clock.now_us() // 1000
        if ms > self._ms:
            self._ms, self._counter = ms, self._start()
        elif self._counter + 1 < 1 << _COUNTER_BITS:
            self._counter += 1
        else:  # 4096 ids in one millisecond: borrow the next one
            self._ms, self._counter = self._ms + 1, self._start()
        return uuid7(self._ms, self._counter, self._entropy(8))

    def _start(self) -> int:
        """A random start in the lower half leaves room to count on."""
        return int.from_bytes(self._entropy(2), "big") >> 5
