# ruff: noqa: S101 - test code
"""Each service as a process of its own, `python -m didymos_<service>`, on real servers; any of them can be killed."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from didymos_cli.card import SERVICES
from didymos_cli.client import TIMEOUT_SECONDS
from didymos_kit.house_settings import HouseSettings
from didymos_kit.keyring import KeyRing
from didymos_kit.lifecycle import Listen

from didymos_testing.chaos_house import killed, lasting_ports, ready


class ByService(httpx.AsyncBaseTransport):
    """What an ingress does for a house of many processes: the first part of the path says which one is called."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports, self._inner = ports, httpx.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        service = request.url.path.split("/", 2)[1]
        request.url = request.url.copy_with(port=self._ports[service])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class ServiceProcesses:
    """All services of one house. `settings`: where the servers are, and the secret and origin that all share."""

    folder: Path
    settings: HouseSettings
    listen: dict[str, Listen] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    kills: int = 0
    given: dict[str, str] = field(default_factory=dict)  # more of their environment

    def __post_init__(self) -> None:
        ports = iter(lasting_ports(3 * len(SERVICES)))
        for name in SERVICES:
            self.listen[name] = Listen(rest=next(ports), grpc=next(ports), admin=next(ports))
        self.keys: KeyRing = self.settings.keyring()

    @property
    def origin(self) -> str:
        return self.settings.origin

    def http(self) -> httpx.AsyncClient:
        transport = ByService({name: at.rest for name, at in self.listen.items()})
        return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False)

    async def start(self, *names: str) -> None:
        """Until all of them are ready; they start beside each other."""
        await self.launch(*names)
        await asyncio.gather(*(self.ready(name) for name in names))

    async def launch(self, *names: str) -> None:
        """Without waiting for anything."""
        for name in names:
            self.processes[name] = await self._made(name)

    async def probed(self, name: str, what: str) -> dict[str, Any]:
        """What its probe says; nothing while its port is closed. Raises AssertionError when it ended."""
        assert self.processes[name].returncode is None, self._output(name).read_text()[-4000:]
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
                said: dict[str, Any] = (
                    await http.get(f"http://127.0.0.1:{self.listen[name].admin}/healthz/{what}")
                ).json()
        except httpx.TransportError:
            return {}
        return said

    async def until(self, name: str, holds: Callable[[dict[str, Any]], bool], seconds: float = 180.0) -> dict[str, Any]:
        """What its readiness says as soon as that `holds`. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while not holds(said := await self.probed(name, "ready")):
            assert time.monotonic() < deadline, (name, said)
            await asyncio.sleep(0.1)
        return said

    async def terminate(self, name: str) -> int:
        """Its exit code after a SIGTERM."""
        self.processes[name].terminate()
        return await self.processes[name].wait()

    async def kill(self, name: str) -> None:
        await killed(self.processes[name], self._output(name))
        self.kills += 1

    async def stop(self) -> None:
        """At the end of a test, however it ended."""
        for process in self.processes.values():
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def ready(self, name: str) -> None:
        await ready(self.listen[name].admin, self.processes[name], self._output(name))

    def _output(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def _made(self, name: str) -> Process:
        at, settings = self.listen[name], self.settings
        said = {
            "DIDYMOS_KAFKA_URL": settings.kafka_url, "DIDYMOS_REDIS_URL": settings.redis_url,
            "DIDYMOS_POSTGRES_URL": settings.postgres_url.get_secret_value(),
            "DIDYMOS_SECRET": settings.secret.get_secret_value(), "DIDYMOS_ORIGIN": settings.origin,
            "DIDYMOS_FILES": str(settings.files), "DIDYMOS_MEMBER": f"{name}-1", "DIDYMOS_LOG_LEVEL": "WARNING",
            "DIDYMOS_REST_PORT": str(at.rest), "DIDYMOS_GRPC_PORT": str(at.grpc), "DIDYMOS_ADMIN_PORT": str(at.admin),
            "DIDYMOS_PEERS": json.dumps({other: f"127.0.0.1:{port.grpc}" for other, port in self.listen.items()}),
            "DIDYMOS_LEDGER__FOLDER": str(self.folder / "ledger"), "OMP_NUM_THREADS": "1", 
        }  # fmt: skip
        said.update(self.given)
        if "DIDYMOS_SECRET_FILE" in said:
            del said["DIDYMOS_SECRET"]
        with self._output(name).open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"didymos_{name.replace('-', '_')}", env={**os.environ, **said},
                stdin=DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip


@asynccontextmanager
async def service_processes(folder: Path, settings: HouseSettings) -> AsyncIterator[ServiceProcesses]:
    """All services, ready; whatever runs at the end of the block is killed."""
    processes = ServiceProcesses(folder, settings)
    try:
        await processes.start(*SERVICES)
        yield processes
    finally:
        await processes.stop()
