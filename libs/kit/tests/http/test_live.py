"""Live streams over a real socket: what ends them, and that nothing is delivered after the end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit.http import PUBLIC, Caller
from didymos_kit.http.live import Closing, Event, last_event_id, live
from didymos_kit.lifecycle import Drain, Process, Program, running
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.kit import DpopAuth, Issuer
from fastapi import APIRouter, Request


class Changes:
    """A source that a test feeds. `gone` is set when its reader is."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self.closing, self.gone, self.after = Closing(), asyncio.Event(), ""
        self.metrics, self.issuer = Metrics(), Issuer()

    async def events(self) -> AsyncIterator[Event]:
        try:
            while (item := await self.queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.gone.set()

    def program(self) -> Program:
        router = APIRouter(prefix="/v1")

        @router.get("/open", dependencies=[PUBLIC])
        async def watch(request: Request) -> Any:
            self.after = last_event_id(request) or ""
            return live(request, self.events(), self.closing, ping_seconds=0.1)

        @router.get("/mine")
        async def watch_mine(request: Request, caller: Caller) -> Any:
            return live(request, self.events(), self.closing, caller)

        return Program([Service("twin-state", (router,))], self.issuer.access, self.metrics)

    def streams(self) -> float | None:
        return self.metrics.sample("didymos_http_streams", service="twin-state")


@pytest.fixture
async def changes() -> Changes:
    return Changes()


class Reader:
    """Collects what arrives, event by event, as `name:data`."""

    def __init__(self, process: Process, path: str = "/v1/open", **sent: Any) -> None:
        self.seen: list[str] = []
        self.pings, self.something = 0, asyncio.Event()
        self._task = asyncio.create_task(self._read(process.rest_url + "/twin-state" + path, sent))

    async def _read(self, url: str, sent: dict[str, Any]) -> None:
        name = ""
        async with httpx.AsyncClient(timeout=5) as client, client.stream("GET", url, **sent) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.seen.append(f"{name}:{line[6:]}")
                self.pings += line == ": ping"
                self.something.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.seen) < count:
                self.something.clear()
                await self.something.wait()

    async def ended(self) -> list[str]:
        async with asyncio.timeout(5):
            await self._task
        return self.seen

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def change(number: int) -> Event:
    return Event(str(number), "changed", f'{{"n":{number}}}')


async def test_changes_arrive_in_order_and_the_end_of_the_source_ends_the_stream(changes: Changes) -> None:
    async with running(changes.program()) as process:
        for item in (change(1), change(2), None):
            changes.queue.put_nowait(item)
        seen = await Reader(process, headers={"last-event-id": "7"}).ended()
    assert seen == ['changed:{"n":1}', 'changed:{"n":2}', 'end:{"reason": "complete"}']
    assert changes.after == "7"


async def test_a_revoked_grant_ends_the_stream_and_what_waits_is_not_delivered(changes: Changes) -> None:
    async with running(changes.program()) as process:
        reader = Reader(process)
        changes.queue.put_nowait(change(1))
        await reader.until(1)
        changes.closing.close("revoked")
        changes.queue.put_nowait(change(2))
        assert await reader.ended() == ['changed:{"n":1}', 'end:{"reason": "revoked"}']
        await changes.gone.wait()
        assert changes.streams() == 0


async def test_a_stream_ends_with_its_token(changes: Changes) -> None:
    expires = changes.issuer.clock.now_us() // 1_000_000 + 1
    changes.issuer.clock.advance(0.7)
    auth = DpopAuth(changes.issuer, "alice", expires_at=expires)
    async with running(changes.program()) as process:
        assert await Reader(process, "/v1/mine", auth=auth).ended() == ['end:{"reason": "token_expired"}']


async def test_a_drain_tells_readers_to_come_again(changes: Changes) -> None:
    async with running(changes.program(), drain=Drain(0, 0.1, 5)) as process:
        reader = Reader(process)
        changes.queue.put_nowait(change(1))
        await reader.until(1)
    assert await reader.ended() == ['changed:{"n":1}', "drain:{}"]


async def test_a_quiet_stream_is_kept_open_by_pings(changes: Changes) -> None:
    async with running(changes.program()) as process:
        reader = Reader(process)
        async with asyncio.timeout(5):
            while reader.pings < 3:
                reader.something.clear()
                await reader.something.wait()
        assert changes.streams() == 1
        changes.queue.put_nowait(change(1))
        await reader.until(1)
        await reader.leave()


async def test_a_reader_that_leaves_closes_its_source(changes: Changes) -> None:
    async with running(changes.program()) as process:
        reader = Reader(process)
        changes.queue.put_nowait(change(1))
        await reader.until(1)
        await reader.leave()
        async with asyncio.timeout(3):
            await changes.gone.wait()


async def test_a_source_that_fails_says_so_as_a_problem(changes: Changes) -> None:
    async with running(changes.program()) as process:
        changes.queue.put_nowait(PLATFORM_UNAVAILABLE.problem())
        (seen,) = await Reader(process).ended()
    assert seen.startswith("problem:{")
    assert '"platform.unavailable"' in seen


async def test_data_with_line_breaks_is_one_event(changes: Changes) -> None:
    async with running(changes.program()) as process:
        for item in (Event("1", "changed", '{\n"a":1}'), None):
            changes.queue.put_nowait(item)
        assert (await Reader(process).ended())[:2] == ["changed:{", 'changed:"a":1}']
