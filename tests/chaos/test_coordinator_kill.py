"""Kill -9 of the coordinator alone, at durable steps of its rounds: the parameters are the same, bit for bit."""

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_contracts.errors import Problem
from didymos_testing.house import World, free_port
from didymos_testing.training import AGREEMENT, BUYER, People, a_spec
from didymos_testing.training_house import Address, a_process, dialling, elsewhere

RUNS = "/v1/runs"
SERVICE = "training-orchestration"
ENDED = ("completed", "failed", "cancelled", "paused")
POINTS = {  # passes of each in one undisturbed run, about: a fault is armed at one of them
    "unit.committed": 120, "files.written": 14, "training.total_written": 3, "training.checkpoint_written": 3,
    "training.round_committed": 3, "training.personalised": 1,
}  # fmt: skip


async def asked(buyer: httpx.AsyncClient, method: str, path: str, **said: Any) -> dict[str, Any] | None:
    """The answer; None while the coordinator is away."""
    with suppress(httpx.TransportError, Problem):
        answer = await buyer.request(method, path, **said)
        if answer.status_code < 500:
            shown: dict[str, Any] = answer.json()
            return shown
    return None


async def followed(buyer: httpx.AsyncClient, process: asyncio.subprocess.Process, run: str) -> dict[str, Any] | None:
    """The run once it ended; None if the coordinator died before."""
    while process.returncode is None:
        shown = await asked(buyer, "GET", f"{RUNS}/{run}")
        if shown is not None and shown.get("state") in ENDED:
            return shown
        await asyncio.sleep(0.1)
    return None


async def made(buyer: httpx.AsyncClient, spec: Any) -> str:
    body = {"agreement": AGREEMENT, "spec": json.loads(spec.to_json())}
    headers = {"idempotency-key": "the-one-run"}
    while True:
        answer = await asked(buyer, "POST", RUNS, json=body, headers=headers)
        if answer is not None and "run" in answer and "code" not in answer:
            run: str = answer["run"]
            return run
        await asyncio.sleep(0.1)


async def started(buyer: httpx.AsyncClient, run: str) -> None:
    while True:
        answer = await asked(buyer, "POST", f"{RUNS}/{run}/start")
        if answer is not None and answer.get("state") == "running":
            return
        await asyncio.sleep(0.1)


async def ran(folder: Path, faults: list[str]) -> tuple[dict[str, Any], int]:
    """A run over a coordinator that dies at each of these faults in turn; the run as it ended, and the deaths."""
    people, spec = People.at(5, 2), a_spec()
    address = Address(free_port(), free_port())
    world: World = elsewhere(address)
    sites, run, deaths = people.doubles(spec), "", 0
    async with dialling(sites, world), world.rest(BUYER, SERVICE) as buyer:
        while True:
            fault = faults.pop(0) if faults and run else ""
            async with a_process(folder, address, people, fault) as process:
                assert process.stdout is not None
                await process.stdout.readline()
                if not run:
                    run = await made(buyer, spec)
                    await started(buyer, run)
                shown = await followed(buyer, process, run) if fault or not faults else None
                if shown is not None:
                    return shown, deaths
            deaths += 1


@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_kills_of_the_coordinator_at_durable_steps_change_no_bit_of_the_parameters(
    tmp_path: Path, kills: int
) -> None:
    draw = random.Random(20261128)
    calm, _ = await ran(tmp_path / "calm", [])
    faults = []
    for _ in range(kills):
        point = draw.choice(sorted(POINTS))
        faults.append(f"{point}:{draw.randint(1, POINTS[point])}")
    disturbed, deaths = await ran(tmp_path / "killed", faults)
    assert (calm["state"], disturbed["state"]) == ("completed", "completed"), (calm, disturbed, faults)
    assert disturbed["params_digest"] == calm["params_digest"], (deaths, faults)
    assert deaths >= 1
