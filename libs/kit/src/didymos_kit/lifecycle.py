"""From start to drain: one process, one event loop, REST and gRPC and loops in it. platform.md 5, ADR 12."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import uvloop
from didymos_contracts.errors import Problem

from didymos_kit import log
from didymos_kit.access import Access
from didymos_kit.app import Moving, RestServer, rest_app
from didymos_kit.errors import exit_code, log_mistake
from didymos_kit.health import Health, admin_app
from didymos_kit.rpc.server import RpcServer
from didymos_kit.service import Check, Loop, Service, Stopping
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
LONGEST_SECONDS: Final = 10.0  # between two tries of a start
SETTLED_SECONDS: Final = 60.0  # a loop that ran so long begins with short pauses again


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a process listens. Port 0: the system chooses, for tests."""

    host: str = "127.0.0.1"
    rest: int = 8080
    grpc: int = 50051
    admin: int = 8081


@dataclass(frozen=True, slots=True)
class Drain:
    """Seconds of the steps of a drain: until endpoints moved, until open streams are cut, and in all."""

    endpoints_seconds: float = 3.0
    streams_seconds: float = 2.0
    budget_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs: its services, who may call them, and the metrics that they were made with."""

    services: Sequence[Service]
    access: Access | None = None
    metrics: Metrics = field(default_factory=Metrics)
    version: str = "1"
    checks: Mapping[str, Check] = field(default_factory=dict)  # of what all services stand on


EVERYWHERE: Final = Listen(rest=0, grpc=0, admin=0)
AT_ONCE: Final = Drain(endpoints_seconds=0.0, streams_seconds=0.2, budget_seconds=30.0)


class LoopEndedError(RuntimeError):
    """A loop returned while the process was not stopping."""


class Process:
    """The running parts of a program. Made by `running`."""

    def __init__(self, program: Program, health: Health) -> None:
        self.services = tuple(program.services)
        self.health, self._checks = health, program.checks
        self.leaving, self.draining, self.stopping = Stopping(), Stopping(), Stopping()
        app = rest_app(
            self.services, program.access, draining=self.draining, metrics=program.metrics, version=program.version
        )
        self.rest = RestServer(Moving(app, self.leaving))
        self.rpc = RpcServer(self.services, program.access, program.metrics)
        self.rest_port = self.grpc_port = self.admin_port = 0
        self._host = "127.0.0.1"
        self._loops: asyncio.Task[None] | None = None

    @property
    def rest_url(self) -> str:
        return f"http://{self._host}:{self.rest_port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self._host}:{self.admin_port}"

    @property
    def grpc_address(self) -> str:
        return f"{self._host}:{self.grpc_port}"

    async def start(self, listen: Listen) -> None:
        """Loops, gRPC, REST, ready: in this order, so that nothing is asked before it can answer."""
        self._host = listen.host
        self.health.watch(self.services, self._checks)
        loops = [(service.name, loop) for service in self.services for loop in service.loops]
        self._loops = asyncio.create_task(self._supervise(loops), name="loops")
        self.grpc_port = await self.rpc.start(listen.host, listen.grpc)
        self.rest_port = await self.rest.start(listen.host, listen.rest)
        self.health.serve(serving=True)
        await self.rpc.set_serving(serving=True)

    @property
    def loops(self) -> asyncio.Task[None]:
        """All loops; done before the drain only when one of them failed."""
        if self._loops is None:
            raise RuntimeError("not started")
        return self._loops

    async def drain(self, drain: Drain) -> None:
        """Unready; let endpoints move; finish calls; then let the loops finish what they have in hand.

        Raises TimeoutError when the budget is over.
        """
        self.health.serve(serving=False)
        self.leaving.set()
        await self.rpc.set_serving(serving=False)
        try:
            async with asyncio.timeout(drain.budget_seconds):
                await asyncio.sleep(drain.endpoints_seconds)
                self.draining.set()
                async with asyncio.TaskGroup() as surfaces:
                    surfaces.create_task(self.rest.stop())
                    surfaces.create_task(self.rpc.stop(drain.budget_seconds, drain.streams_seconds))
                self.stopping.set()
                if self._loops is not None:
                    await asyncio.shield(self._loops)
        except TimeoutError:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """Log what is open, and end it."""
        names = sorted(task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task())
        log.get().error("platform.drain_over_budget", open=names[:32])
        self.stopping.set()
        self.rest.cut()
        if self._loops is not None:
            self._loops.cancel()
            await asyncio.wait([self._loops])

    async def _supervise(self, loops: Sequence[tuple[str, Loop]]) -> None:
        """All loops in one group: one that fails ends the process, for the others may not go on without it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.health.tick(self.stopping), name="tick")
                for name, loop in loops:
                    group.create_task(self._run(name, loop), name=f"{name}:{getattr(loop, '__qualname__', 'loop')}")
        except* Exception as failed:
            first = _first(failed)
            self.health.died(f"a loop died: {type(first).__name__}")
            log_mistake(first)
            raise

    async def _run(self, name: str, loop: Loop) -> None:
        """Begun anew, after a while, for as long as a back end is away that it did not wait for itself."""
        failures, what = 0, getattr(loop, "__qualname__", str(loop))
        with log.fields(service=name):
            while True:
                begun = monotonic()
                try:
                    await loop(self.stopping)
                except Exception as error:
                    if self.stopping or not passes(error):
                        raise
                    failures = failures + 1 if monotonic() - begun < SETTLED_SECONDS else 1
                    log.get().warning("platform.loop_waits", loop=what, reason=_reason(error), attempt=failures)
                    await self.stopping.within(backoff(failures))
                    if not self.stopping:
                        continue
                break
        if not self.stopping:
            raise LoopEndedError(f"{name}: {what} ended early")


