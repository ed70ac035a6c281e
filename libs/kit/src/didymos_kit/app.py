"""REST of many services in one app and one server: `<origin>/<service>/v1/..` in every deployment. platform.md 5."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from didymos_kit.access import Access
from didymos_kit.http.problems import install
from didymos_kit.http.surface import surface
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics

KEEP_ALIVE_SECONDS: Final = 20
SOCKET_BYTES: Final = 4096  # of a message that comes in over a WebSocket: nobody has much to say there
PING_SECONDS: Final = 15.0
BACKLOG: Final = 1024


def rest_app(
    services: Sequence[Service], access: Access | None, *, draining: Stopping, metrics: Metrics, version: str = "1"
) -> Starlette:
    """The root app: a surface per service, problems for all else. Raises SurfaceError."""
    mounted = [
        (service.name, surface(service, access, draining=draining, metrics=metrics, version=version))
        for service in services
        if service.routers
    ]
    root = Starlette(routes=[Mount(f"/{name}", app) for name, app in mounted])
    root.router.redirect_slashes = False
    root.state.surfaces = dict(mounted)
    install(root)
    return root


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signals: it would take SIGTERM for itself, and raise it again after its exit."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Ticks ten times a second, as its own does, and ends at once when told to."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self.leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes what its own does, and returns when the answers in hand are sent: its own sleeps 100 ms at a time."""
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while (self.server_state.connections or self.server_state.tasks) and not self.force_exit:  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.005)
        for server in self.servers:
            await server.wait_closed()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn takes each WebSocket that was refused with an answer of ours for a mistake."""
    return record.msg != "ASGI callable returned without completing handshake."


logging.getLogger("uvicorn.error").addFilter(_is_news)


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket that says it is TCP: asyncio turns Nagle's algorithm off only for those, and with it on every
    kept-alive answer waits 40 ms for an acknowledgement. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


class Moving:
    """An app whose callers are told to close their connections once `leaving` is set: they come back elsewhere."""

    def __init__(self, app: ASGIApp, leaving: Stopping) -> None:
        self._app, self._leaving = app, leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def said(message: Message) -> None:
            if message["type"] == "http.response.start" and self._leaving:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, said)


class RestServer:
    """An ASGI app on a socket, inside a loop that others share."""

    def __init__(self, app: ASGIApp) -> None:
        self._server = _Uvicorn(
            uvicorn.Config(
                app, lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
                ws="websockets-sansio", ws_max_size=SOCKET_BYTES, ws_ping_interval=PING_SECONDS,
                ws_per_message_deflate=False, http="httptools", timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )  # fmt: skip
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, chosen by the system when `port` is 0. Raises OSError when it is taken."""
        listening = _listening(host, port)
        bound: int = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listening]), name=f"rest:{bound}")
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)
        return bound

    async def stop(self) -> None:
        """No new connections; return when the answers in hand are sent."""
        if self._task is not None:
            self._server.should_exit = True
            self._server.leaving.set()
            await asyncio.shield(self._task)

    def cut(self) -> None:
        """Stop waiting for what is in hand."""
        self._server.force_exit = True
