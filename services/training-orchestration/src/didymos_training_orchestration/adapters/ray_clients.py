"""Chunks trained by Ray actors, one call a chunk and never one a client. The only module that imports Ray.

Environment first, then Ray, then torch: threads and allocator are fixed before a worker starts. learning.md section 4.
"""

import asyncio
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from didymos_learning import Flat, RunSpec

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkLostError, ChunkSum

IN_FLIGHT: Final = 2  # calls an actor
INHERITED: Final = ("MKL_CBWR",)  # chooses other kernels, hence other bits: the same in driver, actors and sites
ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}


def environment() -> dict[str, str]:
    """Of an actor. What decides over bits it has from its driver. ADR 33."""
    return {**ENVIRONMENT, **{name: os.environ[name] for name in INHERITED if name in os.environ}}


class TrainerActor:
    """Runs in a worker: the clients of its source, loaded once. Code comes by reference, never pickled."""

    def __init__(self, source: str) -> None:
        self._source = Path(source)
        self._clients: list[Any] | None = None

    def train(self, spec_json: bytes, params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
        from didymos_training_orchestration.adapters.inline_clients import train
        from didymos_training_orchestration.adapters.simulated_clients import load_clients

        spec = RunSpec.from_json(spec_json)
        if self._clients is None:
            self._clients = load_clients(self._source, spec.model.task)
        return train(self._clients, spec, params, round_, chunk)


class RayTrainer:
    """Fills `Trainer` with `workers` actors of one CPU each. `async with RayTrainer(...)`: actors end with it."""

    def __init__(self, source: Path, workers: int, address: str | None = None) -> None:
        self._source, self._workers, self._address = source, workers, address
        self._actors: list[Any] = []
        self._params: Any = None
        self._ray: Any = None
        self._ours = False

    @property
    def width(self) -> int:
        return self._workers * IN_FLIGHT

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        import ray

        self._ray = ray
        if not ray.is_initialized():
            self._ours = True
            told: dict[str, Any] = {"address": self._address} if self._address else {"num_cpus": self._workers}
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **told)
        made = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, runtime_env={"env_vars": environment()})
        actor: Any = made(TrainerActor)
        self._actors = [actor.remote(str(self._source.resolve())) for _ in range(self._workers)]

    def _stop(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors, self._params = [], None
        if self._ours:
            self._ray.shutdown()

    async def begin(self, params: Flat) -> None:
        """One copy in the object store a round; the old one goes with its last reference."""
        self._params = await asyncio.to_thread(self._ray.put, params)

    async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        """A chunk prefers one actor, where its data are; after a failure it goes to the next."""
        index = int(chunk.name.rpartition(":")[2]) + attempt
        actor = self._actors[index % len(self._actors)]
        try:
            done: ChunkSum = await actor.train.remote(spec.to_json(), self._params, round_, chunk)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, ValueError) else error from error
        except self._ray.exceptions.RayError as error:
            raise ChunkLostError(chunk.name) from error
        return done
