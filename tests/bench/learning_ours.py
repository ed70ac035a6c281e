"""Rounds through the real thing: the coordinator as a service in an embedded house, its REST, its state machine on
SQLite, its checkpoints and transactions (of rounds under 0.2 s: one of each a group), and a pool of two Ray actors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from didymos_kit.clock import to_us
from didymos_kit.house import House
from didymos_learning import Flat, RunSpec
from didymos_testing.house import a_house, served
from didymos_testing.training import AGREEMENT, BUYER, MarketBox, an_agreement
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.adapters.work import SqlUnits
from didymos_training_orchestration.bootstrap import NAME, bootstrap
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import RunId
from didymos_training_orchestration.settings import SimulationSettings, TrainingSettings

PATIENCE = 200.0


@dataclass(frozen=True, slots=True)
class Ran:
    """The rounds of a run, when its model was registered, and the parameters (d,) it ended with."""

    rounds: list[Round]
    registered_us: int
    params: Flat

    @property
    def seconds(self) -> list[float]:
        """From the end of each round to the end of the next; of the first: from its opening."""
        ends = [self.rounds[0].opened_us, *(each.closed_us for each in self.rounds)]
        return [(after - before) / 1e6 for before, after in pairwise(ends)]

    def mean(self, warm: int) -> float:
        """Seconds a round after `warm` of them, with every commit and the end of the run in it."""
        return (self.registered_us - self.rounds[warm - 1].closed_us) / 1e6 / (len(self.rounds) - warm)


@dataclass
class Ours:
    house: House
    buyer: httpx.AsyncClient

    async def run(self, spec: RunSpec) -> "Ran":
        body: dict[str, Any] = {"agreement": "", "spec": json.loads(spec.to_json()), "clients": "simulated"}
        made = await self.buyer.post("/v1/runs", json=body)
        made.raise_for_status()
        run = made.json()["run"]
        (await self.buyer.post(f"/v1/runs/{run}/start")).raise_for_status()
        async with asyncio.timeout(PATIENCE):
            shown = await self._ended(run)
        if shown["state"] != "completed":
            raise RuntimeError(str(shown))
        async with self.house.database(NAME) as database:
            units, name = SqlUnits(database), RunId(run)
            rounds = await units(lambda work: work.rounds.of(name))
            models = await units(lambda work: work.registry.of_run(name))
        raw = await FileObjects(self.house.files).get(rounds[-1].result)
        return Ran(list(rounds), to_us(models[0].created_at), np.frombuffer(raw or b"", np.float32))

    async def _ended(self, run: str) -> dict[str, Any]:
        """Looked at seldom: the coordinator has the core to itself."""
        while True:
            shown: dict[str, Any] = (await self.buyer.get(f"/v1/runs/{run}")).json()
            if shown["state"] != "running":
                return shown
            await asyncio.sleep(1.0)


@asynccontextmanager
async def ours(folder: Path, source: Path, per_chunk: int, **where: Any) -> AsyncIterator[Ours]:
    simulation = SimulationSettings(source=source, clients_per_chunk=per_chunk, **where)
    settings = TrainingSettings(simulation=simulation)
    market = MarketBox({AGREEMENT: an_agreement()})
    async with (
        a_house(folder) as house,
        bootstrap(settings, house) as service,
        served(house, service, market.service) as world,
        world.rest(BUYER, NAME) as buyer,
    ):
        yield Ours(house, buyer)
