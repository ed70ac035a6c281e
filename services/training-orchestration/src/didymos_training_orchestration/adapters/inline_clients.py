"""Chunks trained in this process: for tests, and for what is too small to start workers for."""

import asyncio
from collections.abc import Sequence

from didymos_learning import Carried, ClientData, Flat, RunSpec

from didymos_training_orchestration.adapters.chunk_work import CPU, ChunkWork
from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum


class InlineTrainer:
    """Fills `Trainer`: one engine, one call at a time."""

    width = 1

    def __init__(self, clients: Sequence[ClientData], device: str = CPU) -> None:
        self._work = ChunkWork(clients, device)
        self._params: Flat | None = None

    async def begin(self, params: Flat) -> None:
        self._params = params

    async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        del attempt
        if self._params is None:
            raise RuntimeError("a round begins before it trains")
        return await asyncio.to_thread(self._work.train, spec, self._params, round_, chunk)

    async def carry(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int, carried: Carried) -> ChunkSum:
        del attempt
        if self._params is None:
            raise RuntimeError("a round begins before it trains")
        return await asyncio.to_thread(self._work.carry, spec, self._params, round_, chunk, carried)
