"""Masked runs that are in flight, one after the other, while a release is changed: each must end with the same bits."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx
from didymos_cli.card import Card
from didymos_cli.client import http_client
from didymos_cli.demo.stage import Stage
from didymos_contracts.errors import Problem
from didymos_kit.keyring import KeyRing

from tests.chaos.masked_runs import ROUNDS, Scene, a_scene, six_sites_of_two

MOST_RUNS: Final = 1000  # what owners grant pays for
ORDER_SECONDS: Final = 300.0
AGAIN_SECONDS: Final = 1.0


@dataclass
class InFlight:
    """What came of the rounds of a step. `wrong`: runs that failed, or ended with other bits than the calm one."""

    rounds: int = 0
    wrong: list[str] = field(default_factory=list)
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class MaskedRuns:
    """`calm`: the digest of the parameters of a run that nothing disturbed."""

    scene: Scene
    calm: str

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[InFlight]:
        """Runs until the end of the block, and until the last one has ended."""
        told = InFlight()
        going = asyncio.create_task(self._going(told))
        try:
            yield told
        finally:
            told.stopping = True
            await going

    async def _going(self, told: InFlight) -> None:
        while not told.stopping:
            try:
                digest = await self.scene.digest_of(await ordered(self.scene))
            except (AssertionError, Problem, TimeoutError, httpx.TransportError) as error:
                told.wrong.append(f"{type(error).__name__}: {error}"[:400])
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            told.rounds += ROUNDS
            if digest != self.calm:
                told.wrong.append(f"the parameters have the digest {digest}, not {self.calm}")
        gone = [path.name for path, process in self.scene.sites.processes.items() if process.returncode is not None]
        told.wrong += [f"{name} ended by itself" for name in gone]


async def ordered(scene: Scene) -> str:
    """A run that has begun. Who is told to come back later, or loses the connection, orders anew."""
    deadline = time.monotonic() + ORDER_SECONDS
    while True:
        try:
            return await scene.begun()
        except (Problem, TimeoutError, httpx.TransportError) as error:
            lasting = isinstance(error, Problem) and error.row.retry != "later"
            if lasting or time.monotonic() > deadline:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@asynccontextmanager
async def masked_runs(card: Card, root: str, folder: Path) -> AsyncIterator[MaskedRuns]:
    """Owners, grants and running sites of a house that is elsewhere, and a first run while nothing disturbs it."""
    _emptied(folder)
    cast = replace(six_sites_of_two(time.time_ns() % 1_000_000_000), house=KeyRing(bytes.fromhex(root)))
    async with http_client() as http:
        stage = Stage(cast, folder, card, http, lambda _: None)
        async with a_scene(stage, MOST_RUNS, lambda: True) as scene:
            yield MaskedRuns(scene, await scene.digest_of(await ordered(scene)))
