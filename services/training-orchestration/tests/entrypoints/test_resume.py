"""A coordinator that dies goes on where it stood, and the parameters are the same bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from didymos_testing.training import People, a_spec

HELD = ("advert", "agree", "boxes", "masked", "confirm", "answers")


calm: dict[str, str] = {}


async def undisturbed(folder: Path, people: People, run_of: Callable[..., Any], masking: str = "pairwise") -> str:
    """The parameters that a run with this masking ends with; such a run is made once."""
    if masking in calm:
        return calm[masking]
    spec = a_spec(masking=masking)
    async with run_of(folder, spec, people.doubles(spec), people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        assert ended["state"] == "completed", ended
        calm[masking] = ended["params_digest"]
    return calm[masking]


ORDERS = {
    "advert": ("open 2.1", 1), "agree": ("setup 2.1", 1), "boxes": ("setup 2.1", 2), "masked": ("setup 2.1", 3),
    "confirm": ("confirm 2.1", 1), "answers": ("unmask 2.1", 1),
}  # fmt: skip


@pytest.mark.parametrize("step", HELD)
async def test_a_masked_round_goes_on_after_the_coordinator_died(
    step: str, tmp_path: Path, people: People, run_of: Callable[..., Any], coordinator_in: Callable[..., Any],
    attend: Callable[..., Any], told: Callable[..., Any],
) -> None:  # fmt: skip
    expected = await undisturbed(tmp_path / "calm", people, run_of)
    spec = a_spec()
    sites = people.doubles(spec)
    async with run_of(tmp_path / "killed", spec, sites, people) as (coordinator, run):
        sites[0].silent.add(f"{step} 2")
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[0], *ORDERS[step])
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path / "killed") as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
    assert (ended["state"], ended["params_digest"]) == ("completed", expected), (ended, rounds)
    assert [(each["attempt"], each["state"]) for each in rounds] == [(1, "committed")] * 3


async def test_a_clear_round_goes_on_after_the_coordinator_died(
    tmp_path: Path, people: People, run_of: Callable[..., Any], coordinator_in: Callable[..., Any],
    attend: Callable[..., Any], told: Callable[..., Any],
) -> None:  # fmt: skip
    expected = await undisturbed(tmp_path / "calm", people, run_of, "none")
    spec = a_spec(masking="none")
    sites = people.doubles(spec)
    async with run_of(tmp_path / "killed", spec, sites, people) as (coordinator, run):
        sites[0].silent.add("clear 2")
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[0], "open 2.1")
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path / "killed") as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
    assert (ended["state"], ended["params_digest"]) == ("completed", expected), ended
