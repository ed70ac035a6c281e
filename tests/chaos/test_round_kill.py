"""Kill -9 of the whole embedded house, and of a site, in mid-round: the parameters are the same, bit for bit."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from didymos_cli.client import http_client
from didymos_cli.demo.stage import Stage
from didymos_cli.demo.training import ENDED
from didymos_testing.chaos_house import DoomedHouse, a_doomed_house

from tests.chaos.masked_runs import PATIENT, ROUNDS, RUN_SECONDS, SEED, SITES, Scene, a_scene, six_sites_of_two

MOST_RUNS = 40  # what owners grant pays for


@asynccontextmanager
async def a_doomed_scene(folder: Path) -> AsyncIterator[tuple[DoomedHouse, Scene]]:
    cast = six_sites_of_two()
    (folder / "house").mkdir()
    (folder / "house" / "house.key").write_bytes(cast.house.root)
    async with a_doomed_house(folder / "house", PATIENT) as house, http_client() as http:
        stage = Stage(cast, folder, await house.start(), http, lambda _: None)
        async with a_scene(stage, MOST_RUNS, lambda: house.alive) as scene:
            yield house, scene


async def killed_in_mid_round(
    house: DoomedHouse, scene: Scene, run: str, draw: random.Random, seconds: float, most: int
) -> int:
    """How often the house died, at most `most` times, at random within `seconds` after the run went on.

    A kill counts when the run had begun a round and had not ended.
    """
    done = 0
    while done < most:
        await asyncio.sleep(draw.uniform(0.0, seconds))
        before = await scene.shown(run)
        if before["state"] in ENDED or before["committed"] == ROUNDS:
            break
        await house.kill()
        await house.start()
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
async def test_kills_in_mid_round_change_no_bit_of_the_parameters(tmp_path: Path, kills: int) -> None:
    draw = random.Random(SEED)
    async with a_doomed_scene(tmp_path) as (house, scene):
        run, begun = await scene.begun(), time.monotonic()
        calm = await scene.ended(run)
        assert (calm["state"], calm["committed"]) == ("completed", ROUNDS), calm
        round_seconds = (time.monotonic() - begun) / ROUNDS
        digests = [calm["params_digest"]]
        while house.kills < kills:
            run, left = await scene.begun(), kills - house.kills
            await killed_in_mid_round(house, scene, run, draw, round_seconds, left)
            digests.append(await scene.digest_of(run))
        run = await scene.begun()
        victim = draw.choice(scene.sites.folders)
        await asyncio.sleep(draw.uniform(0.0, round_seconds))
        await scene.sites.kill(victim)
        await scene.sites.start(victim)
        digests.append(await scene.digest_of(run))
    sys.stderr.write(f"\n{kills} kills of the house in mid-round over {len(digests) - 2} runs, and one of a site: ")
    sys.stderr.write(f"{len(set(digests))} outcome(s): {digests[0]}\n")
    assert set(digests) == {calm["params_digest"]}
