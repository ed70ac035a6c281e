# ruff: noqa: ASYNC240, S101 - small files; test code
"""`didymos up` in a process of its own that tests kill and start again on the same folder and ports.

While one runs, the next one imports what it needs and waits: a start takes what the house does, not what Python does.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from didymos_cli.card import DEFAULT, Card, read_card
from didymos_kit.lifecycle import Listen

START_SECONDS: Final = 300.0
LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000  # below those that systems give to calling sockets
PROGRAM: Final = """
import sys
from pathlib import Path
from didymos_cli.up import rooms, up
from didymos_kit.lifecycle import Listen

folder, *ports = sys.argv[1:]
rooms()
if not sys.stdin.readline():
    sys.exit(0)
sys.exit(up(Path(folder), Listen("127.0.0.1", *map(int, ports)), servers=False))
"""


def lasting_ports(count: int) -> tuple[int, ...]:
    """Ports that stay free while their owner is dead: no calling socket is given one of them."""
    found: list[int] = []
    for port in range(LOWEST_PORT + os.getpid() % 10_000, HIGHEST_PORT):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            return tuple(found)
    raise RuntimeError("no free port")


async def ready(admin_port: int, process: Process, output: Path) -> None:
    """Until the process behind the port says that it is ready. Raises AssertionError when it ended, or never is."""
    deadline, said = time.monotonic() + START_SECONDS, ""
    async with httpx.AsyncClient(trust_env=False) as http:
        while (said := await _not_ready(http, admin_port)) != "":
            assert process.returncode is None, output.read_text()[-4000:]
            assert time.monotonic() < deadline, said
            await asyncio.sleep(0.05)


async def _not_ready(http: httpx.AsyncClient, port: int) -> str:
    try:
        answer = await http.get(f"http://127.0.0.1:{port}/healthz/ready")
    except httpx.TransportError as error:
        return repr(error)
    return "" if answer.status_code == 200 else answer.text


async def killed(process: Process, output: Path) -> None:
    """With SIGKILL: nothing in it has a say. Raises AssertionError when it had ended before."""
    assert process.returncode is None, output.read_text()[-4000:]
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@dataclass
class DoomedHouse:
    """All services in one process. `start` and `kill` as often as a test likes."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    kills: int = 0
    _running: Process | None = None
    _next: Process | None = None

    def __post_init__(self) -> None:
        rest, grpc, admin = lasting_ports(3)
        self.listen = Listen(rest=rest, grpc=grpc, admin=admin)
        self.origin = f"http://127.0.0.1:{rest}"
        self.output = self.folder.with_suffix(".log")

    @property
    def alive(self) -> bool:
        """Whether nothing but the test ended it."""
        return self._running is not None and self._running.returncode is None

    async def start(self) -> Card:
        """Its card, once it is ready."""
        process = self._running = self._next or await self._made()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        await process.stdin.drain()
        await ready(self.listen.admin, process, self.output)
        self._next = await self._made()
        return read_card(self.folder / DEFAULT.name)

    async def _made(self) -> Process:
        ports = map(str, (self.listen.rest, self.listen.grpc, self.listen.admin))
        with self.output.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, str(self.folder), *ports, env={**os.environ, **self.environ},
                stdin=PIPE, stdout=DEVNULL, stderr=output,
            )  # fmt: skip

    async def kill(self) -> None:
        assert self._running is not None
        await killed(self._running, self.output)
        self._running = None
        self.kills += 1

    async def stop(self) -> None:
        """At the end of a test, however it ended."""
        for process in (self._running, self._next):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def a_doomed_house(folder: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[DoomedHouse]:
    """Not started yet; whatever runs at the end of the block is killed."""
    house = DoomedHouse(folder, environ or {})
    try:
        yield house
    finally:
        await house.stop()
