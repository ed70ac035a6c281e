"""Masked runs over sites that are processes of their own: the same bits each time, whatever dies meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
from didymos_cli.card import Card
from didymos_cli.demo.cast import Cast, Person, SiteCast, make_cast, secret
from didymos_cli.demo.onboarding import training_terms
from didymos_cli.demo.purchase import buy
from didymos_cli.demo.sites import running_site, write_site
from didymos_cli.demo.stage import Stage, each
from didymos_cli.demo.story import DATA
from didymos_cli.demo.training import ENDED, RUNS, begin
from didymos_cli.owner import Given, give_grant, register_twin
from didymos_contracts.errors import Problem
from didymos_did import Terms
from didymos_learning import GLUCOSE_TASK, CohortSpec, RunSpec, StrategySpec, demo_spec, model_spec

SEED, SITES, PEOPLE, ROUNDS, READINGS = 20261128, 6, 12, 5, 600
RUN_SECONDS: Final = 300.0
ASK_SECONDS: Final = 0.1
PATIENT: Final = {
    "DIDYMOS_TRAINING_ORCHESTRATION__POLL_SECONDS": "0.1",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__SETUP_SECONDS": "120",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__CONFIRM_SECONDS": "120",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__UNMASK_SECONDS": "120",
    "DIDYMOS_LEDGER__AGREE_SECONDS": "0.2",
}  # a slow machine is no drop-out: whoever comes back is waited for
EAGER: Final = {"DIDYMOS_SITE__FIRST_PAUSE_SECONDS": "0.5", "DIDYMOS_SITE__MOST_PAUSE_SECONDS": "2"}


def six_sites_of_two(seed: int = SEED) -> Cast:
    """Everybody's keys are those of the seed; whose readings they are is the same for each seed."""
    cast = make_cast(seed, DATA / "readings.csv.gz", PEOPLE)
    people = tuple(
        replace(person, times_us=person.times_us[:READINGS], levels=person.levels[:READINGS]) for person in cast.people
    )
    pairs = (people[at : at + PEOPLE // SITES] for at in range(0, PEOPLE, PEOPLE // SITES))
    sites = tuple(SiteCast(f"site-{at}", secret(seed, f"site {at}"), pair) for at, pair in enumerate(pairs))
    return replace(cast, people=people, sites=sites)


def a_tiny_run() -> RunSpec:
    """Masked rounds of a tiny LSTM; the same seed and the same data in each run of a scene."""
    demo = demo_spec(secret(SEED, "run"))
    return replace(
        demo, model=model_spec("lstm", {"units": 4, "skip": 2}, GLUCOSE_TASK),
        local=replace(demo.local, batch=64, clip=1.0), strategy=StrategySpec("fedavgm", {"momentum": 0.8}),
        rounds=ROUNDS, cohort=CohortSpec(SITES, SITES, PEOPLE, 2048.0),
        personal=replace(demo.personal, fine_tune=(1,), ditto=(), head_ridge=(1.0,), own_epochs=1),
    )  # fmt: skip


@dataclass
class SiteProcesses:
    """A process a site, each of which can be killed and started again."""

    folders: Sequence[Path]
    card: Card
    stack: AsyncExitStack
    processes: dict[Path, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, folder: Path) -> None:
        site = running_site(folder, self.card, self.card.org, environ=EAGER)
        self.processes[folder] = await self.stack.enter_async_context(site)

    async def kill(self, folder: Path) -> None:
        process = self.processes[folder]
        assert process.returncode is None, folder
        process.kill()
        await process.wait()


@dataclass
class Scene:
    """A house with owners, grants and sites, which runs are bought from one after the other.

    `lasts`: whether a house that does not answer is one that comes back.
    """

    stage: Stage
    sites: SiteProcesses
    terms: Terms
    spec: RunSpec
    lasts: Callable[[], bool]
    bought: int = 0

    async def begun(self) -> str:
        """Another run, of the same specification under an agreement of its own."""
        self.bought += 1
        order = replace(self.stage, cast=replace(self.stage.cast, seed=self.stage.cast.seed + self.bought))
        return await begin(order, await buy(order, self.terms, ROUNDS), self.spec)

    async def shown(self, run: str) -> Mapping[str, Any]:
        """What the house says of the run."""
        said: Mapping[str, Any] = await self.asked(f"runs/{run}")
        return said

    async def asked(self, path: str) -> Any:
        """What the house answers; asked again while it is away, or dead and not started yet."""
        institute, deadline = self.stage.client(self.stage.cast.institute), time.monotonic() + RUN_SECONDS
        while True:
            try:
                return await institute.get(f"{RUNS}/{path}")
            except (Problem, OSError, TimeoutError, httpx.TransportError) as error:
                lasting = isinstance(error, Problem) and error.row.retry != "later"
                if lasting or not self.lasts() or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(ASK_SECONDS)

    async def ended(self, run: str) -> Mapping[str, Any]:
        """How it ended. A run that pauses waits for what does not come: these are seen in the failure."""
        deadline = time.monotonic() + RUN_SECONDS
        while (said := await self.shown(run))["state"] not in ENDED:
            assert time.monotonic() < deadline, said
            assert said["state"] != "paused", said
            await asyncio.sleep(ASK_SECONDS)
        return said

    async def rounds(self, run: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = (await self.asked(f"runs/{run}/rounds"))["rounds"]
        return found

    async def digest_of(self, run: str) -> str:
        """Of the parameters of a run that went through, each round of it once. Raises AssertionError for another."""
        ended = await self.ended(run)
        rounds = [(row["round"], row["attempt"], row["state"], row["reason"]) for row in await self.rounds(run)]
        committed = [number for number, _, state, _ in rounds if state == "committed"]
        assert (ended["state"], committed) == ("completed", list(range(1, ROUNDS + 1))), (ended["reason"], rounds)
        digest: str = ended["params_digest"]
        return digest


async def _granted(stage: Stage, person: Person, terms: Terms) -> tuple[str, Given]:
    """A twin, and the grant of its owner to train for the institute."""
    client = stage.client(person.owner)
    twin = await register_twin(client, person.twin_key)
    grant = stage.cast.grant_id(person.name, time.time_ns() // 1_000_000)
    return twin, await give_grant(client, grant, stage.cast.institute.did, twin, terms)


@asynccontextmanager
async def a_scene(stage: Stage, most_runs: int, lasts: Callable[[], bool]) -> AsyncIterator[Scene]:
    """Owners who granted `most_runs` runs, and running sites in folders of `stage.folder`."""
    cast, terms = stage.cast, training_terms(ROUNDS * most_runs, PEOPLE)
    async with AsyncExitStack() as stack:
        train = dict(await each(cast.people, lambda person: _granted(stage, person, terms)))
        folders = [stage.folder / site.name for site in cast.sites]
        for site, place in zip(cast.sites, folders, strict=True):
            write_site(place, site, cast.house.organisation, train)
        sites = SiteProcesses(folders, stage.card, stack)
        for place in folders:
            await sites.start(place)
        yield Scene(stage, sites, terms, a_tiny_run(), lasts)
