"""Stores of twin-state in memory, under the same contracts as the real ones; any call of theirs can be made to die."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from didymos_twin_state.application.ports import (
    Change,
    Checkpoint,
    Control,
    Dirty,
    Fenced,
    Held,
    HotCommit,
    Lived,
    Marks,
    Moved,
    ParcelRow,
    Refused,
    SealedBlob,
    StoredParcel,
    TwinRow,
)
from didymos_twin_state.domain.twin import Lifecycle


class Died(Exception):  # noqa: N818 - what a kill is to a test
    """The process died here."""


@dataclass(slots=True)
class Mortality:
    """Dies at the n-th step from now; never if None. Each store calls `step` before and after its effect."""

    left: int | None = None

    def step(self) -> None:
        if self.left is None:
            return
        if self.left == 0:
            self.left = None
            raise Died
        self.left -= 1


@dataclass(slots=True)
class MemoryHot:
    mortality: Mortality
    epochs: dict[int, int] = field(default_factory=dict)
    at: dict[int, Marks] = field(default_factory=dict)
    said: dict[int, Marks] = field(default_factory=dict)
    blobs: dict[tuple[int, str], bytes] = field(default_factory=dict)
    results: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def claim(self, part: int, epoch: int) -> Control:
        if self.epochs.get(part, 0) > epoch:
            raise Fenced
        self.epochs[part] = epoch
        return Control(epoch, self.at.get(part), self.said.get(part, Marks()))

    async def commit(self, commit: HotCommit) -> None:
        self.mortality.step()
        if self.epochs.get(commit.part, 0) != commit.epoch:
            raise Fenced
        if self.at.get(commit.part) != commit.expected:
            raise Moved
        if commit.expected is not None and not commit.reached.reached(commit.expected):
            raise AssertionError("readers would see the state go back")
        self.blobs.update({(commit.part, twin): blob for twin, blob in commit.blobs.items()})
        self.results.update({(commit.part, command): result for command, result in commit.results.items()})
        self.at[commit.part], self.said[commit.part] = commit.reached, commit.announced
        self._moved.set()
        self.mortality.step()

    async def fill(self, part: int, epoch: int, blobs: Mapping[str, bytes]) -> None:
        if self.epochs.get(part, 0) != epoch:
            raise Fenced
        self.blobs.update({(part, twin): blob for twin, blob in blobs.items()})

    async def wipe(self, part: int, epoch: int) -> None:
        if self.epochs.get(part, 0) != epoch:
            raise Fenced
        self.at.pop(part, None)
        self.blobs = {key: blob for key, blob in self.blobs.items() if key[0] != part}

    async def look(self, part: int, twin: str) -> tuple[Marks | None, bytes | None]:
        return self.at.get(part), self.blobs.get((part, twin))

    async def result(self, part: int, command: bytes) -> bytes | None:
        return self.results.get((part, command))

    async def wait(self, part: int, wanted: Marks, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not self._reached(part, wanted):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _reached(self, part: int, wanted: Marks) -> bool:
        reached = self.at.get(part)
        return reached is not None and reached.reached(wanted)

    def copy(self) -> "MemoryHot":
        """The store as it is now, for a fail-over to it later."""
        stores = (self.epochs, self.at, self.said, self.blobs, self.results)
        return MemoryHot(self.mortality, *(dict(store) for store in stores))  # type: ignore[arg-type]

    def flushall(self) -> None:
        """The store lost everything, epochs too."""
        for kept in (self.epochs, self.at, self.said, self.blobs, self.results):
            kept.clear()


@dataclass(slots=True)
class MemoryHistory:
    mortality: Mortality
    epochs: dict[int, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    at: dict[int, Marks] = field(default_factory=dict)
    blobs: dict[tuple[int, str], SealedBlob] = field(default_factory=dict)
    rows: list[ParcelRow] = field(default_factory=list)
    held: list[ParcelRow] = field(default_factory=list)
    twins: dict[str, TwinRow] = field(default_factory=dict)

    async def claim(self, part: int, owner: str) -> Checkpoint:
        self.owners[part] = owner
        self.epochs[part] = self.epochs.get(part, 0) + 1
        return Checkpoint(self.epochs[part], self.at.get(part, Marks()))

    async def checkpoint(self, part: int, epoch: int, expected: Marks, reached: Marks, rows: Dirty) -> None:
        self.mortality.step()
        if self.epochs.get(part) != epoch:
            raise Fenced
        if self.at.get(part, Marks()) != expected:
            raise Moved
        self.rows.extend(rows.parcels)
        self.blobs.update({(part, twin): blob for twin, blob in rows.blobs.items()})
        self.held.extend(rows.held)
        self.twins.update(rows.twins)
        erased = {twin for twin, row in rows.twins.items() if row.lifecycle == Lifecycle.ERASED}
        self.rows = [row for row in self.rows if row.parcel.twin not in erased]
        for twin in erased:
            self.blobs.pop((part, twin), None)
        self.at[part] = reached
        self.mortality.step()

    async def snapshot(self, part: int, twin: str) -> SealedBlob | None:
        return self.blobs.get((part, twin))

    async def snapshots(self, part: int, twins: Collection[str]) -> Mapping[str, SealedBlob]:
        return {twin: self.blobs[part, twin] for twin in twins if (part, twin) in self.blobs}

    async def holds(self, twin: str, digest: bytes, t_min_us: int) -> int | None:
        found = (row for row in self.rows if row.parcel.twin == twin and row.parcel.digest == digest)
        return next((row.parcel.offset for row in found if row.t_min_us == t_min_us), None)

    async def parcels(self, twin: str, from_us: int, to_us: int) -> AsyncIterator[StoredParcel]:
        for row in sorted(self.rows, key=lambda each: each.t_min_us):
            if row.parcel.twin == twin and row.t_min_us < to_us and row.t_max_us >= from_us:
                parcel, blob = row.parcel, SealedBlob(row.key_epoch, row.salt, row.sealed)
                yield StoredParcel(
                    twin, parcel.device, parcel.stream, parcel.number, parcel.digest, parcel.offset, blob
                )

    async def marks(self, part: int) -> Marks:
        return self.at.get(part, Marks())

    async def incoming(self, twin: str) -> Sequence[tuple[str, str]]:
        found = (row for row in self.twins.values())
        return [
            (row.twin, edge.name) for row in found for edge in row.relations if edge.accepted and edge.target == twin
        ]


@dataclass(slots=True)
class PlainSeals:
    """Keys of no secrecy: what is sealed is marked, so that a test sees if a blob was opened under another twin."""

    destroyed: set[str] = field(default_factory=set)
    epoch: int = 1

    async def warm(self, names: Iterable[tuple[str, int]]) -> None:
        """All keys are at hand."""

    async def open_blob(self, twin: str, blob: SealedBlob, path: str) -> bytes | None:
        if twin in self.destroyed:
            return None
        head = f"{twin}|{path}|".encode()
        if not blob.sealed.startswith(head):
            raise AssertionError(f"{twin} was given the blob of another twin or path")
        return blob.sealed[len(head) :]

    async def seal_blob(self, twin: str, plain: bytes, path: str) -> SealedBlob | None:
        return None if twin in self.destroyed else SealedBlob(self.epoch, b"", f"{twin}|{path}|".encode() + plain)


@dataclass(slots=True)
class Heard:
    """Announcements as a consumer keeps them: what lies at or below its mark of the source is dropped."""

    mortality: Mortality
    news: list[Change | Held | Refused | Lived] = field(default_factory=list)
    seen: set[tuple[str, str, int, str]] = field(default_factory=set)

    async def announce(self, news: Sequence[Change | Held | Refused | Lived]) -> None:
        for item in news:
            self.mortality.step()
            twin = item.twin if isinstance(item, Change | Lived) else ""
            source = item.source if isinstance(item, Change) else ""
            name = (type(item).__name__, twin, item.offset, source)
            if name not in self.seen:
                self.seen.add(name)
                self.news.append(item)

    def changes(self) -> Mapping[tuple[str, int, str], int]:
        found: dict[tuple[str, int, str], int] = {}
        for item in self.news:
            if isinstance(item, Change):
                key = (item.source, item.offset, item.twin)
                found[key] = found.get(key, 0) + 1
        return found
