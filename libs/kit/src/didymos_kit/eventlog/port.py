"""The event log as every service sees it: partitions of ordered records, written and read. platform.md section 7.

Two adapters fill this port: SQLite within one process, Apache Kafka across many. What they promise alike is written
down once, as contract tests (`didymos_testing.eventlog`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from didymos_contracts.topics import Topic, TopicRow

MAX_RECORD_BYTES: Final = 1 << 20  # key, value and headers of one record
POLL_RECORDS: Final = 500
POLL_SECONDS: Final = 0.2


class Part(NamedTuple):
    """One partition of a topic."""

    topic: Topic
    partition: int


class Position(NamedTuple):
    """Where a record is. Offsets only grow within a part; nobody computes with them (Kafka leaves gaps)."""

    topic: Topic
    partition: int
    offset: int

    @property
    def part(self) -> Part:
        return Part(self.topic, self.partition)

    def __str__(self) -> str:
        """As consistency tokens say it."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """What a writer appends. Records of one `route` (the key unless given) share a part and keep their order.

    `value` None is a tombstone. `at_ms` since 1970, UTC. `headers` are those of `envelope`.
    """

    topic: Topic
    key: bytes
    value: bytes | None
    headers: Mapping[str, bytes]
    at_ms: int
    route: bytes | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is read."""

    topic: Topic
    key: bytes
    value: bytes | None
    headers: Mapping[str, bytes]
    at_ms: int
    partition: int
    offset: int

    @property
    def part(self) -> Part:
        return Part(self.topic, self.partition)

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Committed:
    """Begin at what the group committed last; where it never committed, at the first record the log holds."""


@dataclass(frozen=True, slots=True)
class Earliest:
    """Begin at the first record the log holds."""


Start: TypeAlias = int | Committed | Earliest
"""Where a part begins: an int is the offset of the next record to read."""


class FencedError(RuntimeError):
    """Another writer took over this name, or this one lost its transaction. It may never append again: open another."""


class StaleCommitError(RuntimeError):
    """The part belongs to another member by now, or the group is rebalancing: nothing was committed."""


class Hooks(Protocol):
    """What a member does when its parts change. Nothing is called before the first `poll`; no poll returns records
    while one of these is pending, and what it raises comes out of the next poll.
    """

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        """All parts of this member from now on, and where to start each; one that is left out starts at Committed."""

    async def revoked(self, parts: frozenset[Part]) -> None:
        """Finish and checkpoint: `commit` still works in here, unless the group gave this member up for dead."""


class Writer(Protocol):
    async def append(self, records: Sequence[Record]) -> list[Position]:
        """Positions in the order given, once all are durable.

        Raises FencedError; `platform.too_large`, `platform.topic_mismatch` (unknown topic): none is written;
        `platform.unavailable`: any of them may be, so send them again (readers drop repeats by `ce_id`).
        """


class Group(Protocol):
    """One member of a consumer group. Not shared between tasks, except `commit`, `pause`, `resume` and `lag`."""

    @property
    def parts(self) -> frozenset[Part]:
        """What this member owns now."""

    @property
    def generation(self) -> int:
        """Rises with every rebalance; -1 before the first."""

    async def poll(
        self, max_records: int = POLL_RECORDS, timeout_seconds: float = POLL_SECONDS
    ) -> Mapping[Part, Sequence[Stored]]:
        """The next records by part, in order; empty after `timeout_seconds` without any. The first call joins.

        Keep calling: rebalances need it, and who is silent for long loses its parts. Raises `platform.offset_lost` when
        the next offset of a part is not in the log (deleted, or the log was restored to an older state), and
        `platform.unavailable`.
        """

    def seek(self, offsets: Mapping[Part, int]) -> None:
        """Read these parts from these offsets on. Raises ValueError for a part that this member does not own."""

    def pause(self, parts: Iterable[Part]) -> None:
        """Poll these no more until resumed; a rebalance resumes all."""

    def resume(self, parts: Iterable[Part]) -> None: ...

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        """Store the next offset to read of each. Raises StaleCommitError."""

    async def lag(self) -> Mapping[Part, int]:
        """Records of each owned part that are not committed (an upper bound where offsets have gaps)."""


class Tail(Protocol):
    """A whole topic, read from its start without a group, for as long as the context lasts."""

    @property
    def caught_up(self) -> bool:
        """Whether all that was in the topic at the start has been applied."""

    async def ready(self) -> None:
        """Return when caught up. Raises TailHaltedError."""

    def staleness(self) -> float:
        """Seconds since what is applied was the whole topic; `inf` before that. It grows on when the tail halts."""

    async def wait(self, positions: Iterable[Position]) -> None:
        """Return when these are applied. Raises TailHaltedError; deadlines are the caller's."""


class TailHaltedError(RuntimeError):
    """`into` refused a record: nothing is applied any more, and staleness tells readers so."""


class EventLog(Protocol):
    async def ensure(self, topics: Sequence[TopicRow]) -> None:
        """Create what is missing. Raises `platform.topic_mismatch` on another partition count or cleanup."""

    def writer(self, name: str, fenced: bool = False) -> AbstractAsyncContextManager[Writer]:  # noqa: FBT001, FBT002 - the design's signature
        """`fenced`: opening it ends every older fenced writer of this name, here or elsewhere."""

    def group(self, name: str, topics: Sequence[Topic], hooks: Hooks) -> AbstractAsyncContextManager[Group]:
        """Join as a new member. Leaving the context revokes, then leaves; the others share its parts."""

    def tail(self, topic: Topic, into: Callable[[Stored], None]) -> AbstractAsyncContextManager[Tail]:
        """Apply every record of the topic to `into`, in order per part, on this event loop."""

    async def ends(self, topics: Sequence[Topic]) -> Mapping[Part, int]:
        """The offset that the next record of each part will have at least. Raises `platform.topic_mismatch`."""
