"""A chunk of a strategy that takes more than parameters along, or whose sum is compressed: by the loop engine."""

from collections.abc import Sequence
from time import perf_counter
from typing import Final

from didymos_learning import Carried, ClientData, Flat, RunSpec

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum

MEMORY: Final = ""  # the name, which no subject has, of what a compressed chunk has not sent yet


def carry(
    clients: Sequence[ClientData], spec: RunSpec, params: Flat, round_: int, chunk: Chunk, carried: Carried
) -> ChunkSum:
    """The same bits in whatever process. Raises LearningError as `train_chunk`."""
    import torch
    from didymos_learning.compression import compressor_of
    from didymos_learning.engine import Engine, train_chunk

    torch.set_num_threads(1)
    begun = perf_counter()
    done = train_chunk(Engine(spec.model), clients[chunk.first : chunk.last], params, spec, round_, carried=carried)
    compressor = compressor_of(spec, str(chunk.name))
    compressor.memory = carried.states.get(MEMORY)
    total = compressor.through(done.total, round_)
    states = {**done.states, **({} if compressor.memory is None else {MEMORY: compressor.memory})}
    return ChunkSum(total, done.weight, done.count, perf_counter() - begun, states)
