"""Live streams over WebSocket (RFC 6455): the events of `live`, each a JSON text, and a close code that says why.

A handshake proves its caller as any GET does; what is refused is answered as a problem before there is a socket.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from didymos_contracts.errors import Problem
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from didymos_kit.access import Credentials, Guard, Principal
from didymos_kit.errors import problem_of, to_json
from didymos_kit.http.live import Closing, Event, ended
from didymos_kit.http.problems import problem_response
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing

CODES: Final = {"token_expired": 4401, "grant.revoked": 4403, "lagged": 4408, "drain": 1012, "complete": 1000}
AGAIN: Final = 1013  # for all other reasons: try again later
FAILED: Final = 1011
SEND_SECONDS: Final = 1.0  # a reader that takes nothing for so long after the end is cut off


async def authenticate_socket(socket: WebSocket) -> Principal:
    """Who opens it: the headers of a GET of its path. Raises PLATFORM_UNAUTHENTICATED, AUTH_*."""
    guard: Guard = socket.app.state.guard
    raw: bytes = socket.scope.get("raw_path") or socket.scope["path"].encode()
    url = guard.origin + raw.partition(b"?")[0].decode("ascii")
    given = Credentials(socket.headers.getlist("authorization"), socket.headers.getlist("dpop"))
    return await guard.admit(given, "GET", url)


async def refuse_socket(socket: WebSocket, problem: Problem) -> None:
    """In place of the socket."""
    guard: Guard = socket.app.state.guard
    await socket.send_denial_response(problem_response(problem, {"dpop-nonce": guard.nonce()}))


async def live_socket(socket: WebSocket, source: AsyncIterator[Event], closing: Closing, caller: Principal) -> None:
    """Send `source` until it, `closing`, the token of `caller`, the process or the reader ends."""
    guard: Guard = socket.app.state.guard
    draining: Stopping = socket.app.state.draining
    until = asyncio.get_running_loop().call_later(guard.seconds_left(caller), closing.close, "token_expired")
    drained = asyncio.create_task(_drain(draining, closing))
    socket.app.state.streams.inc()
    try:
        await socket.accept()
        code = await _sent(socket, source, closing)
        if socket.client_state is WebSocketState.CONNECTED:
            with suppress(TimeoutError, RuntimeError):
                async with asyncio.timeout(SEND_SECONDS):
                    await socket.close(code, closing.reason[:120])
    finally:
        socket.app.state.streams.dec()
        until.cancel()
        drained.cancel()
        if hasattr(source, "aclose"):
            await source.aclose()


async def _drain(draining: Stopping, closing: Closing) -> None:
    await draining.wait()
    closing.close("drain")


async def _sent(socket: WebSocket, source: AsyncIterator[Event], closing: Closing) -> int:
    """The close code. Whenever something is to be sent and the stream is closed, closed wins."""
    closed, gone = asyncio.create_task(closing.wait()), asyncio.create_task(_gone(socket))
    doing: asyncio.Task[object] = asyncio.create_task(_next(source))
    try:
        while True:
            await asyncio.wait((doing, closed, gone), return_when=asyncio.FIRST_COMPLETED)
            if closing:
                return CODES.get(closing.reason, AGAIN)
            if gone.done():
                return CODES["complete"]
            event = doing.result()
            if isinstance(event, Event):
                doing = asyncio.create_task(socket.send_text(_frame(event)))
            elif event is _END:
                return CODES["complete"]
            else:
                doing = asyncio.create_task(_next(source))
    except (WebSocketDisconnect, RuntimeError, OSError):  # the reader went away while something was sent
        return CODES["complete"]
    except Exception as error:
        said = to_json(problem_of(error), tracing.trace_id())
        await socket.send_text(_frame(Event("", "problem", json.dumps(said))))
        return FAILED
    finally:
        await ended((doing, closed, gone))


_END: Final = object()


async def _next(source: AsyncIterator[Event]) -> object:
    try:
        return await anext(source)
    except StopAsyncIteration:
        return _END


async def _gone(socket: WebSocket) -> None:
    """Until the reader closes. What it says is nothing to us."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


def _frame(event: Event) -> str:
    """One message: `data` is JSON already, and goes as it is."""
    named = f'"id":{json.dumps(event.id)},' if event.id else ""
    return f'{{{named}"event":{json.dumps(event.event)},"data":{event.data}}}'