@asynccontextmanager
async def running(
    program: Program, listen: Listen = EVERYWHERE, drain: Drain = AT_ONCE, health: Health | None = None
) -> AsyncIterator[Process]:
    """The program, ready; drained at the end of the block. Raises what a loop raised, as an ExceptionGroup.

    With `health` the admin port is somebody else's (it was opened before the program could be made).
    """
    made = health or Health(program.metrics)
    process = Process(program, made)
    admin = None if health is not None else RestServer(admin_app(made, program.metrics))
    if admin is not None:
        process.admin_port = await admin.start(listen.host, listen.admin)
    await process.start(listen)
    try:
        yield process
    finally:
        try:
            await process.drain(drain)
        finally:
            if admin is not None:
                await admin.stop()


Opening = Callable[[Metrics], AbstractAsyncContextManager[Program]]


async def serve(opening: Opening, listen: Listen, drain: Drain, *, patient: bool = False) -> int:
    """Run what `opening` makes until a signal or a failure; the exit code. A second signal ends it at once, with 1.

    `patient`: an opening that fails is tried again without end, live and not ready, with the reason in log and probe.
    """
    metrics, loop = Metrics(), asyncio.get_running_loop()
    asked, asked_again = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (asked_again if asked.is_set() else asked).set()

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    health = Health(metrics)
    admin = RestServer(admin_app(health, metrics))
    second = asyncio.create_task(asked_again.wait(), name="second signal")
    try:
        await admin.start(listen.host, listen.admin)
        started = _Start(opening, metrics, health, patient=patient)
        work = asyncio.create_task(started.run(asked, listen, drain), name="work")
        first = asyncio.create_task(asked.wait(), name="first signal before the start")
        await asyncio.wait((work, first), return_when=asyncio.FIRST_COMPLETED)
        first.cancel()
        if not work.done() and not started.opened:
            work.cancel()
        await asyncio.wait((work, second), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            log.get().error("platform.drain_cut_short")
            work.cancel()
            await asyncio.wait([work])
            return 1
        return 0 if work.cancelled() else work.result()
    finally:
        second.cancel()
        await admin.stop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)


class _Start:
    """A program that is opened, if need be again and again, and then runs."""

    def __init__(self, opening: Opening, metrics: Metrics, health: Health, *, patient: bool) -> None:
        self._opening, self._metrics, self._health, self._patient = opening, metrics, health, patient
        self.opened = False

    async def run(self, asked: asyncio.Event, listen: Listen, drain: Drain) -> int:
        """The exit code. Raises what the opening raises, unless it is patient."""
        ticking = asyncio.create_task(self._health.tick(Stopping()), name="tick before the start")
        try:
            async with AsyncExitStack() as stack:
                program = await self._program(stack)
                self.opened = True
                ticking.cancel()
                return await _until(asked, program, listen, drain, self._health)
        finally:
            ticking.cancel()

    async def _program(self, stack: AsyncExitStack) -> Program:
        failures = 0
        while True:
            try:
                return await stack.enter_async_context(self._opening(self._metrics))
            except Exception as error:
                if not self._patient:
                    raise
                failures += 1
                seconds = backoff(failures)
                why = _reason(error)
                self._health.waits(why)
                log.get().warning("platform.start_waits", reason=why, attempt=failures, again_seconds=round(seconds, 1))
            await asyncio.sleep(seconds)


def backoff(failures: int) -> float:
    """Seconds until the next try: half a second at first, 10 s at most, and never all at the same time."""
    return float(min(LONGEST_SECONDS, 0.5 * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0))


def passes(error: BaseException) -> bool:
    """Whether a back end is away, and nothing else is wrong."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(passes, error.exceptions))
    return isinstance(error, Problem) and error.row.grpc in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def _first(error: BaseException) -> BaseException:
    """What went wrong, out of the groups that tasks put around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    """What a start waits for, without anything secret. What nobody expected is logged with where it came from."""
    error = _first(error)
    if isinstance(error, Problem):
        return str(error)
    if isinstance(error, OSError | TimeoutError):
        return f"{type(error).__name__}: {error.strerror or 'no answer'}" if isinstance(error, OSError) else "no answer"
    log_mistake(error)
    return type(error).__name__


async def _until(asked: asyncio.Event, program: Program, listen: Listen, drain: Drain, health: Health) -> int:
    """0 after a drain within its budget, 1 after a failure."""
    signalled = asyncio.create_task(asked.wait(), name="first signal")
    try:
        async with running(program, listen, drain, health) as process:
            log.get().info("platform.ready", rest=process.rest_port, grpc=process.grpc_port)
            done, _ = await asyncio.wait((signalled, process.loops), return_when=asyncio.FIRST_COMPLETED)
            log.get().info("platform.draining", failed=signalled not in done)
    except (TimeoutError, ExceptionGroup):
        return 1
    finally:
        signalled.cancel()
    log.get().info("platform.stopped")
    return 0


def main(opening: Opening, listen: Listen, drain: Drain | None = None, *, patient: bool = False) -> int:
    """What a `__main__` returns to the system: 0 done, 1 failed, 2 usage, 3 refused, 4 dependency."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(opening, listen, drain or Drain(), patient=patient))
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return exit_code(problem)
    except OSError as error:
        log_mistake(error)
        return 4
    finally:
        tracing.shutdown()
