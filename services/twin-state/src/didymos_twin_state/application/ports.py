"""What applying and reading twins needs from outside. data-path.md section 15."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from didymos_twin_state.domain.command import Command, Outcome
from didymos_twin_state.domain.reading import OpenParcel
from didymos_twin_state.domain.search import Clear
from didymos_twin_state.domain.twin import Cell, Lifecycle, Relation, TwinState


@dataclass(frozen=True, slots=True)
class Marks:
    """Next offset of both inputs of a partition: everything below is in."""

    readings: int = 0
    writes: int = 0

    def reached(self, other: "Marks") -> bool:
        return self.readings >= other.readings and self.writes >= other.writes


@dataclass(frozen=True, slots=True)
class Control:
    """What the hot store says of a partition. `marks` is None after a wipe."""

    epoch: int
    marks: Marks | None
    announced: Marks


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the durable store says of a partition, with the epoch just claimed."""

    epoch: int
    marks: Marks


class Fenced(Exception):  # noqa: N818 - a fact, not a fault: another worker owns the partition
    """A higher epoch owns this partition."""


class Moved(Exception):  # noqa: N818 - as above
    """A store is not where this owner left it; it has to recover the partition."""


@dataclass(frozen=True, slots=True)
class HotCommit:
    """Blobs, results of writes and both offsets, in one atomic step."""

    part: int
    epoch: int
    expected: Marks | None
    reached: Marks
    announced: Marks
    blobs: Mapping[str, bytes]
    results: Mapping[bytes, bytes]


class HotTwins(Protocol):
    async def claim(self, part: int, epoch: int) -> Control:
        """Raises Fenced when a higher epoch is there."""

    async def commit(self, commit: HotCommit) -> None:
        """Raises Fenced; raises Moved when the marks are not `expected`."""

    async def fill(self, part: int, epoch: int, blobs: Mapping[str, bytes]) -> None:
        """Blobs alone, ahead of the commit that tells of them. Raises Fenced."""

    async def wipe(self, part: int, epoch: int) -> None:
        """Forget the blobs and marks of a partition whose store fell back. Raises Fenced."""

    async def look(self, part: int, twin: str) -> tuple[Marks | None, bytes | None]:
        """The marks of a partition and the blob of a twin, at one moment. No marks: the partition is recovering."""

    async def result(self, part: int, command: bytes) -> bytes | None: ...

    async def wait(self, part: int, wanted: Marks, seconds: float) -> bool:
        """True once both marks are reached; False when the time is over."""


@dataclass(frozen=True, slots=True)
class ParcelRow:
    """A parcel as history keeps it: times and names clear, values sealed."""

    parcel: OpenParcel
    index: int  # within its record
    key_epoch: int
    salt: bytes
    sealed: bytes
    t_min_us: int
    t_max_us: int


@dataclass(frozen=True, slots=True)
class SealedBlob:
    key_epoch: int
    salt: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class TwinRow:
    """What is clear about a twin: enough to list and to route, nothing that was measured."""

    twin: str
    part: int
    owner: str
    profile: str
    lifecycle: int
    revision: int
    relations: tuple[Relation, ...] = ()
    clear: Clear | None = None  # None: its profile calls nothing searchable
    keep_days: int = 0


@dataclass(frozen=True, slots=True)
class StoredParcel:
    """A parcel out of history: whose it is and where it came from, in clear; its body sealed."""

    twin: str
    device: str
    stream: int
    number: int
    digest: bytes
    offset: int
    blob: SealedBlob


class TwinHistory(Protocol):
    async def claim(self, part: int, owner: str) -> Checkpoint:
        """Raise the partition's epoch by one and return its marks."""

    async def checkpoint(self, part: int, epoch: int, expected: Marks, reached: Marks, rows: "Dirty") -> None:
        """Parcels, snapshots, twin rows and marks in one transaction. Raises Fenced or Moved."""

    async def snapshot(self, part: int, twin: str) -> SealedBlob | None: ...

    async def snapshots(self, part: int, twins: Collection[str]) -> Mapping[str, SealedBlob]:
        """Of several at once: of those that have one."""

    async def holds(self, twin: str, digest: bytes, t_min_us: int) -> int | None:
        """Log offset of the stored parcel with this digest, if there is one."""

    def parcels(self, twin: str, from_us: int, to_us: int) -> AsyncIterator[StoredParcel]:
        """Stored parcels that may hold readings in the half-open span, in order of their earliest reading."""

    async def marks(self, part: int) -> Marks:
        """What is durable of a partition."""

    async def incoming(self, twin: str) -> Sequence[tuple[str, str]]:
        """(source, name) of the accepted relations that end in `twin`."""


@dataclass(slots=True)
class Dirty:
    """What waits for the next checkpoint."""

    parcels: list[ParcelRow] = field(default_factory=list)
    held: list[ParcelRow] = field(default_factory=list)
    blobs: dict[str, SealedBlob] = field(default_factory=dict)
    twins: dict[str, TwinRow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What one record changed in one twin."""

    twin: str
    owner: str
    revision: int
    source: str  # readings | writes
    part: int
    offset: int
    cells: Mapping[str, Cell]
    state: TwinState
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A parcel that is not applied: its device signed two batches under one number, or it came too late to place."""

    part: int
    offset: int
    parcel: OpenParcel
    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A write that had no effect, for whoever proposed it."""

    part: int
    offset: int
    command: Command
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lived:
    """A twin was created or moved in its life."""

    part: int
    offset: int
    twin: str
    owner: str
    profile: str
    lifecycle: Lifecycle
    revision: int
    at_us: int


class Announcements(Protocol):
    async def announce(self, news: "Sequence[Change | Held | Refused | Lived]") -> None:
        """Append to the topics of twin-state, each under an id that a replay repeats. Raises when the log is away."""


class Seals(Protocol):
    """The keys of twins. A destroyed key is a fact, answered as None; an unreachable vault raises."""

    async def warm(self, names: Iterable[tuple[str, int]]) -> None:
        """Fetch keys by twin and epoch together, ahead of opening."""

    async def open_blob(self, twin: str, blob: SealedBlob, path: str) -> bytes | None: ...

    async def seal_blob(self, twin: str, plain: bytes, path: str) -> SealedBlob | None: ...
