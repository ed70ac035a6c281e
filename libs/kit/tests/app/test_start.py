"""A start whose back ends come later: live, not ready, with the reason, and ready as soon as they are there."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit import lifecycle
from didymos_kit.lifecycle import AT_ONCE, Listen, Program, backoff, running, serve
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.house import free_port


async def probed(port: int, what: str) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/healthz/{what}")
    return answer.status_code, answer.json()


async def until_reason(port: int, reason: str) -> None:
    """Until the probe gives this reason; empty: until it is ready."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, said = await probed(port, "ready")
            except httpx.TransportError:
                said = {"reasons": {"process": "closed"}}
            if said["reasons"].get("process", "") == reason:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PLATFORM_UNAVAILABLE.problem(dependency="database"), "A dependency is away (dependency=database)"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (ExceptionGroup("tasks", [TimeoutError()]), "TimeoutError: no answer"),
        (LookupError("what nobody expected"), "LookupError"),
    ],
)
async def test_what_is_away_is_said_and_waited_for(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "LONGEST_SECONDS", 0.05)
    port, there, closed = free_port(), asyncio.Event(), []

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        try:
            if not there.is_set():
                raise error
            yield Program([Service("identity")], None, metrics)
        finally:
            closed.append(there.is_set())

    task = asyncio.create_task(serve(opening, Listen(rest=0, grpc=0, admin=port), AT_ONCE, patient=True))
    prefix = "platform.unavailable: " if error.__class__.__name__ == "Problem" else ""
    await until_reason(port, prefix + reason)
    assert (await probed(port, "live"))[0] == 200
    there.set()
    await until_reason(port, "")
    os.kill(os.getpid(), signal.SIGTERM)
    assert await task == 0
    assert closed[-1]
    assert not any(closed[:-1])


async def test_a_signal_ends_a_start_that_waits() -> None:
    port = free_port()

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        await asyncio.sleep(60)
        yield Program([], None, metrics)

    task = asyncio.create_task(serve(opening, Listen(rest=0, grpc=0, admin=port), AT_ONCE, patient=True))
    await until_reason(port, "starting or draining")
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await task == 0


async def test_a_loop_that_meets_a_back_end_that_is_away_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "LONGEST_SECONDS", 0.01)
    begun: list[int] = []
    lasting = asyncio.Event()

    async def loop(stopping: Stopping) -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise ExceptionGroup("tasks", [PLATFORM_UNAVAILABLE.problem(dependency="database")])
        lasting.set()
        await stopping.wait()

    async with running(Program([Service("identity", loops=(loop,))])) as process:
        async with asyncio.timeout(10):
            await lasting.wait()
        assert (await probed(process.admin_port, "live"))[0] == 200
    assert begun == [0, 1, 2]


def test_pauses_grow_to_a_bound() -> None:
    pauses = [backoff(failures) for failures in range(1, 40)]
    assert 0.25 <= pauses[0] <= 0.5
    assert all(5.0 <= pause <= 10.0 for pause in pauses[5:])
