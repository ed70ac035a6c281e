"""What the edge of a REST surface costs: a route that does nothing, over a socket, against bare Starlette."""

import asyncio
from contextlib import AsyncExitStack

from didymos_kit import log
from didymos_kit.app import RestServer
from didymos_kit.http import PUBLIC, Caller
from didymos_kit.service import Service
from didymos_testing.kit import ORIGIN, DpopAuth, Issuer, an_app
from fastapi import APIRouter
from httpx import ASGITransport, AsyncClient, Request
from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.bench.measure import Measure, interleaved, measure

CALLS = 300


def _routes() -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/open", dependencies=[PUBLIC])
    async def read_open() -> int:
        return 1

    @router.get("/mine")
    async def read_mine(_caller: Caller) -> int:
        return 1

    return router


async def _bare(_request: Incoming) -> JSONResponse:
    return JSONResponse(1)


class _Server:
    """An app on loopback, and one connection to it that stays open."""

    def __init__(self, app: ASGIApp) -> None:
        self._server = RestServer(app)

    async def open(self, stack: AsyncExitStack) -> None:
        port = await self._server.start("127.0.0.1", 0)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        stack.push_async_callback(self._server.stop)
        stack.callback(self._writer.close)

    async def ask(self, requests: list[bytes]) -> None:
        for request in requests:
            self._writer.write(request)
            head = await self._reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            await self._reader.readexactly(1)


def _request(path: str, *headers: tuple[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: x", *(f"{name}: {said}" for name, said in headers), "", ""]
    return "\r\n".join(lines).encode()


class _Signer:
    """Requests with fresh proofs, made before the clock of the benchmark starts."""

    def __init__(self, issuer: Issuer) -> None:
        self._auth = DpopAuth(issuer, "alice")

    async def begin(self, app: ASGIApp) -> None:
        async with AsyncClient(transport=ASGITransport(app), base_url=ORIGIN) as client:
            await client.get("/twin-state/v1/mine", auth=self._auth)

    def made(self) -> bytes:
        request = Request("GET", f"{ORIGIN}/twin-state/v1/mine")
        self._auth.sign(request)
        return _request("/twin-state/v1/mine", *((name, request.headers[name]) for name in ("authorization", "dpop")))


def run() -> list[Measure]:
    """Microseconds per call, client included; the ratio is bare over ours: 0.5 means twice the time."""
    log.configure()
    issuer = Issuer()
    ours = an_app(Service("twin-state", (_routes(),)), access=issuer.access)
    loop, signer = asyncio.new_event_loop(), _Signer(issuer)
    stack, edge, bare = (
        AsyncExitStack(),
        _Server(ours),
        _Server(Starlette(routes=[Route("/twin-state/v1/open", _bare)])),
    )
    for server in (edge, bare):
        loop.run_until_complete(server.open(stack))
    loop.run_until_complete(signer.begin(ours))
    plain = [_request("/twin-state/v1/open")] * CALLS
    signed = [[signer.made() for _ in range(CALLS)] for _ in range(8)]

    def asking(server: _Server, requests: list[bytes]) -> None:
        loop.run_until_complete(server.ask(requests))

    opened, against = interleaved(lambda: asking(edge, plain), lambda: asking(bare, plain), 7)
    proved, beside = interleaved(lambda: asking(edge, signed.pop()), lambda: asking(bare, plain), 7)
    loop.run_until_complete(stack.aclose())
    loop.close()
    scale = 1e6 / CALLS
    return [
        measure("REST no-op, open", opened * scale, "us", against="bare Starlette", ratio=against / opened, goal=0.5),
        measure("REST no-op, proved", proved * scale, "us", against="bare Starlette", ratio=beside / proved),
    ]
