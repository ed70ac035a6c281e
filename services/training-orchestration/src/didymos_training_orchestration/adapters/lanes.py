"""The fast lanes of a run: one to each worker on this machine, opened when it is first asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TypeAlias

from didymos_learning import Flat

from didymos_training_orchestration.adapters.fast_lane import Lane, home
from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkLostError, ChunkSum

Attend: TypeAlias = Callable[[int, Path, int], Awaitable[None]]  # tells worker n where its lane of size d is


class Lanes:
    """`attend` has a worker come to a lane. A lane whose worker died is made anew at its next chunk."""

    def __init__(self, attend: Attend, params: Flat) -> None:
        self._attend, self._params = attend, params
        self._folder = Path(mkdtemp(prefix="didymos-lanes-", dir=home()))
        self._lanes: dict[int, Lane] = {}
        self._made = 0
        self._turn = asyncio.Lock()

    def begin(self, params: Flat) -> None:
        self._params = params
        for lane in self._lanes.values():
            lane.begin(params)

    async def train(self, number: int, round_: int, chunk: Chunk) -> ChunkSum:
        """Raises ChunkLostError, LearningError."""
        return await (await self._lane(number, chunk)).train(round_, chunk)

    async def _lane(self, number: int, chunk: Chunk) -> Lane:
        async with self._turn:
            lane = self._lanes.get(number)
            if lane is not None and lane.alive:
                return lane
            self._made += 1
            lane = Lane(self._folder, self._made, self._params.size)
            lane.begin(self._params)
            coming = asyncio.ensure_future(lane.opened())
            try:
                await self._attend(number, lane.path, lane.size)
                await coming
            except Exception as error:
                coming.cancel()
                lane.close()
                raise ChunkLostError(chunk.name) from error
            self._lanes[number] = lane
            return lane

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()
        rmtree(self._folder, ignore_errors=True)
