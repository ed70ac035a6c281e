"""What a worker does with a chunk: the engine that the run names, made once and used again."""

from collections.abc import Callable, Sequence
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

from didymos_learning import ClientData, Flat, RunSpec

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum

if TYPE_CHECKING:
    from didymos_learning.engine import ChunkResult


class ChunkWork:
    """The clients of one process and its engine; one call at a time, others wait."""

    def __init__(self, clients: Sequence[ClientData]) -> None:
        self.clients = clients
        self._spec: RunSpec | None = None
        self._train: Callable[[Sequence[ClientData], Flat, int], ChunkResult] | None = None
        self._turn = Lock()

    def train(self, spec: RunSpec, params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
        """One chunk from `params` (d,): the same bits in whatever process. Raises LearningError as `train_chunk`."""
        with self._turn:
            if self._train is None or spec != self._spec:
                self._spec, self._train = spec, training_of(spec)
            begun = perf_counter()
            done = self._train(self.clients[chunk.first : chunk.last], params, round_)
            return ChunkSum(done.total, done.weight, done.count, perf_counter() - begun)


def training_of(spec: RunSpec) -> Callable[[Sequence[ClientData], Flat, int], "ChunkResult"]:
    """`train_chunk` by the engine of the run, in one thread. Raises LearningError if that engine cannot."""
    import torch
    from didymos_learning.engine import Engine, train_chunk
    from didymos_learning.stacked import StackedEngine, check_stackable, train_stacked

    torch.set_num_threads(1)
    if spec.engine == "stacked":
        check_stackable(spec)
        stacked = StackedEngine(spec.model)
        return lambda clients, params, round_: train_stacked(stacked, clients, params, spec, round_)
    engine = Engine(spec.model)
    return lambda clients, params, round_: train_chunk(engine, clients, params, spec, round_)
