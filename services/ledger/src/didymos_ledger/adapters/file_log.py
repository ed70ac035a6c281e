"""`EntryLog` in a folder: one writer thread behind an asyncio interface. marketplace-ledger.md section 2."""

import asyncio
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from didymos_contracts.errors import Problem
from didymos_contracts.errors.ledger import LEDGER_ROOT_MISMATCH
from didymos_contracts.errors.platform import PLATFORM_FOLDER_LOCKED, PLATFORM_OVERLOADED, PLATFORM_UNAVAILABLE
from didymos_provenance import (
    TILE_WIDTH,
    Bundle,
    NoteSigner,
    Place,
    ProvenanceError,
    Tile,
    decode_entries,
    decode_tile,
    encode_entries,
    encode_tile,
    place_path,
)

from didymos_ledger.adapters.log_writer import Batch, Clock, LogWriter
from didymos_ledger.adapters.tile_folder import TileFolder
from didymos_ledger.application.ports import Agreed, Head, TileStore
from didymos_ledger.domain.batch import MAX_BATCH, EntryDraft, Receipt, SourceCursor, prepare

QUEUE_ENTRIES: Final = 65_536
GROUP_SECONDS: Final = 0.005
CHECKPOINT_SECONDS: Final = 0.2
T = TypeVar("T")


@asynccontextmanager
async def open_file_log(
    folder: Path, org: str, signer: NoteSigner, clock: Clock, tiles: TileStore | None = None
) -> AsyncIterator["FileLog"]:
    """The log in `folder`, with tiles there too unless `tiles` says otherwise. Leaving drains and publishes.

    Raises PLATFORM_FOLDER_LOCKED while another process has it, LEDGER_ROOT_MISMATCH if its files do not give the root
    that was signed: then nothing is signed.
    """
    with (
        _locked(folder),
        ThreadPoolExecutor(1, "ledger-writer") as thread,
        ThreadPoolExecutor(1, "ledger-tiles") as files,
    ):
        log = FileLog(org, clock, thread, tiles or TileFolder(folder, files))
        await log.start(lambda: LogWriter(folder, signer, clock))
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(log.write_until_closed())
                loops.create_task(log.publish_until_closed())
                try:
                    yield log
                finally:
                    await log.drain()
        finally:
            await log.stop()


