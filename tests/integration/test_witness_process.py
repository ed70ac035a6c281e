"""Two witnesses as processes of their own beside a log, on real servers: a quorum, and a drain that ends with 0."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from didymos_kit.house import House
from didymos_provenance import Exit
from didymos_testing.house import ROOT, free_port
from didymos_testing.ledger import a_ledger_in
from didymos_testing.servers import house_settings, wiped

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@asynccontextmanager
async def a_witness(number: int, folder: Path) -> AsyncIterator[str]:
    """The URL where witness `number` will answer, a process with its own state; it must drain and exit 0."""
    rest = free_port()
    environment = {
        **os.environ, "DIDYMOS_SECRET": ROOT.hex(), "DIDYMOS_ORIGIN": f"http://127.0.0.1:{rest}",
        "DIDYMOS_REST_PORT": str(rest), "DIDYMOS_GRPC_PORT": str(free_port()), "DIDYMOS_ADMIN_PORT": str(free_port()),
        "DIDYMOS_FILES": str(folder / "files"), "DIDYMOS_LEDGER__ROLE": "witness",
        "DIDYMOS_LEDGER__WITNESS": str(number), "DIDYMOS_LEDGER__FOLDER": str(folder / f"witness-{number}"),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "didymos_ledger", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{rest}/ledger/witness"
    try:
        yield url
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answering(url: str) -> None:
    """Return once something answers there."""
    async with asyncio.timeout(120), httpx.AsyncClient() as client:
        while True:
            try:
                await client.post(url, content=b"")
            except httpx.TransportError:
                await asyncio.sleep(0.2)
            else:
                return


async def test_witnesses_that_are_processes_make_a_quorum(tmp_path: Path) -> None:
    settings = house_settings(tmp_path, os.environ)
    await wiped(settings)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(House.servers(settings, "test"))
        urls = [await stack.enter_async_context(a_witness(number, tmp_path)) for number in (1, 2)]
        await asyncio.gather(*(answering(f"{url}/add-checkpoint") for url in urls))
        ledger = await stack.enter_async_context(
            a_ledger_in(
                house, tmp_path, role="log", folder=tmp_path / "log", witness_urls=(*urls, "http://127.0.0.1:9")
            )
        )
        person = ledger.market.people[0]
        verdict = await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))
        assert (verdict.exit, verdict.strength) == (Exit.VALID, "sequencer+witness(2/3)")
