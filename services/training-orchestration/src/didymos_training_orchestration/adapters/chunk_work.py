"""What a worker does with a chunk: the engine that the run names, made once and used again."""

from collections.abc import Callable, Sequence
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Final

from didymos_learning import Carried, ClientData, Flat, RunSpec, check_stackable

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkSum

if TYPE_CHECKING:
    from didymos_learning.engine import ChunkResult, Engine

CPU: Final = "cpu"
CUDA: Final = "cuda"
MEMORY: Final = ""  # the name, which no subject has, of what a compressed chunk has not sent yet


class ChunkWork:
    """The clients of one process and its engine; one call at a time, others wait. The same bits in any process.

    `device`: `cpu`, or `cuda`, whose bits are its own.
    """

    def __init__(self, clients: Sequence[ClientData], device: str = CPU) -> None:
        self._clients, self._device = clients, device
        self._spec: RunSpec | None = None
        self._train: Callable[[Sequence[ClientData], Flat, int], ChunkResult] | None = None
        self._loop: Engine | None = None
        self._turn = Lock()

    def train(self, spec: RunSpec, params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
        """One chunk from `params` (d,). Raises LearningError as `train_chunk`."""
        from didymos_learning.devices import one_thread

        with self._turn:
            one_thread()
            if self._train is None or spec != self._spec:
                self._spec, self._train = spec, training_of(spec, self._device)
            begun = perf_counter()
            done = self._train(self._clients[chunk.first : chunk.last], params, round_)
            return ChunkSum(done.total, done.weight, done.count, perf_counter() - begun)

    def carry(self, spec: RunSpec, params: Flat, round_: int, chunk: Chunk, carried: Carried) -> ChunkSum:
        """One chunk of a strategy that takes more than parameters along, or whose sum is compressed: by the loop."""
        from didymos_learning.compression import compressor_of
        from didymos_learning.devices import one_thread
        from didymos_learning.engine import train_chunk

        with self._turn:
            one_thread()
            if self._loop is None or self._loop.model != spec.model:
                self._loop = loop_of(spec, self._device)
            begun = perf_counter()
            clients = self._clients[chunk.first : chunk.last]
            done = train_chunk(self._loop, clients, params, spec, round_, carried=carried)
            compressor = compressor_of(spec, str(chunk.name))
            compressor.memory = carried.states.get(MEMORY)
            total = compressor.through(done.total, round_)
            unsent = {} if compressor.memory is None else {MEMORY: compressor.memory}
            return ChunkSum(total, done.weight, done.count, perf_counter() - begun, {**done.states, **unsent})


def loop_of(spec: RunSpec, device: str = CPU) -> "Engine":
    """The loop engine."""
    from didymos_learning.engine import Engine

    return Engine(spec.model, device)


def training_of(spec: RunSpec, device: str = CPU) -> Callable[[Sequence[ClientData], Flat, int], "ChunkResult"]:
    """`train_chunk` by the engine of the run. Raises LearningError if that engine cannot."""
    from didymos_learning.engine import train_chunk
    from didymos_learning.stacked import StackedEngine, train_stacked

    if spec.engine == "stacked":
        check_stackable(spec)
        stacked = StackedEngine(spec.model, device)
        return lambda clients, params, round_: train_stacked(stacked, clients, params, spec, round_)
    engine = loop_of(spec, device)
    return lambda clients, params, round_: train_chunk(engine, clients, params, spec, round_)
