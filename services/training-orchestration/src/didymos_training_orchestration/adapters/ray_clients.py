"""Chunks trained by Ray actors, one call a chunk and never one a client. The only module that imports Ray.

Environment first, then Ray, then torch: threads and allocator are fixed before a worker starts. learning.md section 4.
"""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Final, Self

from didymos_learning import Flat, RunSpec

from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkLostError, ChunkSum

START_SECONDS: Final = 180  # a machine that is busy takes a minute
STOP_SECONDS: Final = 60.0
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


# Ray forks, and a fork of a process that has gRPC in it may hang before it runs anything: a process of its own
# starts the node, says where it is, and ends with its standard input.
_NODE: Final = """
import logging, sys, ray
made = ray.init(num_cpus=int(sys.argv[1]), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
print(made.address_info["gcs_address"], flush=True)
sys.stdin.read()
ray.shutdown()
"""


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
        self._node: subprocess.Popen[str] | None = None

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
        """A node of our own has a token of its own, made here: an open Ray port is remote code execution."""
        if self._address is None:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}  # read when Ray is imported
        import ray

        self._ray = ray
        try:
            ray.init(address=self._address or self._started(), log_to_driver=False, logging_level=logging.ERROR)
        except BaseException:
            self._end_node()
            raise
        made = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, runtime_env={"env_vars": environment()})
        actor: Any = made(TrainerActor)
        self._actors = [actor.remote(str(self._source.resolve())) for _ in range(self._workers)]

    def _started(self) -> str:
        """The address of a node of our own."""
        command = [sys.executable, "-c", _NODE, str(self._workers)]
        environ = {**os.environ, "RAY_raylet_start_wait_time_s": str(START_SECONDS)}
        self._node = subprocess.Popen(  # noqa: S603 - this Python
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )
        said = self._node.stdout.readline() if self._node.stdout is not None else ""
        if not said.strip():
            raise ConnectionError("Ray did not start")
        return said.strip()

    def _stop(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors, self._params = [], None
        self._ray.shutdown()
        self._end_node()

    def _end_node(self) -> None:
        if self._node is not None:
            self._node.communicate(timeout=STOP_SECONDS)
            self._node = None

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
