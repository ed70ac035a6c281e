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
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from didymos_learning import Carried, Flat, RunSpec

from didymos_training_orchestration.adapters.chunk_work import CPU, CUDA
from didymos_training_orchestration.adapters.fast_lane import home
from didymos_training_orchestration.adapters.lanes import Lanes
from didymos_training_orchestration.adapters.simulated_clients import Chunk, ChunkLostError, ChunkSum, load_clients

TOKEN: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": token_hex(32),
}  # of our own node; Ray reads it once a process
START_SECONDS: Final = 180  # a machine that is busy takes a minute
STOP_SECONDS: Final = 60.0
IN_FLIGHT: Final = 2  # calls an actor
QUICK_SECONDS: Final = 0.02  # of a chunk: then calls by Ray are a share of it that one sees
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

    def __init__(self, source: str, device: str) -> None:
        self._source, self._device = Path(source), device
        self._work: Any = None
        self._spec: tuple[bytes, RunSpec] | None = None

    def train(self, spec_json: bytes, params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
        spec = self._of(spec_json)
        done: ChunkSum = self._work.train(spec, params, round_, chunk)
        return done

    def carry(self, spec_json: bytes, params: Flat, round_: int, chunk: Chunk, carried: Carried) -> ChunkSum:
        spec = self._of(spec_json)
        done: ChunkSum = self._work.carry(spec, params, round_, chunk, carried)
        return done

    def attend(self, spec_json: bytes, path: str, size: int) -> None:
        """Serves a fast lane beside the calls, for one specification."""
        from didymos_training_orchestration.adapters.fast_lane import serve

        spec = self._of(spec_json)

        def train(params: Flat, round_: int, chunk: Chunk) -> ChunkSum:
            done: ChunkSum = self._work.train(spec, params, round_, chunk)
            return done

        Thread(target=serve, args=(Path(path), size, train), name="fast lane", daemon=True).start()

    def node(self) -> str:
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def _of(self, spec_json: bytes) -> RunSpec:
        """The specification, read once; the clients, loaded for its task."""
        from didymos_training_orchestration.adapters.chunk_work import ChunkWork

        if self._spec is None or self._spec[0] != spec_json:
            spec = RunSpec.from_json(spec_json)
            if self._spec is None or self._spec[1].model.task != spec.model.task:
                self._work = ChunkWork(load_clients(self._source, spec.model.task), self._device)
            self._spec = (spec_json, spec)
        return self._spec[1]


class RayTrainer:
    """Fills `Trainer` with `workers` actors of one CPU each. `async with RayTrainer(...)`: actors end with it.

    `gpus`: the share of a CUDA device that each takes to train on; 0: none, they train on the CPU.
    """

    def __init__(self, source: Path, workers: int, address: str | None = None, gpus: float = 0.0) -> None:
        self._source, self._workers, self._address, self._gpus = source, workers, address, gpus
        self._actors: list[Any] = []
        self._near: list[bool] = []  # whether the actor of this number is on our node
        self._params: Any = None
        self._flat: Flat | None = None
        self._spec: tuple[RunSpec, bytes] | None = None
        self._lanes: Lanes | None = None
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
        self._end_lanes()
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        """A node of our own has the token of this process: an open Ray port is remote code execution."""
        if self._address is None:
            os.environ |= TOKEN
        import ray

        self._ray = ray
        try:
            ray.init(address=self._address or self._started(), log_to_driver=False, logging_level=logging.ERROR)
        except BaseException:
            self._end_node()
            raise
        made = ray.remote(
            num_cpus=1, num_gpus=self._gpus, max_restarts=-1, max_task_retries=0,
            runtime_env={"env_vars": environment()},
        )  # fmt: skip
        actor: Any = made(TrainerActor)
        self._actors = [
            actor.remote(str(self._source.resolve()), CUDA if self._gpus else CPU) for _ in range(self._workers)
        ]
        here = ray.get_runtime_context().get_node_id()
        self._near = [node == here for node in ray.get([each.node.remote() for each in self._actors])]

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
        """One copy in the object store a round; the old one goes with its last reference. Lanes have their own."""
        self._flat, self._params = params, None
        if self._lanes is not None:
            self._lanes.begin(params)

    async def train(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int) -> ChunkSum:
        """A chunk prefers one actor, where its data are; after a failure it goes to the next, and not by its lane."""
        number = (int(chunk.name.rpartition(":")[2]) + attempt) % self._workers
        if self._spec is None or self._spec[0] is not spec:
            self._follow(spec)
        if attempt == 0 and self._lanes is not None and self._near[number]:
            return await self._lanes.train(number, round_, chunk)
        done = await self._called(self._actors[number], round_, chunk)
        if self._lanes is None and done.seconds < QUICK_SECONDS and home() is not None and self._flat is not None:
            self._lanes = Lanes(self._attend, self._flat)
        return done

    async def carry(self, spec: RunSpec, round_: int, chunk: Chunk, attempt: int, carried: Carried) -> ChunkSum:
        """By a call, never by a lane: its sums have another length, and it takes states along."""
        if self._spec is None or self._spec[0] is not spec:
            self._follow(spec)
        number = (int(chunk.name.rpartition(":")[2]) + attempt) % self._workers
        return await self._called(self._actors[number], round_, chunk, carried)

    def _follow(self, spec: RunSpec) -> None:
        """Another specification than that of the last chunk: its lanes are not those of the last."""
        raw = spec.to_json()
        if self._spec is None or self._spec[1] != raw:
            self._end_lanes()
        self._spec = (spec, raw)

    async def _attend(self, number: int, path: Path, size: int) -> None:
        assert self._spec is not None  # noqa: S101 - lanes begin with a chunk
        await self._actors[number].attend.remote(self._spec[1], str(path), size)

    async def _called(
        self,
        actor: Any,  # noqa: ANN401 - Ray's
        round_: int,
        chunk: Chunk,
        carried: Carried | None = None,
    ) -> ChunkSum:
        assert self._spec is not None  # noqa: S101 - `train` follows it
        if self._params is None:
            self._params = self._ray.put(self._flat)
        try:
            asked = (self._spec[1], self._params, round_, chunk)
            call = actor.train.remote(*asked) if carried is None else actor.carry.remote(*asked, carried)
            done: ChunkSum = await call
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, ValueError) else error from error
        except self._ray.exceptions.RayError as error:
            raise ChunkLostError(chunk.name) from error
        return done

    def _end_lanes(self) -> None:
        if self._lanes is not None:
            self._lanes.close()
            self._lanes = None
