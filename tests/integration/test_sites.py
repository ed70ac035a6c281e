"""Real sites on real folders, dialling a real coordinator over gRPC: rounds, models, and kill -9 of sites."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from didymos_did import Did
from didymos_learning import EvaluationSpec, RunSpec, log_edges
from didymos_privacy import Recipient
from didymos_site.bootstrap import bootstrap as site_bootstrap
from didymos_site.settings import SiteSettings
from didymos_testing.house import World, a_house, served
from didymos_testing.site import BUYER, Person, a_person, a_site_folder, a_spec
from didymos_testing.training import AGREEMENT, MarketBox, an_agreement
from didymos_training_orchestration.bootstrap import NAME, bootstrap
from didymos_training_orchestration.settings import PaceSettings, TrainingSettings

PATIENT = PaceSettings(  # deadlines are not what is tested: a busy machine must not abort a round
    first_training_seconds=300, gather_seconds=120, setup_seconds=120, mask_seconds=120, confirm_seconds=120,
    unmask_seconds=120, personal_seconds=240,
)  # fmt: skip
SITES, EACH = 6, 2
SERVER = Recipient(b"s" * 32)


@dataclass
class Together:
    world: World
    folder: Path
    buyer: Any
    people: dict[str, list[Person]] = field(default_factory=dict)

    def settings(self, name: str) -> SiteSettings:
        house = self.world.house
        return SiteSettings(
            folder=self.folder / name, coordinator=house.where.rpc, origin=house.origin,
            coordinator_did=house.keys.did(NAME), organisations=(house.org,), first_pause_seconds=0.2,
            most_pause_seconds=1.0, beat_seconds=1.0,
        )  # fmt: skip

    async def prepare(self, count: int, **terms: Any) -> None:
        """Folders of sites; owners register and grant."""
        house = self.world.house
        now = house.clock.now()
        window = (now - timedelta(days=1), now + timedelta(days=30))
        for number in range(SITES):
            people = [a_person(number * EACH + at + 1, window=window, **terms) for at in range(EACH)]
            name = f"site-{number}"
            a_site_folder(self.folder / name, people, count=count, organisation=house.keys.organisation, at=now)
            self.people[name] = people
            for person in people:
                await house.wait(await self.world.identity.register(person.twin, person.grant.owner))
                await house.wait(await self.world.identity.grant(person.grant, person.credential))

    async def started(self, spec: RunSpec) -> str:
        body = {"agreement": AGREEMENT, "spec": json.loads(spec.to_json())}
        made = await self.buyer.post("/v1/runs", json=body)
        assert made.status_code == 201, made.text
        run: str = made.json()["run"]
        async with asyncio.timeout(90):
            while len((await self.buyer.get("/v1/sites")).json()["sites"]) < SITES:  # noqa: ASYNC110 - over REST
                await asyncio.sleep(0.05)
        started = await self.buyer.post(f"/v1/runs/{run}/start")
        assert started.status_code == 200, started.text
        return run

    async def ended(self, run: str, seconds: float = 240) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                shown: dict[str, Any] = (await self.buyer.get(f"/v1/runs/{run}")).json()
                if shown["state"] in ("completed", "failed", "paused"):
                    return shown
                await asyncio.sleep(0.1)


@asynccontextmanager
async def together(folder: Path, pace: PaceSettings = PATIENT) -> AsyncIterator[Together]:
    settings = TrainingSettings(pace=pace, poll_seconds=0.05)
    market = MarketBox({AGREEMENT: an_agreement()})
    async with (
        a_house(folder / "house") as house,
        bootstrap(settings, house) as service,
        served(house, service, market.service) as world,
        world.rest(BUYER, NAME) as buyer,
    ):
        yield Together(world, folder, buyer)


@asynccontextmanager
async def in_process(all_: Together) -> AsyncIterator[list[Did]]:
    """All sites in this process, dialled in."""
    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(site_bootstrap(all_.settings(name))) for name in all_.people]
        tasks = [asyncio.create_task(site.run()) for site in sites]
        try:
            yield [site.voice.site for site in sites]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.slow
async def test_sites_train_a_model_that_nobody_saw_an_update_of(tmp_path: Path) -> None:
    async with together(tmp_path) as all_:
        await all_.prepare(count=1400)
        async with in_process(all_):
            run = await all_.started(a_spec(rounds=3))
            ended = await all_.ended(run)
            assert (ended["state"], ended["committed"]) == ("completed", 3), ended
            models = (await all_.buyer.get("/v1/models", params={"run": run})).json()["models"]
            assert "global" in [model["kind"] for model in models]


class Processes:
    """Sites as processes of their own."""

    def __init__(self, all_: Together) -> None:
        self._all, self._running = all_, dict[str, asyncio.subprocess.Process]()

    async def start(self, name: str, fault: str = "") -> None:
        settings = self._all.settings(name)
        arguments = [
            "--folder", str(settings.folder), "--coordinator", settings.coordinator, "--origin", settings.origin,
            "--coordinator-did", settings.coordinator_did, "--organisation", settings.organisations[0],
        ]  # fmt: skip
        said = {
            "DIDYMOS_SITE__FIRST_PAUSE_SECONDS": "0.2", "DIDYMOS_SITE__MOST_PAUSE_SECONDS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        environment = {**os.environ, **said, **({"DIDYMOS_FAULT": fault} if fault else {})}
        log = (self._all.folder / f"{name}.log").open("ab")
        self._running[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "didymos_site", *arguments, env=environment, stdout=log, stderr=log
        )
        log.close()

    async def died(self, name: str) -> int:
        return await asyncio.wait_for(self._running[name].wait(), 240)

    def memory_mb(self) -> list[float]:
        """Proportional set size of each process."""
        found = []
        for process in self._running.values():
            rows = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            found.append(next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024)
        return found

    async def stop(self) -> None:
        for process in self._running.values():
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.wait() for process in self._running.values()))


STEPS = {  # of a site, in order: what it has made, kept or sent when it is killed
    "pairwise": (
        "site.trained", "site.advertised", "site.stepped", "site.masked", "site.kept", "site.delivered",
    ),
    "none": ("site.trained", "site.kept", "site.delivered"),
}  # fmt: skip


async def ran(folder: Path, masking: str, dying: Mapping[str, str]) -> str:
    """A run over sites as processes, some of which die at a step and come back: the digest of its parameters."""
    async with together(folder) as all_:
        await all_.prepare(count=300, constraints={"secure-aggregation": True} if masking == "pairwise" else {})
        processes = Processes(all_)
        try:
            for name in all_.people:
                await processes.start(name, dying.get(name, ""))
            run = await all_.started(a_spec(rounds=2, masking=masking))
            for name in dying:
                assert await processes.died(name) == -signal.SIGKILL
                await processes.start(name)
            ended = await all_.ended(run)
            sys.stderr.write(f"PSS of sites: {[round(mb) for mb in processes.memory_mb()]} MB\n")
            assert (ended["state"], ended["committed"]) == ("completed", 2), ended
            rounds = (await all_.buyer.get(f"/v1/runs/{run}/rounds")).json()["rounds"]
            assert [row["accepted"] for row in rounds] == [SITES, SITES], rounds
            digest: str = ended["params_digest"]
            return digest
        finally:
            await processes.stop()


@pytest.mark.timeout(900)
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.parametrize("masking", STEPS)
async def test_a_site_killed_at_each_durable_step_changes_no_bit(tmp_path: Path, masking: str) -> None:
    """Each step kills another site; every round still has all of them."""
    victims = {f"site-{at}": step for at, step in enumerate(STEPS[masking])}
    assert await ran(tmp_path / "killed", masking, victims) == await ran(tmp_path / "calm", masking, {})


@pytest.mark.timeout(600)
@pytest.mark.chaos
@pytest.mark.slow
async def test_processes_evaluate_together_and_one_that_dies_with_its_masks_set_up_is_left_out(tmp_path: Path) -> None:
    """It dies over its fourth vector: the second evaluation's. What pairs it shared comes off, the rest adds up."""
    spec = a_spec(rounds=2, evaluation=EvaluationSpec(1, log_edges()))
    pace = PATIENT.model_copy(update={"mask_seconds": 20, "gather_seconds": 20, "personal_seconds": 30})
    async with together(tmp_path, pace) as all_:
        await all_.prepare(count=300, constraints={"secure-aggregation": True})
        processes = Processes(all_)
        try:
            for name in all_.people:
                await processes.start(name, "site.masked:4" if name == "site-2" else "")
            run = await all_.started(spec)
            assert await processes.died("site-2") == -signal.SIGKILL
            ended = await all_.ended(run)
            said = (await all_.buyer.get(f"/v1/runs/{run}/evaluation")).json()
        finally:
            await processes.stop()
    assert (ended["state"], ended["committed"]) == ("completed", 2), ended
    assert [(one["round"], one["state"], one["sites"]) for one in said["together"]] == [
        (1, "committed", SITES), (2, "committed", SITES - 1),
    ]  # fmt: skip
    for one in said["together"]:
        assert sum(one["histogram"]["model"]) == pytest.approx(1.0, abs=1e-4)
        assert 0.0 < one["model"]["median"]["low"] < one["model"]["p90"]["value"]
