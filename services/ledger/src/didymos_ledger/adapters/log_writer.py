"""The writer of one log, all of it in one thread: frames, promises, and what a checkpoint publishes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from didymos_contracts.errors import Problem
from didymos_contracts.errors.ledger import LEDGER_ROOT_MISMATCH
from didymos_contracts.errors.platform import PLATFORM_IDEMPOTENCY_MISMATCH, PLATFORM_UNAVAILABLE
from didymos_provenance import (
    MERGE_SECONDS,
    Checkpoint,
    NoteSigner,
    Place,
    Promise,
    SignedPromise,
    Tile,
    leaf_hash,
    parse_entry,
    root_of,
    sign_checkpoint,
    sign_promise,
    tile_width,
)

from didymos_ledger.adapters.state_db import Seen, StateDb
from didymos_ledger.adapters.wal import Frame, Wal
from didymos_ledger.application.ports import Head
from didymos_ledger.domain.batch import Prepared, Receipt, SourceCursor
from didymos_ledger.domain.tree import GrowingTree, edge_of, edge_tiles

Clock: TypeAlias = Callable[[], int]  # UTC seconds
SEEN_SECONDS: Final = 24 * 3600
_FORGET_EVERY_SECONDS: Final = 60
_RESERVE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """One append, prepared."""

    prepared: tuple[Prepared, ...]
    cursor: SourceCursor | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """A checkpoint on its way out: files that must be stored before the signed row, and what goes in with it."""

    head: Head
    files: tuple[tuple[str, bytes], ...]
    seen: tuple[Seen, ...]
    cursors: tuple[SourceCursor, ...]


@dataclass(slots=True)
class _Plan:
    """A frame while its batches are placed."""

    first: int
    texts: list[bytes] = field(default_factory=list)
    placed: dict[bytes, Seen] = field(default_factory=dict)
    cursors: list[SourceCursor] = field(default_factory=list)


class LogWriter:
    """Used by one thread at a time, in a folder that the caller has locked. `recover` comes first."""

    def __init__(self, folder: Path, signer: NoteSigner, clock: Clock) -> None:
        self._folder, self._signer, self._clock = folder, signer, clock
        self.state = StateDb(folder / "state.db")
        self._wal = Wal(folder / "wal")
        self._tree = GrowingTree()
        self._unflushed = dict[bytes, Seen]()
        self._cursors = self.state.cursors()
        self._forgot_at = 0
        signed = self.state.head()
        self._fresh = signed is None
        self.head = signed or self._head(Checkpoint(signer.key.name, 0, self._tree.frontier.root()))

    def close(self) -> None:
        self._wal.close()
        self.state.close()

    def wanted(self) -> list[Tile]:
        """The stored tiles that `recover` needs."""
        return edge_tiles(self._signed_base())

    def recover(self, stored: dict[Tile, bytes]) -> None:
        """Rebuild the tree from tiles and frames. Raises LEDGER_ROOT_MISMATCH, and leaves all files as they are."""
        size, base = self.head.checkpoint.size, self._signed_base()
        self._tree = GrowingTree(edge_of(base, stored), base)
        rest = list[tuple[bytes, bytes]]()
        for frame in self._wal.replay(base):
            skip = max(0, base - frame.first)
            if frame.first + skip != base + len(rest):
                raise LEDGER_ROOT_MISMATCH.problem(first=frame.first, expected=base + len(rest))
            rest += zip(frame.event_ids[skip:], frame.entries[skip:], strict=True)
            for cursor in frame.cursors:
                self._move(cursor)
        self._tree.grow([text for _, text in rest[: size - base]])
        frontier = self._tree.frontier
        if (frontier.size, frontier.root()) != (size, self.head.checkpoint.root):
            raise LEDGER_ROOT_MISMATCH.problem(size=size, replayed=frontier.size)
        for index, (event_id, text) in enumerate(rest[size - base :], start=size):
            self._unflushed[event_id] = Seen(event_id, index, parse_entry(text).at, leaf_hash(text))
        self._tree.grow([text for _, text in rest[size - base :]])
        self._wal.open(self._tree.frontier.size)
        if self._fresh:
            self.publish(Publication(self.head, (), (), ()))

    def write(self, batches: Sequence[Batch]) -> list[Receipt | Problem]:
        """One frame for all batches, durable; an answer for each. Raises OSError: then nothing is known any more."""
        plan = _Plan(self._tree.frontier.size)
        known = self._known([one.event_id for batch in batches for one in batch.prepared])
        answers = [self._place(batch, plan, known) for batch in batches]
        if plan.texts or plan.cursors:
            if not self._has_room(sum(map(len, plan.texts))):
                return [PLATFORM_UNAVAILABLE.problem(detail="the disk of the log is full") for _ in batches]
            self._wal.append(
                Frame(self.state.epoch, plan.first, tuple(plan.placed), tuple(plan.texts), tuple(plan.cursors))
            )
            self._tree.grow(plan.texts, [seen.leaf for seen in plan.placed.values()])
            self._unflushed |= plan.placed
            for cursor in plan.cursors:
                self._move(cursor)
        merge_by = self._clock() + MERGE_SECONDS
        return [answer if isinstance(answer, Problem) else self._receipt(answer, merge_by) for answer in answers]

    def plan(self) -> Publication | None:
        """The next checkpoint, if the log has grown."""
        frontier = self._tree.frontier
        if frontier.size == self.head.checkpoint.size:
            return None
        head = self._head(Checkpoint(self._signer.key.name, frontier.size, frontier.root()))
        places = tuple(SourceCursor(topic, part, following) for (topic, part), following in self._cursors.items())
        return Publication(head, tuple(self._tree.files()), tuple(self._unflushed.values()), places)

    def publish(self, publication: Publication) -> Head:
        """Commit the signed row; all files of the publication are stored. Raises LEDGER_FENCED."""
        self.state.publish(publication.head, publication.seen, publication.cursors)
        self.head = publication.head
        for seen in publication.seen:
            del self._unflushed[seen.event_id]
        self._tree.stored(self.head.checkpoint.size)
        self._wal.forget(self._tree.base)
        now = self._clock()
        if now >= self._forgot_at + _FORGET_EVERY_SECONDS:
            self.state.forget_seen(now - SEEN_SECONDS)
            self._forgot_at = now
        return self.head

    def held(self, place: Place) -> bytes | None:
        """What is not yet in stored tiles; None: look there."""
        return self._tree.held(place)

    def released(self, place: Place) -> bool:
        """Whether the published checkpoint covers all of this place."""
        level = place.level if isinstance(place, Tile) else 0
        return 0 < place.width <= tile_width(level, place.index, self.head.checkpoint.size)

    def find(self, event_id: bytes) -> int | None:
        seen = self._known([event_id]).get(event_id)
        return None if seen is None else seen.place

    def cursors(self) -> dict[tuple[str, int], int]:
        return dict(self._cursors)

    def _place(self, batch: Batch, plan: _Plan, known: dict[bytes, Seen]) -> list[Seen] | Problem:
        """Where each entry of the batch is or will be; the plan takes the new ones, or none if one is refused."""
        cursor, placed, fresh = batch.cursor, list[Seen](), list[tuple[Seen, bytes]]()
        if cursor is not None and self._cursors.get((cursor.topic, cursor.partition), 0) >= cursor.next_offset:
            return []
        for index, one in enumerate(batch.prepared):
            seen = known.get(one.event_id) or plan.placed.get(one.event_id)
            if seen is None:
                place = plan.first + len(plan.texts) + len(fresh)
                seen = Seen(one.event_id, place, one.entry.at, leaf_hash(one.text))
                fresh.append((seen, one.text))
            elif leaf_hash(replace(one.entry, at=seen.at).encode()) != seen.leaf:
                return PLATFORM_IDEMPOTENCY_MISMATCH.problem(pointer=f"/drafts/{index}", index=seen.place)
            placed.append(seen)
        plan.texts += [text for _, text in fresh]
        plan.placed |= {seen.event_id: seen for seen, _ in fresh}
        plan.cursors += [cursor] if cursor is not None else []
        return placed

    def _receipt(self, placed: Sequence[Seen], merge_by: int) -> Receipt:
        promises = tuple(self._promise(run, merge_by) for run in _runs(placed))
        return Receipt(tuple(seen.place for seen in placed), promises)

    def _promise(self, run: Sequence[Seen], merge_by: int) -> SignedPromise:
        root = root_of([seen.leaf for seen in run])
        return sign_promise(Promise(self._signer.key.name, run[0].place, len(run), root, merge_by), self._signer)

    def _known(self, event_ids: Sequence[bytes]) -> dict[bytes, Seen]:
        recent = {one: self._unflushed[one] for one in event_ids if one in self._unflushed}
        older = [one for one in event_ids if one not in recent]
        return recent | (self.state.seen(older) if older else {})

    def _head(self, checkpoint: Checkpoint) -> Head:
        return Head(checkpoint, sign_checkpoint(checkpoint, self._signer))

    def _signed_base(self) -> int:
        size = self.head.checkpoint.size
        return size - size % 256

    def _move(self, cursor: SourceCursor) -> None:
        key = (cursor.topic, cursor.partition)
        self._cursors[key] = max(self._cursors.get(key, 0), cursor.next_offset)

    def _has_room(self, size: int) -> bool:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize > 2 * size + _RESERVE_BYTES


def _runs(placed: Sequence[Seen]) -> list[list[Seen]]:
    """Runs of consecutive indices, in order."""
    runs = list[list[Seen]]()
    for seen in placed:
        if runs and seen.place == runs[-1][-1].place + 1:
            runs[-1].append(seen)
        else:
            runs.append([seen])
    return runs
