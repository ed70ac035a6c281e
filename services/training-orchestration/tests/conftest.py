"""The coordinator in an embedded house, with sites that dial in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_learning import RunSpec
from didymos_testing.house import World, a_house, served
from didymos_testing.site_double import SiteDouble
from didymos_testing.training import AGREEMENT, BUYER, MarketBox, People, an_agreement
from didymos_training_orchestration.bootstrap import NAME, bootstrap
from didymos_training_orchestration.settings import PaceSettings, TrainingSettings

SECONDS = 60.0
QUICK = PaceSettings(
    first_training_seconds=60, gather_seconds=30, setup_seconds=40, mask_seconds=40, confirm_seconds=40,
    unmask_seconds=40, personal_seconds=40,
)  # fmt: skip


@dataclass
class Coordinator:
    """A running coordinator, as its buyer sees it."""

    world: World
    market: MarketBox
    buyer: httpx.AsyncClient

    async def make(self, spec: RunSpec, **said: Any) -> str:
        import json

        body = {"agreement": AGREEMENT, "spec": json.loads(spec.to_json()), **said}
        made = await self.buyer.post("/v1/runs", json=body)
        assert made.status_code == 201, made.text
        run: str = made.json()["run"]
        return run

    async def start(self, run: str) -> httpx.Response:
        return await self.buyer.post(f"/v1/runs/{run}/start")

    async def until(self, run: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run as soon as it is so."""
        async with asyncio.timeout(SECONDS):
            while True:
                shown: dict[str, Any] = (await self.buyer.get(f"/v1/runs/{run}")).json()
                if reached(shown):
                    return shown
                await asyncio.sleep(0.1)

    async def ended(self, run: str) -> dict[str, Any]:
        return await self.until(run, lambda shown: shown["state"] in ("completed", "failed", "cancelled", "paused"))

    async def rounds(self, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.buyer.get(f"/v1/runs/{run}/rounds")).json()["rounds"]
        return found


@asynccontextmanager
async def attending(world: World, sites: Sequence[SiteDouble]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The sites, dialled in."""
    tasks = [asyncio.create_task(site.attend(world)) for site in sites]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def a_coordinator(folder: Path, **changes: Any) -> AsyncIterator[Coordinator]:
    settings = TrainingSettings(**{"pace": QUICK, "poll_seconds": 0.05, **changes})
    market = MarketBox({AGREEMENT: an_agreement()})
    async with (
        a_house(folder) as house,
        bootstrap(settings, house) as service,
        served(house, service, market.service) as world,
        world.rest(BUYER, NAME) as buyer,
    ):
        yield Coordinator(world, market, buyer)


@asynccontextmanager
async def a_run(
    folder: Path, spec: RunSpec, sites: Sequence[SiteDouble], people: People, **changes: Any
) -> AsyncIterator[tuple[Coordinator, str]]:
    """A coordinator whose sites are here and whose owners consented, and a run of `spec` that was made.

    `changes`: members of the grants' terms, or settings.
    """
    terms = {name: changes.pop(name) for name in ("budget", "constraints", "window") if name in changes}
    async with a_coordinator(folder, **changes) as coordinator, attending(coordinator.world, sites):
        if spec.masking == "none":
            terms.setdefault("constraints", {"min-cohort": 10})
        await people.consent(coordinator.world, **terms)
        run = await coordinator.make(spec)
        await here(coordinator, len(sites))
        yield coordinator, run


async def here(coordinator: Coordinator, count: int) -> None:
    async def attend() -> bool:
        return len((await coordinator.buyer.get("/v1/sites")).json()["sites"]) >= count

    await eventually(attend)


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Until it is so; the test fails when it does not become so."""
    for _ in range(int(seconds / 0.05)):
        if await holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("this did not become so")


async def was_told(site: SiteDouble, order: str, times: int = 1) -> None:
    """Until a site got this order so often."""

    async def told() -> bool:
        return site.seen.count(order) >= times

    await eventually(told)


@pytest.fixture
def people() -> People:
    return People.at(5, 2)


@pytest.fixture
def run_of() -> Callable[..., Any]:
    return a_run


@pytest.fixture
def coordinator_in() -> Callable[..., Any]:
    return a_coordinator


@pytest.fixture
def told() -> Callable[..., Any]:
    return was_told


@pytest.fixture
def attend() -> Callable[..., Any]:
    return attending


@pytest.fixture
def until() -> Callable[..., Any]:
    return eventually
