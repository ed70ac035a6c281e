"""Live streams as server-sent events: what changed, until the grant, the token, the process or the reader ends.

Events: as the service names them; `end` with the reason why there will be no more; `drain` when this process stops and
the reader should connect again (with `Last-Event-ID`); `problem` when the source failed. A comment each 15 s keeps the
connection open. WHATWG HTML, section 9.2.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from didymos_kit.access import Guard, Principal
from didymos_kit.errors import problem_of, to_json
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Gauge

PING_SECONDS: Final = 15.0
RETRY_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `id` is what a reader gives back as `Last-Event-ID`; `data` is JSON text."""

    id: str
    event: str
    data: str


class Closing:
    """Ends a stream from outside: the tail of consent calls `close` when a grant is revoked. One event loop."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.reason = ""

    def close(self, reason: str) -> None:
        """Nothing is delivered after this call. The first reason holds."""
        if not self._asked.is_set():
            self.reason = reason
            self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()

    def __bool__(self) -> bool:
        return self._asked.is_set()


def live(
    request: Request, source: AsyncIterator[Event], closing: Closing, caller: Principal | None = None,
    *, ping_seconds: float = PING_SECONDS,
) -> StreamingResponse:  # fmt: skip
    """The answer of a route that streams `source`. It ends when `caller`'s token does, if one is given."""
    guard: Guard | None = request.app.state.guard
    if caller is not None and guard is not None:
        until = asyncio.get_running_loop().call_later(guard.seconds_left(caller), closing.close, "token_expired")
    else:
        until = None
    frames = _frames(source, closing, request.app.state.draining, ping_seconds)
    return _Live(frames, request.app.state.streams, until)


def last_event_id(request: Request) -> str | None:
    """After which event the reader wants to go on, if it said so."""
    return request.headers.get("last-event-id") or None


class _Live(StreamingResponse):
    """Closes its source at once when the reader goes away, and is counted while it is open."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes], open_streams: Gauge, until: asyncio.TimerHandle | None) -> None:
        super().__init__(frames, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self._frames, self._open, self._until = frames, open_streams, until

    async def stream_response(self, send: Send) -> None:
        self._open.inc()
        try:
            async with aclosing(self._frames):  # type: ignore[type-var] # it is a generator
                await super().stream_response(send)
        finally:
            self._open.dec()
            if self._until is not None:
                self._until.cancel()


async def _frames(
    source: AsyncIterator[Event], closing: Closing, draining: Stopping, ping_seconds: float
) -> AsyncIterator[bytes]:
    """Bytes of the stream. Whenever something is to be sent and the stream is closed, closed wins."""
    waits = [asyncio.create_task(closing.wait()), asyncio.create_task(draining.wait())]
    upcoming: asyncio.Task[Event] | None = None
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        while True:
            upcoming = upcoming or asyncio.create_task(_next(source))
            await asyncio.wait((upcoming, *waits), timeout=ping_seconds, return_when=asyncio.FIRST_COMPLETED)
            if closing:
                yield _frame(Event("", "end", json.dumps({"reason": closing.reason})))
                return
            if draining:
                yield _frame(Event("", "drain", "{}"))
                return
            if not upcoming.done():
                yield b": ping\n\n"
                continue
            frame, last = _of(upcoming)
            upcoming = None
            yield frame
            if last:
                return
    finally:
        await ended([*waits, *([] if upcoming is None else [upcoming])])
        if hasattr(source, "aclose"):
            await source.aclose()


async def _next(source: AsyncIterator[Event]) -> Event:
    """As a coroutine of its own: a task may not end with StopAsyncIteration."""
    try:
        return await anext(source)
    except StopAsyncIteration:
        return Event("", "end", json.dumps({"reason": "complete"}))


def _of(done: asyncio.Task[Event]) -> tuple[bytes, bool]:
    """The frame of what the source gave, and whether it is the last one."""
    error = done.exception()
    if error is not None:
        said = to_json(problem_of(error), tracing.trace_id())
        return _frame(Event("", "problem", json.dumps(said))), True
    event = done.result()
    return _frame(event), event.event == "end"


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel all of them, and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # taken: the stream is over, nobody else will ask


def _frame(event: Event) -> bytes:
    """One event on the wire. A line break in `data` begins another data line; ids and names have none."""
    lines = [f"id: {_line(event.id)}"] if event.id else []
    lines.append(f"event: {_line(event.event)}")
    lines += [f"data: {line}" for line in event.data.splitlines() or [""]]
    return ("\n".join(lines) + "\n\n").encode()


def _line(text: str) -> str:
    if any(mark in text for mark in "\r\n\0"):
        raise ValueError("an id or name of an event is one line")
    return text
