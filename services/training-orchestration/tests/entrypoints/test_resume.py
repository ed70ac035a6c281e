"""A coordinator that dies goes on where it stood, and the parameters are the same bit for bit."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from didymos_testing.training import People, SiteDouble, a_spec

HELD = ("advert", "agree", "boxes", "masked", "confirm", "answers")


async def undisturbed(folder: Path, people: People, run_of: Callable[..., Any], masking: str = "pairwise") -> str:
    spec = a_spec(masking=masking)
    async with run_of(folder, spec, people.doubles(spec), people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        assert ended["state"] == "completed", ended
        params: str = ended["params_digest"]
        return params


async def held_at(step: str, sites: Sequence[SiteDouble]) -> None:
    """Until a site was told in round 2 to do what it keeps silent about."""
    order = {"advert": "open 2.1", "clear": "open 2.1", "agree": "setup 2.1", "confirm": "confirm 2.1",
             "answers": "unmask 2.1"}.get(step)  # fmt: skip
    count = {"boxes": 2, "masked": 3}.get(step, 1)
    async with asyncio.timeout(30):
        while sites[0].seen.count(order or "setup 2.1") < count:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("step", HELD)
async def test_a_masked_round_goes_on_after_the_coordinator_died(
    step: str, tmp_path: Path, people: People, run_of: Callable[..., Any], coordinator_in: Callable[..., Any],
    attend: Callable[..., Any],
) -> None:  # fmt: skip
    expected = await undisturbed(tmp_path / "calm", people, run_of)
    spec = a_spec()
    sites = people.doubles(spec)
    async with run_of(tmp_path / "killed", spec, sites, people) as (coordinator, run):
        sites[0].silent.add(f"{step} 2")
        assert (await coordinator.start(run)).status_code == 200
        await held_at(step, sites)
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path / "killed") as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
    assert (ended["state"], ended["params_digest"]) == ("completed", expected), (ended, rounds)
    assert [(each["attempt"], each["state"]) for each in rounds] == [(1, "committed")] * 3


async def test_a_clear_round_goes_on_after_the_coordinator_died(
    tmp_path: Path, people: People, run_of: Callable[..., Any], coordinator_in: Callable[..., Any],
    attend: Callable[..., Any],
) -> None:  # fmt: skip
    expected = await undisturbed(tmp_path / "calm", people, run_of, "none")
    spec = a_spec(masking="none")
    sites = people.doubles(spec)
    async with run_of(tmp_path / "killed", spec, sites, people) as (coordinator, run):
        sites[0].silent.add("clear 2")
        assert (await coordinator.start(run)).status_code == 200
        await held_at("clear", sites)
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path / "killed") as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
    assert (ended["state"], ended["params_digest"]) == ("completed", expected), ended
