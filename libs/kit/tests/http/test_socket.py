"""Live streams over WebSocket, on a real socket: what closes them, with which code, and who may open one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_kit.errors import problem_of
from didymos_kit.http.live import Closing, Event
from didymos_kit.http.socket import authenticate_socket, live_socket, refuse_socket
from didymos_kit.lifecycle import Drain, Process, Program, running
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.kit import DpopAuth, Issuer
from didymos_testing.sockets import Prove, a_socket, refusal
from fastapi import APIRouter
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus

PATH = "/twin-state/v1/live"


class Changes:
    """A source that a test feeds, behind a route of a running process."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self.closing, self.gone = Closing(), asyncio.Event()
        self.metrics, self.issuer = Metrics(), Issuer()

    async def events(self) -> AsyncIterator[Event]:
        try:
            while (item := await self.queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.gone.set()

    async def endpoint(self, socket: WebSocket) -> None:
        try:
            caller = await authenticate_socket(socket)
        except Exception as error:
            await refuse_socket(socket, problem_of(error))
            return
        await live_socket(socket, self.events(), self.closing, caller)

    def program(self) -> Program:
        router = APIRouter()
        router.routes.append(WebSocketRoute("/v1/live", self.endpoint))
        return Program([Service("twin-state", (router,))], self.issuer.access, self.metrics)

    def prove(self, **claims: Any) -> Prove:
        auth = DpopAuth(self.issuer, "alice", **claims)

        def headers(nonce: str | None) -> dict[str, str]:
            auth.nonce = nonce
            request = httpx.Request("GET", f"http://any{PATH}")
            auth.sign(request)
            return {name: request.headers[name] for name in ("authorization", "dpop")}

        return headers

    def socket(self, process: Process, **claims: Any) -> Any:
        return a_socket(process.rest_url.replace("http", "ws") + PATH, self.prove(**claims))


@pytest.fixture
async def changes() -> Changes:
    return Changes()


def change(number: int) -> Event:
    return Event(str(number), "changed", f'{{"n":{number}}}')


async def test_events_arrive_in_order_and_the_end_of_the_source_closes(changes: Changes) -> None:
    async with running(changes.program()) as process, changes.socket(process) as socket:
        for item in (change(1), change(2), None):
            changes.queue.put_nowait(item)
        assert await socket.next() == {"id": "1", "event": "changed", "data": {"n": 1}}
        assert (await socket.next())["id"] == "2"
        assert await socket.closed() == (1000, "")


@pytest.mark.parametrize(
    ("reason", "code"),
    [("grant.revoked", 4403), ("token_expired", 4401), ("lagged", 4408), ("consent.stale", 1013)],
)
async def test_each_end_has_its_code_and_what_waits_is_not_delivered(changes: Changes, reason: str, code: int) -> None:
    async with running(changes.program()) as process, changes.socket(process) as socket:
        changes.queue.put_nowait(change(1))
        await socket.next()
        changes.closing.close(reason)
        changes.queue.put_nowait(change(2))
        assert await socket.closed() == (code, reason)
        await changes.gone.wait()
    assert changes.metrics.sample("didymos_http_streams", service="twin-state") == 0


async def test_a_socket_ends_with_its_token(changes: Changes) -> None:
    expires = changes.issuer.clock.now_us() // 1_000_000 + 1
    changes.issuer.clock.advance(0.7)
    async with running(changes.program()) as process, changes.socket(process, expires_at=expires) as socket:
        assert await socket.closed() == (4401, "token_expired")


async def test_a_drain_closes_with_the_code_of_a_restart(changes: Changes) -> None:
    async with AsyncExitStack() as after:
        async with running(changes.program(), drain=Drain(0, 0.5, 5)) as process:
            socket = await after.enter_async_context(changes.socket(process))
            changes.queue.put_nowait(change(1))
            await socket.next()
            ended = asyncio.create_task(socket.closed())
        assert (await ended)[0] == 1012


async def test_a_source_that_fails_says_so_as_a_problem(changes: Changes) -> None:
    async with running(changes.program()) as process, changes.socket(process) as socket:
        changes.queue.put_nowait(PLATFORM_UNAVAILABLE.problem())
        said = await socket.next()
        assert (said["event"], said["data"]["code"]) == ("problem", "platform.unavailable")
        assert (await socket.closed())[0] == 1011


async def test_a_reader_that_leaves_closes_its_source(changes: Changes) -> None:
    async with running(changes.program()) as process:
        async with changes.socket(process) as socket:
            changes.queue.put_nowait(change(1))
            await socket.next()
        async with asyncio.timeout(3):
            await changes.gone.wait()


async def test_a_reader_that_takes_nothing_holds_nothing(changes: Changes) -> None:
    async with running(changes.program()) as process, changes.socket(process) as socket:
        changes.queue.put_nowait(change(1))
        await socket.next()
        for number in range(40):
            changes.queue.put_nowait(Event(str(number), "changed", json.dumps("x" * 500_000)))
        before = -1
        while before != changes.queue.qsize():
            before = changes.queue.qsize()
            await asyncio.sleep(0.2)
        changes.closing.close("lagged")
        async with asyncio.timeout(5):
            await changes.gone.wait()
        assert before > 0
    assert changes.metrics.sample("didymos_http_streams", service="twin-state") == 0


async def test_who_proves_nothing_gets_a_problem_and_no_socket(changes: Changes) -> None:
    async with running(changes.program()) as process:
        with pytest.raises(InvalidStatus) as refused:
            async with a_socket(process.rest_url.replace("http", "ws") + PATH):
                pass
        assert refusal(refused.value) == (401, "platform.unauthenticated")
        with pytest.raises(InvalidStatus) as unknown:
            async with a_socket(process.rest_url.replace("http", "ws") + "/twin-state/v1/nothing"):
                pass
        assert unknown.value.response.status_code in (403, 404)
