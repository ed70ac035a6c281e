"""Kill -9 of the whole embedded house, and of a site, in mid-round: the parameters are the same, bit for bit."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_cli.card import Card
from didymos_cli.client import http_client
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
from didymos_testing.chaos_house import DoomedHouse, a_doomed_house

SEED, SITES, PEOPLE, ROUNDS, READINGS = 20261128, 6, 12, 5, 600
MOST_RUNS = 40  # what owners grant pays for
RUN_SECONDS = 300.0
PATIENT = {
    "DIDYMOS_TRAINING_ORCHESTRATION__POLL_SECONDS": "0.1",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__SETUP_SECONDS": "120",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__CONFIRM_SECONDS": "120",
    "DIDYMOS_TRAINING_ORCHESTRATION__PACE__UNMASK_SECONDS": "120",
    "DIDYMOS_LEDGER__AGREE_SECONDS": "0.2",
}  # a slow machine is no drop-out: whoever comes back is waited for
EAGER = {"DIDYMOS_SITE__FIRST_PAUSE_SECONDS": "0.5", "DIDYMOS_SITE__MOST_PAUSE_SECONDS": "2"}


def six_sites_of_two() -> Cast:
    cast = make_cast(SEED, DATA / "readings.csv.gz", PEOPLE)
    people = tuple(
        replace(person, times_us=person.times_us[:READINGS], levels=person.levels[:READINGS]) for person in cast.people
    )
    pairs = (people[at : at + PEOPLE // SITES] for at in range(0, PEOPLE, PEOPLE // SITES))
    sites = tuple(SiteCast(f"site-{at}", secret(SEED, f"site {at}"), pair) for at, pair in enumerate(pairs))
    return replace(cast, people=people, sites=sites)


def a_tiny_run() -> RunSpec:
    """Masked rounds of a tiny LSTM; the same seed and the same data in each run of these tests."""
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
        site = running_site(folder, self.card, self.card.org)
        self.processes[folder] = await self.stack.enter_async_context(site)

    async def kill(self, folder: Path) -> None:
        process = self.processes[folder]
        assert process.returncode is None, folder
        process.kill()
        await process.wait()


@dataclass
class Scene:
    """A house with owners, grants and sites, which runs are bought from one after the other."""

    house: DoomedHouse
    stage: Stage
    sites: SiteProcesses
    terms: Terms
    spec: RunSpec
    bought: int = 0

    async def begun(self) -> str:
        """Another run, of the same specification under an agreement of its own."""
        self.bought += 1
        order = replace(self.stage, cast=replace(self.stage.cast, seed=SEED + self.bought))
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
                if lasting or not self.house.alive or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def ended(self, run: str) -> Mapping[str, Any]:
        """How it ended. A run that pauses waits for what does not come: these are seen in the failure."""
        deadline = time.monotonic() + RUN_SECONDS
        while (said := await self.shown(run))["state"] not in ENDED:
            assert time.monotonic() < deadline, said
            assert said["state"] != "paused", said
            await asyncio.sleep(0.1)
        return said

    async def rounds(self, run: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = (await self.asked(f"runs/{run}/rounds"))["rounds"]
        return found


async def granted(stage: Stage, person: Person, terms: Terms) -> tuple[str, Given]:
    """A twin, and the grant of its owner to train for the institute."""
    client = stage.client(person.owner)
    twin = await register_twin(client, person.twin_key)
    grant = stage.cast.grant_id(person.name, time.time_ns() // 1_000_000)
    return twin, await give_grant(client, grant, stage.cast.institute.did, twin, terms)


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    cast, spec = six_sites_of_two(), a_tiny_run()
    (folder / "house").mkdir()
    (folder / "house" / "house.key").write_bytes(cast.house.root)
    terms = training_terms(ROUNDS * MOST_RUNS, PEOPLE)
    async with a_doomed_house(folder / "house", PATIENT) as house, http_client() as http, AsyncExitStack() as stack:
        card = await house.start()
        stage = Stage(cast, folder, card, http, lambda _: None)
        train = dict(await each(cast.people, lambda person: granted(stage, person, terms)))
        folders = [folder / site.name for site in cast.sites]
        for site, place in zip(cast.sites, folders, strict=True):
            write_site(place, site, cast.house.organisation, train)
        sites = SiteProcesses(folders, card, stack)
        for place in folders:
            await sites.start(place)
        yield Scene(house, stage, sites, terms, spec)


async def killed_in_mid_round(scene: Scene, run: str, draw: random.Random, seconds: float, most: int) -> int:
    """How often the house died, at most `most` times, at random within `seconds` after the run went on.

    A kill counts when the run had begun a round and had not ended.
    """
    done = 0
    while done < most:
        await asyncio.sleep(draw.uniform(0.0, seconds))
        before = await scene.shown(run)
        if before["state"] in ENDED or before["committed"] == ROUNDS:
            break
        await scene.house.kill()
        await scene.house.start()
        done += 1
        sys.stderr.write(f"  killed in round {before['committed'] + 1} of run {scene.bought}\n")
        await resumed(scene, run, before["committed"])
    return done


async def resumed(scene: Scene, run: str, committed: int) -> None:
    """Until all sites are back, or the run has gone on without waiting for this."""
    async with asyncio.timeout(RUN_SECONDS):
        while True:
            there = (await scene.asked("sites"))["sites"]
            said = await scene.shown(run)
            if len(there) == SITES or said["committed"] > committed or said["state"] in ENDED:
                return
            await asyncio.sleep(0.05)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_kills_in_mid_round_change_no_bit_of_the_parameters(
    tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in EAGER.items():
        monkeypatch.setenv(name, value)
    draw = random.Random(SEED)
    async with a_scene(tmp_path) as scene:
        run, begun = await scene.begun(), time.monotonic()
        calm = await scene.ended(run)
        assert (calm["state"], calm["committed"]) == ("completed", ROUNDS), calm
        round_seconds = (time.monotonic() - begun) / ROUNDS
        digests = [calm["params_digest"]]
        while scene.house.kills < kills:
            run, left = await scene.begun(), kills - scene.house.kills
            await killed_in_mid_round(scene, run, draw, round_seconds, left)
            digests.append(await digest_of(scene, run))
        run = await scene.begun()
        victim = draw.choice(scene.sites.folders)
        await asyncio.sleep(draw.uniform(0.0, round_seconds))
        await scene.sites.kill(victim)
        await scene.sites.start(victim)
        digests.append(await digest_of(scene, run))
    sys.stderr.write(f"\n{kills} kills of the house in mid-round over {len(digests) - 2} runs, and one of a site: ")
    sys.stderr.write(f"{len(set(digests))} outcome(s): {digests[0]}\n")
    assert set(digests) == {calm["params_digest"]}


async def digest_of(scene: Scene, run: str) -> str:
    """Of the parameters of a run that went through, each round of it once."""
    ended = await scene.ended(run)
    rounds = [(row["round"], row["attempt"], row["state"], row["reason"]) for row in await scene.rounds(run)]
    committed = [number for number, _, state, _ in rounds if state == "committed"]
    assert (ended["state"], committed) == ("completed", list(range(1, ROUNDS + 1))), (ended["reason"], rounds)
    digest: str = ended["params_digest"]
    return digest
