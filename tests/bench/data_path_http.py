"""Ingest over HTTP on loopback: a signed batch a call against FastAPI with a signed reading a call. data-path.md 17."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Final

from didymos_contracts.topics import QUARANTINE, READINGS
from didymos_ingestion.domain.quota import Load
from didymos_ingestion.entrypoints.intake import Intake, Meters
from didymos_ingestion.entrypoints.rest import batch_routes
from didymos_kit import log
from didymos_kit.app import RestServer
from didymos_kit.clock import SystemClock
from didymos_kit.eventlog import Writer
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.did import a_signer
from didymos_testing.kit import an_app
from fastapi import FastAPI
from starlette.types import ASGIApp

from tests.bench.data_path import BUILD, SHAPES, Reading, bodies, in_turn, naive_bodies, ports_for, store_naively
from tests.bench.measure import Measure, measure

CALLS: Final = 256
CONNECTIONS: Final = 16


def naive_app(writer: Writer) -> FastAPI:
    """One reading a call, one record a reading."""
    app = FastAPI(openapi_url=None)

    @app.post("/readings", status_code=202)
    async def send(reading: Reading) -> dict[str, int]:
        await store_naively(reading, writer)
        return {"accepted": 1}

    return app


async def ours_app(writer: Writer) -> ASGIApp:
    ports = await ports_for(SHAPES[0], writer)
    intake = Intake(ports, SystemClock(), a_signer("ingestion"), Load(), Meters(Metrics()))

    async def wait(_token: str | None) -> None:
        """Nobody sends one here."""

    return an_app(Service("ingestion", (batch_routes(intake, wait),)))


def requests(path: str, media: str, given: Sequence[bytes]) -> list[bytes]:
    head = "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n"
    return [head.format(path, media, len(body)).encode() + body for body in given]


class Caller:
    """Keeps CONNECTIONS open to an app on loopback; on each, one call after the other."""

    def __init__(self, app: ASGIApp, calls: Sequence[bytes]) -> None:
        self._server, self._calls = RestServer(app), calls

    async def open(self, stack: AsyncExitStack) -> None:
        port = await self._server.start("127.0.0.1", 0)
        stack.push_async_callback(self._server.stop)
        self._lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        for _, writer in self._lines:
            stack.callback(writer.close)

    async def __call__(self) -> None:
        waiting = iter(self._calls)
        async with asyncio.TaskGroup() as callers:
            for reader, writer in self._lines:
                callers.create_task(self._call(reader, writer, lambda: next(waiting, None)))

    async def _call(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, following: Callable[[], bytes | None]
    ) -> None:
        while (request := following()) is not None:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 202"):
                raise RuntimeError(head.decode())
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))


async def lines() -> list[Measure]:
    shape = SHAPES[0]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=BUILD)))
        opened = await stack.enter_async_context(SqliteLog(folder / "http.db"))
        await opened.ensure([READINGS, QUARANTINE])
        writer = await stack.enter_async_context(opened.writer("bench"))
        batches = requests("/ingestion/v1/batches", "application/vnd.didymos.batch", bodies(shape, CALLS))
        singles = requests("/readings", "application/json", naive_bodies(shape, CALLS // shape.size + 1)[:CALLS])
        ours, naive = Caller(await ours_app(writer), batches), Caller(naive_app(writer), singles)
        await ours.open(stack)
        await naive.open(stack)
        works: tuple[Callable[[], Awaitable[None]], ...] = (ours, naive)
        taken = await in_turn(*works)
    found = []
    for kind, goal in (("cpu", 40.0), ("wall", None)):
        rate, other = (
            CALLS * size / median(getattr(each, kind)) for each, size in zip(taken, (shape.size, 1), strict=True)
        )
        name = f"ingest D over HTTP, {kind}, client included"
        found.append(
            measure(name, rate, "readings/s", against=f"a reading a call {other:,.0f}", ratio=rate / other, goal=goal)
        )
    return found


def run() -> list[Measure]:
    log.configure()
    return asyncio.run(lines())
