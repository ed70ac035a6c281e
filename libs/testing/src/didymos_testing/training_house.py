"""A coordinator in a process of its own, with its market and identity in a box: `python -m` this, then kill it.

Arguments: folder, REST port, gRPC port, sites, twins a site. Says `ready` on stdout once the owners' grants are known.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from didymos_contracts.errors import Problem
from didymos_kit import log
from didymos_kit.clock import SystemClock
from didymos_kit.house import House, Where
from didymos_kit.ids import OrderedIds
from didymos_kit.keyring import KeyRing
from didymos_kit.lifecycle import Process
from didymos_training_orchestration.bootstrap import bootstrap
from didymos_training_orchestration.settings import PaceSettings, TrainingSettings

from didymos_testing.house import ROOT, World, served
from didymos_testing.site_double import SiteDouble
from didymos_testing.training import AGREEMENT, MarketBox, People, an_agreement

PATIENT = PaceSettings(
    first_training_seconds=300, gather_seconds=120, setup_seconds=120, mask_seconds=120, confirm_seconds=120,
    unmask_seconds=120, personal_seconds=120,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """Where a house is reached, before and after each of its deaths."""

    rest: int
    grpc: int

    @property
    def where(self) -> Where:
        return Where(f"http://127.0.0.1:{self.rest}", f"127.0.0.1:{self.grpc}")


async def serve(folder: Path, address: Address, people: People) -> None:
    """Until somebody kills it."""
    settings = TrainingSettings(pace=PATIENT, poll_seconds=0.05)
    market = MarketBox({AGREEMENT: an_agreement()})
    async with (
        House.embedded(folder, address.where, keys=KeyRing(ROOT)) as house,
        bootstrap(settings, house) as service,
        served(house, service, market.service) as world,
    ):
        if not all(house.consent.grants(twin) for twin in people.owners):
            await people.consent(world)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def elsewhere(address: Address) -> World:
    """The house as sites and buyers in another process see it."""
    clock = SystemClock()
    where = address.where
    house = SimpleNamespace(
        clock=clock, ids=OrderedIds(clock), keys=KeyRing(ROOT), where=where, origin=where.origin
    )  # fmt: skip
    return World(cast("House", house), cast("Process", None), None)


@asynccontextmanager
async def dialling(sites: list[SiteDouble], world: World) -> AsyncIterator[None]:
    """The sites, which dial again whenever the line is lost."""

    async def dial(site: SiteDouble) -> None:
        while True:
            with suppress(Problem):
                await site.attend(world)
            await asyncio.sleep(0.2)

    tasks = [asyncio.create_task(dial(site)) for site in sites]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def a_process(
    folder: Path, address: Address, people: People, fault: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The coordinator, ready; armed to die at `fault` if it is not empty. Killed at the end of the block."""
    import os

    environ = {**os.environ, "OMP_NUM_THREADS": "1", **({"DIDYMOS_FAULT": fault} if fault else {})}
    sites = len(people.sites)
    each = len(people.owners) // sites
    arguments = [str(folder), str(address.rest), str(address.grpc), str(sites), str(each)]
    with folder.with_suffix(".log").open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def main(arguments: list[str]) -> None:
    folder, rest, grpc, sites, each = arguments
    log.configure(level="WARNING")
    asyncio.run(serve(Path(folder), Address(int(rest), int(grpc)), People.at(int(sites), int(each))))


if __name__ == "__main__":
    main(sys.argv[1:])
