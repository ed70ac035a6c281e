"""The last changes of all twins, by partition, as far as they fit: what a reader can resume over."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from didymos_kit.eventlog import Stored

BYTES: Final = 64 << 20
RECORD_BYTES: Final = 600  # of one beside its value: key, headers, objects


class RecentChanges:
    """Whole from some offset on in each partition; the oldest go first, whichever partition they are of."""

    def __init__(self, limit_bytes: int = BYTES) -> None:
        self._limit, self._bytes = limit_bytes, 0
        self._by_part: dict[int, deque[Stored]] = {}
        self._order: deque[int] = deque()  # the partition of each that is kept, oldest first
        self._whole_from: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def begin(self, part: int, offset: int) -> int:
        """What comes from `offset` on is kept, unless it is read already: the offset to go on from."""
        self._whole_from.setdefault(part, offset)
        return self._next.setdefault(part, offset)

    def add(self, record: Stored) -> None:
        self._by_part.setdefault(record.partition, deque()).append(record)
        self._order.append(record.partition)
        self._next[record.partition] = record.offset + 1
        self._bytes += _size(record)
        while self._bytes > self._limit:
            gone = self._by_part[self._order.popleft()].popleft()
            self._whole_from[gone.partition] = gone.offset + 1
            self._bytes -= _size(gone)

    def end(self, part: int) -> int | None:
        """The offset that was read last, or was there before; None for a partition that is not read, or was empty."""
        following = self._next.get(part, 0)
        return following - 1 if following else None

    def keeps(self, part: int, seen: int | None) -> bool:
        """Whether all after `seen` is at hand."""
        return seen is not None and seen + 1 >= self._whole_from.get(part, 1 << 62)

    def after(self, part: int, seen: int) -> Sequence[Stored]:
        """In order."""
        found: list[Stored] = []
        for record in reversed(self._by_part.get(part, ())):
            if record.offset <= seen:
                break
            found.append(record)
        return found[::-1]


def _size(record: Stored) -> int:
    return RECORD_BYTES + len(record.value or b"")
