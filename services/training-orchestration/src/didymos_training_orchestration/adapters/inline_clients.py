"""Chunks trained in this process: for tests, and for what is too small to start workers for."""

import asyncio
from collections.abc import Sequence

from didymos_learning import ClientData, Flat, RunSpec

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum


class InlineTrainer:
    """Fills `Trainer`: one engine, one call at a time."""

    width = 1

    def __init__(self, clients: Sequence[ClientData]) -> None:
        self._clients = clients
        self._params: Flat | None = None

    async def begin(self, params: Flat) -> None:
        self._params = params

    async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        del attempt
        if self._params is None:
            raise RuntimeError("a round begins before it trains")
        return await asyncio.to_thread(train, self._clients, spec, self._params, round_, chunk)


def train(clients: Sequence[ClientData], spec: RunSpec, params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
    """One chunk from `params` (d,): the same bits in whatever process."""
    import torch
    from didymos_learning.engine import Engine, train_chunk

    torch.set_num_threads(1)
    done = train_chunk(Engine(spec.model), clients[chunk.first : chunk.last], params, spec, round_)
    return ChunkSum(done.total, done.weight, done.count)
