"""One process with several services: prefixes, probes, loops, drain and exit codes, on real sockets."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_contracts.errors.platform import PLATFORM_UNKNOWN_SETTING
from didymos_kit.app import RestServer
from didymos_kit.http import PUBLIC
from didymos_kit.lifecycle import AT_ONCE, EVERYWHERE, Drain, LoopEndedError, Program, main, running, serve
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.kit import Issuer, problem_codes
from fastapi import APIRouter
from starlette.applications import Starlette


def a_service(name: str, **parts: Any) -> Service:
    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.get("/name")
    async def read_name() -> str:
        return name

    @router.get("/slow")
    async def read_slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    return Service(name, (router,), **parts)


async def get(url: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url) as client:
        return await client.get(path)


async def test_each_service_answers_below_its_name_and_describes_itself() -> None:
    async with running(Program([a_service("identity"), a_service("ledger")])) as process:
        assert (await get(process.rest_url, "/identity/v1/name")).json() == "identity"
        assert (await get(process.rest_url, "/ledger/v1/name")).json() == "ledger"
        document = (await get(process.rest_url, "/ledger/openapi.json")).json()
        assert (document["info"]["title"], document["servers"][0]["url"]) == ("Didymos ledger", "/ledger")
        assert "/v1/name" in document["paths"]
        lost = [await get(process.rest_url, path) for path in ("/", "/v1/name", "/identity", "/identity/v1", "/docs")]
        assert problem_codes(lost) == [(404, "platform.not_found")] * 5


async def test_an_answer_on_a_kept_connection_does_not_wait_for_an_acknowledgement() -> None:
    async with running(Program([a_service("identity")])) as process:
        reader, writer = await asyncio.open_connection("127.0.0.1", process.rest_port)
        async with asyncio.timeout(1):  # 50 times the 40 ms of Nagle's algorithm are two seconds
            for _ in range(50):
                writer.write(b"GET /identity/v1/name HTTP/1.1\r\nhost: x\r\n\r\n")
                await reader.readuntil(b'"identity"')
        writer.close()


async def test_probes_and_metrics_have_a_port_of_their_own() -> None:
    async with running(Program([a_service("identity")])) as process:
        await get(process.rest_url, "/identity/v1/name")
        assert (await get(process.admin_url, "/healthz/live")).json() == {"live": True, "reason": None}
        assert (await get(process.admin_url, "/healthz/ready")).json() == {"ready": True, "reasons": {}}
        exposed = (await get(process.admin_url, "/metrics")).text
        assert (await get(process.rest_url, "/metrics")).status_code == 404
    assert 'didymos_http_requests_total{service="identity",status="2xx"} 1.0' in exposed
    assert "didymos_process_ready 1.0" in exposed
    assert "_created" not in exposed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("schema behind", "schema behind"), (OSError("secret path"), "OSError"), (60, "no answer within 1 s")],
)
async def test_a_check_that_is_not_content_makes_the_process_unready_and_not_dead(answer: Any, reason: str) -> None:
    async def check() -> str | None:
        if isinstance(answer, int):
            await asyncio.sleep(answer)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    async def content() -> str | None:
        return None

    async with running(Program([a_service("identity", checks=(check,)), a_service("ledger", checks=(content,))])) as it:
        ready = await get(it.admin_url, "/healthz/ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, {"identity": reason})
        assert (await get(it.admin_url, "/healthz/live")).status_code == 200


async def test_a_loop_that_dies_ends_the_process_and_is_seen_by_the_live_probe() -> None:
    async def dies(stopping: Stopping) -> None:
        raise ConnectionResetError

    async def until_dead() -> None:
        async with running(Program([a_service("identity", loops=(dies,))])) as process:
            await asyncio.wait([process.loops])
            live = await get(process.admin_url, "/healthz/live")
            assert (live.status_code, live.json()["reason"]) == (503, "a loop died: ConnectionResetError")

    with pytest.raises(ExceptionGroup) as raised:
        await until_dead()
    assert raised.group_contains(ConnectionResetError)


async def test_a_loop_that_returns_early_is_a_failure_too() -> None:
    async def returns(stopping: Stopping) -> None: ...

    with pytest.raises(ExceptionGroup) as raised:
        async with running(Program([a_service("identity", loops=(returns,))])) as process:
            await asyncio.wait([process.loops])
    assert raised.group_contains(LoopEndedError)


async def test_requests_in_hand_are_answered_before_the_loops_stop() -> None:
    order: list[str] = []
    in_hand = asyncio.Event()

    async def loop(stopping: Stopping) -> None:
        await stopping.wait()
        order.append("loop told to stop")
        await asyncio.sleep(0.05)
        order.append("loop done")

    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.get("/slow")
    async def read_slow() -> str:
        in_hand.set()
        await asyncio.sleep(0.3)
        order.append("answered")
        return "done"

    async with running(Program([Service("identity", (router,), loops=(loop,))])) as process:
        request = asyncio.create_task(get(process.rest_url, "/identity/v1/slow"))
        await in_hand.wait()
    assert (await request).json() == "done"
    assert order == ["answered", "loop told to stop", "loop done"]


async def test_while_it_drains_a_process_is_unready_and_then_closed() -> None:
    drain = Drain(endpoints_seconds=1.0, streams_seconds=0.1, budget_seconds=5)
    async with running(Program([a_service("identity")]), drain=drain) as process:
        draining = asyncio.create_task(process.drain(drain))
        await asyncio.sleep(0.1)
        assert (await get(process.admin_url, "/healthz/ready")).status_code == 503
        answer = await get(process.rest_url, "/identity/v1/name")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        await draining
        with pytest.raises(httpx.ConnectError):
            await get(process.rest_url, "/identity/v1/name")


async def test_a_drain_over_its_budget_says_what_is_open_and_fails() -> None:
    async def deaf(stopping: Stopping) -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with running(Program([a_service("identity", loops=(deaf,))]), drain=Drain(0, 0.1, 0.2)):
            pass


async def test_a_port_that_is_taken_is_said_at_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await RestServer(Starlette()).start("127.0.0.1", taken.getsockname()[1])


async def test_serving_ends_with_0_on_a_signal_and_the_parts_are_closed() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        yield Program([a_service("identity")], Issuer().access, metrics)
        closed.append("closed")

    task = asyncio.create_task(serve(opening, EVERYWHERE, AT_ONCE))
    await asyncio.sleep(0.3)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await task == 0
    assert closed == ["closed"]


async def test_serving_ends_with_1_when_a_loop_dies() -> None:
    async def dies(stopping: Stopping) -> None:
        raise ConnectionResetError

    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        yield Program([a_service("identity", loops=(dies,))], None, metrics)

    assert await serve(opening, EVERYWHERE, AT_ONCE) == 1


def test_a_refused_setting_ends_a_process_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def opening(metrics: Metrics) -> AsyncIterator[Program]:
        if metrics:
            raise PLATFORM_UNKNOWN_SETTING.problem(name="DIDYMOS_X")
        yield Program([])

    assert main(opening, EVERYWHERE) == 2
    assert "platform.unknown_setting" in capsys.readouterr().err


MAIN = """
    import asyncio, sys
    from contextlib import asynccontextmanager
    from didymos_kit import log
    from didymos_kit.lifecycle import Drain, Listen, Program, main
    from didymos_kit.service import Service

    async def loop(stopping):
        await stopping.wait()
        if sys.argv[1] == "deaf":
            await asyncio.sleep(60)

    @asynccontextmanager
    async def opening(metrics):
        yield Program([Service("identity", loops=(loop,))], None, metrics)

    log.configure()
    sys.exit(main(opening, Listen(rest=0, grpc=0, admin=0), Drain(0, 0.1, 20)))
"""


@pytest.mark.parametrize(("behaviour", "signals", "code"), [("obedient", 1, 0), ("deaf", 2, 1)])
def test_a_real_process_exits_as_it_should(tmp_path: Path, behaviour: str, signals: int, code: int) -> None:
    """One signal drains it; a second one ends it at once."""
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(MAIN))
    with subprocess.Popen([sys.executable, str(script), behaviour], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        events = [json.loads(process.stderr.readline())["event"]]
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            events.append(json.loads(process.stderr.readline())["event"])
        assert process.wait(10) == code
    assert events[:2] == ["platform.ready", "platform.draining"]
