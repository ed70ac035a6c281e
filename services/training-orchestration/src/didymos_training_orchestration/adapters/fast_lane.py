"""The fast lane to a worker on the same machine: parameters and sums in shared memory, a socket for go and done.

For chunks so short that a call by Ray costs a share of them that one sees. Same bits: the same function trains.
Nothing is parsed but numbers and one code; the folder is readable by this user alone. learning.md section 4.
"""

import asyncio
import mmap
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from didymos_learning import Flat, LearningError

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkLostError, ChunkSum

SLOTS: Final = 2  # calls in flight a lane: each has a block for its sum
GO: Final = struct.Struct("<QQQQ")  # slot, round, first client, last client
DONE: Final = struct.Struct("<Qddd64s")  # slot, weight, count, seconds, code of what went wrong
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


def home() -> Path | None:
    """Where lanes have their memory, if this machine has such a place."""
    return _MEMORY if _MEMORY.is_dir() else None


@dataclass(frozen=True, slots=True)
class Blocks:
    """Parameters (d,) and sums (SLOTS, d) in one file."""

    params: Flat
    sums: Flat

    @classmethod
    def at(cls, path: Path, size: int) -> Self:
        """Maps the file, and makes it if it is not there."""
        whole = (1 + SLOTS) * size * 4
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(whole)
            memory = mmap.mmap(file.fileno(), whole)
        flat = np.frombuffer(memory, dtype=np.float32)
        return cls(flat[:size], flat[size:].reshape(SLOTS, size))


class Lane:
    """The driver's end. Made, then `opened` once the worker has come; closed by either end, for good."""

    def __init__(self, folder: Path, number: int, size: int) -> None:
        self.path = folder / f"{number}.lane"
        self.size = size
        self._blocks = Blocks.at(self.path.with_suffix(".memory"), size)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(str(self.path))
        self._listening.listen(1)
        self._listening.settimeout(0.0)
        self._socket: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[ChunkSum]] = {}
        self._free: asyncio.Queue[int] = asyncio.Queue()

    @property
    def alive(self) -> bool:
        return self._socket is not None

    async def opened(self) -> None:
        loop = asyncio.get_running_loop()
        self._socket, _ = await loop.sock_accept(self._listening)
        self._socket.settimeout(0.0)
        loop.add_reader(self._socket, self._read)
        for slot in range(SLOTS):
            self._free.put_nowait(slot)

    def begin(self, params: Flat) -> None:
        np.copyto(self._blocks.params, params)

    async def train(self, round_: int, chunk: Chunk) -> ChunkSum:
        """Raises ChunkLostError when the worker died, LearningError as training does."""
        slot = await self._free.get()
        if self._socket is None:
            self._free.put_nowait(slot)
            raise ChunkLostError(chunk.name)
        done: asyncio.Future[ChunkSum] = asyncio.get_running_loop().create_future()
        self._waiting[slot] = done
        try:
            self._socket.send(GO.pack(slot, round_, chunk.first, chunk.last))
        except OSError:
            self.close()
        return await done

    def _read(self) -> None:
        """A slot is free again when its sum is here, not when nobody waits for it any more."""
        assert self._socket is not None  # noqa: S101 - else there is no reader
        try:
            said = self._socket.recv(DONE.size)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if len(said) != DONE.size:
            self.close()
            return
        slot, weight, count, seconds, raw = DONE.unpack(said)
        done, code = self._waiting.pop(slot), raw.rstrip(b"\0").decode("ascii", "replace")
        if not done.done():
            if code:
                done.set_exception(LearningError(code))
            else:
                done.set_result(ChunkSum(self._blocks.sums[slot].copy(), weight, int(count), seconds))
        self._free.put_nowait(slot)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._listening.close()
        for slot, done in self._waiting.items():
            if not done.done():
                done.set_exception(ChunkLostError("lane"))
            self._free.put_nowait(slot)
        self._waiting.clear()


def serve(path: Path, size: int, train: Callable[[Flat, int, Chunk], ChunkSum]) -> None:
    """The worker's end: trains what it is told until the driver hangs up."""
    blocks = Blocks.at(path.with_suffix(".memory"), size)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect(str(path))
        while len(said := line.recv(GO.size)) == GO.size:
            slot, round_, first, last = GO.unpack(said)
            weight, count, seconds, code = 0.0, 0.0, 0.0, b""
            try:
                done = train(blocks.params, round_, Chunk.at(first, last))
            except LearningError as error:
                code = error.code.encode("ascii")[:64]
            else:
                np.copyto(blocks.sums[slot], done.total)
                weight, count, seconds = done.weight, float(done.count), done.seconds
            line.send(DONE.pack(slot, weight, count, seconds, code))