class FileLog:
    """See `EntryLog`. WAL and SQLite belong to the one thread of the writer, tiles to the store."""

    def __init__(self, org: str, clock: Clock, thread: Executor, tiles: TileStore) -> None:
        self._org, self._clock, self._thread, self._tiles = org, clock, thread, tiles
        self._queue = deque[tuple[_Asked, asyncio.Future[Receipt]]]()
        self._queued = 0
        self._woken, self._grew, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._published = asyncio.Condition()
        self._written = False
        self._failed: Problem | None = None
        self._late: Problem | None = None
        self._writer: LogWriter
        self._head: Head

    async def append(self, drafts: Sequence[EntryDraft], cursor: SourceCursor | None = None) -> Receipt:
        """See `EntryLog.append`."""
        asked = _Asked(drafts, cursor, self._clock())
        if self._failed or self._closing.is_set():
            raise self._failed or PLATFORM_UNAVAILABLE.problem(detail="the log is closing")
        if self._queued + len(drafts) > QUEUE_ENTRIES:
            raise PLATFORM_OVERLOADED.problem(queued=self._queued, limit=QUEUE_ENTRIES)
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._queue.append((asked, answer))
        self._queued += len(drafts)
        self._woken.set()
        return await answer

    async def find(self, event_id: bytes) -> int | None:
        return await self._run(lambda: self._writer.find(event_id))

    async def cursors(self) -> Mapping[tuple[str, int], int]:
        return await self._run(self._writer.cursors)

    def head(self) -> Head:
        return self._head

    def trouble(self) -> Problem | None:
        """Why nothing is appended or published now, for the readiness check; None if all is well."""
        return self._failed or self._late

    async def grown(self, size: int) -> AsyncIterator[Head]:
        while True:
            async with self._published:
                while self._head.checkpoint.size <= size and not self._closing.is_set():
                    await self._published.wait()
            if self._head.checkpoint.size <= size:
                return
            head = self._head
            size = head.checkpoint.size
            yield head

    async def read(self, place: Place) -> bytes | None:
        """See `TileReader`. Partial tiles and bundles are cut on request."""
        if not self._writer.released(place):
            return None
        held = await self._run(lambda: self._writer.held(place))
        if held is not None:
            return held
        raw = await self._tiles.get(place_path(replace(place, width=TILE_WIDTH)))
        if raw is None:
            raise LEDGER_ROOT_MISMATCH.problem(missing=place_path(place))
        if isinstance(place, Bundle):
            return encode_entries(decode_entries(raw)[: place.width])
        return encode_tile(decode_tile(raw, place.width))

    async def sizes(self) -> Mapping[str, int]:
        return await self._run(self._writer.state.witness_sizes)

    async def remember(self, sizes: Mapping[str, int], agreed: Agreed | None) -> None:
        await self._run(lambda: self._writer.state.remember(sizes, agreed))

    async def agreed(self) -> Agreed | None:
        return await self._run(self._writer.state.agreed)

    async def start(self, make: Callable[[], LogWriter]) -> None:
        """Open and recover. Raises LEDGER_ROOT_MISMATCH."""
        self._writer = await self._run(make)
        try:
            stored = {tile: await self._tile(tile) for tile in self._writer.wanted()}
            await self._run(lambda: self._writer.recover(stored))
        except ProvenanceError as error:
            await self.stop()
            raise LEDGER_ROOT_MISMATCH.problem(detail=str(error)) from error
        except Problem:
            await self.stop()
            raise
        self._head = self._writer.head
        if self._writer.plan() is not None:
            self._grew.set()

    async def drain(self) -> None:
        """Accept no more; what is queued is written and published by the loops before they end."""
        self._closing.set()
        self._woken.set()
        self._grew.set()
        async with self._published:
            self._published.notify_all()

    async def stop(self) -> None:
        await self._run(self._writer.close)

    async def write_until_closed(self) -> None:
        """Group what is queued, write it as one frame, answer."""
        while not (self._closing.is_set() and not self._queue):
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                await self._fill_group()
                await self._write(self._take_group())
        self._written = True
        self._grew.set()

    async def publish_until_closed(self) -> None:
        """A checkpoint every 200 ms if the log grew; the last one after the last write."""
        last = False
        while not last:
            await self._grew.wait()
            self._grew.clear()
            if not self._closing.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), CHECKPOINT_SECONDS)
            last = self._written
            if self._failed is None:
                await self._publish()

    async def _write(self, group: Sequence[tuple["_Asked", "asyncio.Future[Receipt]"]]) -> None:
        try:
            if self._failed is not None:
                raise self._failed
            answers = await self._run(lambda: self._answers([asked for asked, _ in group]))
        except (OSError, sqlite3.Error, Problem) as error:  # after a failed write or sync nothing is known of the file
            self._failed = error if isinstance(error, Problem) else _unavailable(error)
            answers = [self._failed for _ in group]
        for (_, future), answer in zip(group, answers, strict=True):
            if future.done():  # its caller gave up; the entries are in the log all the same
                continue
            if isinstance(answer, Problem):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._grew.set()

    async def _publish(self) -> None:
        try:
            publication = await self._run(self._writer.plan)
            if publication is None:
                return
            if publication.files:
                await self._tiles.put_once(publication.files)
            self._head = await self._run(lambda: self._writer.publish(publication))
        except OSError as error:  # a full disk: tiles are written again from memory, so the next round may do
            self._late = _unavailable(error)
            self._grew.set()
            return
        except (sqlite3.Error, Problem) as error:
            self._failed = error if isinstance(error, Problem) else _unavailable(error)
            return
        self._late = None
        async with self._published:
            self._published.notify_all()

    async def _fill_group(self) -> None:
        """Up to 5 ms from the first entry, unless there is a full group or nobody else will come."""
        until = asyncio.get_running_loop().time() + GROUP_SECONDS
        while self._queued < MAX_BATCH and not self._closing.is_set():
            self._woken.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._woken.wait()
            except TimeoutError:
                return

    def _answers(self, group: Sequence["_Asked"]) -> list[Receipt | Problem]:
        """Entries are made in the writer's thread, too: a large batch must not hold up the event loop."""
        prepared = [_prepared(asked, self._org) for asked in group]
        written = iter(self._writer.write([batch for batch in prepared if isinstance(batch, Batch)]))
        return [next(written) if isinstance(batch, Batch) else batch for batch in prepared]

    def _take_group(self) -> list[tuple["_Asked", "asyncio.Future[Receipt]"]]:
        """At most 1,024 entries, of at most 1 KiB each, unless the first batch alone is larger."""
        group, entries = list[tuple[_Asked, asyncio.Future[Receipt]]](), 0
        while self._queue:
            count = len(self._queue[0][0].drafts)
            entries += count
            if group and entries > MAX_BATCH:
                break
            group.append(self._queue.popleft())
            self._queued -= count
        return group

    async def _tile(self, tile: Tile) -> bytes:
        raw = await self._tiles.get(place_path(tile))
        if raw is None:
            raise LEDGER_ROOT_MISMATCH.problem(missing=place_path(tile))
        return raw

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A batch as it was asked for, at `at` (UTC seconds)."""

    drafts: Sequence[EntryDraft]
    cursor: SourceCursor | None
    at: int


def _prepared(asked: _Asked, org: str) -> Batch | Problem:
    try:
        return Batch(prepare(asked.drafts, org, asked.at), asked.cursor)
    except Problem as problem:
        return problem


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder for this process alone; the kernel lets go when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PLATFORM_FOLDER_LOCKED.problem(folder=folder.name) from None
        yield
    finally:
        os.close(handle)


def _unavailable(error: OSError | sqlite3.Error) -> Problem:
    return PLATFORM_UNAVAILABLE.problem(detail=f"the log stopped: {error}")
