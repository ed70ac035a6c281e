"""Sites that go away, lie or come late: what is summed is right, or nothing is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos_learning import flat_bytes, flat_view
from didymos_testing.site_double import SiteDouble
from didymos_testing.training import People, a_spec
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.settings import PaceSettings

EIGHT = 8
LOST = PaceSettings(
    first_training_seconds=60, gather_seconds=30, setup_seconds=3, mask_seconds=3, confirm_seconds=3, unmask_seconds=3,
    personal_seconds=3,
)  # fmt: skip


async def parameters(coordinator: Any, digest: str, spec: Any) -> Any:
    raw = await FileObjects(coordinator.world.house.files).get(bytes.fromhex(digest))
    return flat_view(raw or b"", spec.model.layout.size)


def mean_of(sites: list[SiteDouble], before: Any, number: int) -> Any:
    """What FedAvg gives of these sites in clear."""
    total = np.sum([site.total(number, flat_bytes(before), site.twins) for site in sites], axis=0)
    return before + (total / sum(site.weight * len(site.twins) for site in sites)).astype(np.float32)


@pytest.mark.parametrize("step", ["masked", "confirm", "answers"])
async def test_a_quarter_of_the_sites_lost_after_sharing_still_sums_right(
    step: str, tmp_path: Path, run_of: Callable[..., Any]
) -> None:
    people = People.at(EIGHT, 2)
    spec = a_spec(rounds=1)
    sites = people.doubles(spec)
    for site in sites[:2]:
        site.silent.add(step)
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
        before = await parameters(coordinator, round_["params_digest"], spec)
        after = await parameters(coordinator, round_["result_digest"], spec)
    assert (ended["state"], round_["state"]) == ("completed", "committed"), round_
    summed = sites[2:] if step == "masked" else sites  # whose vector is there counts, answer or not
    assert round_["accepted"] == len(summed)
    np.testing.assert_allclose(after, mean_of(summed, before, 1), atol=2e-5)


async def test_a_masked_round_gives_what_the_clear_one_gives(tmp_path: Path, run_of: Callable[..., Any]) -> None:
    results = []
    for masking in ("none", "pairwise"):
        people = People.at(5, 2)
        spec = a_spec(rounds=1, masking=masking)
        async with run_of(tmp_path / masking, spec, people.doubles(spec), people) as (coordinator, run):
            assert (await coordinator.start(run)).status_code == 200
            await coordinator.ended(run)
            (round_,) = await coordinator.rounds(run)
            results.append(await parameters(coordinator, round_["result_digest"], spec))
    np.testing.assert_allclose(results[0], results[1], atol=2e-5)


@pytest.mark.slow
async def test_too_many_lost_before_masking_is_another_attempt_then_a_pause(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec()
    sites = people.doubles(spec)
    for site in sites[:2]:
        site.silent.add("boxes")
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert (ended["state"], ended["reason"]) == ("paused", "quorum")
    assert (round_["state"], round_["attempt"], round_["charged"]) == ("aborted", 3, False)
    assert round_["reason"] == "privacy.neighbours_too_few"


async def test_too_many_lost_after_masking_ends_the_round_and_charges_nothing(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec()
    sites = people.doubles(spec)
    for site in sites[:2]:
        site.silent.add("masked 1")
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
    assert [(each["state"], each["attempt"], each["charged"]) for each in rounds] == [
        ("aborted", 1, False), ("committed", 1, True), ("committed", 1, True),
    ]  # fmt: skip
    assert rounds[1]["params_digest"] == rounds[0]["params_digest"]  # the next round begins from the same parameters
    assert (ended["state"], ended["committed"]) == ("completed", 2)


def short(raw: bytes) -> bytes:
    return raw[:-4]


def not_a_number(raw: bytes) -> bytes:
    return np.frombuffer(raw, "<f4").copy().tobytes()[:-4] + np.float32("nan").tobytes()


def huge(raw: bytes) -> bytes:
    return (np.frombuffer(raw, "<f4") * 1000).astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (short, "training.layout_mismatched"),
        (not_a_number, "training.update_not_finite"),
        (huge, "training.norm_exceeded"),
    ],
)
async def test_a_clear_update_that_may_not_be_added_loses_its_site(
    spoil: Callable[[bytes], bytes], code: str, tmp_path: Path, run_of: Callable[..., Any]
) -> None:
    people = People.at(5, 3)
    spec = a_spec(rounds=1, masking="none")
    sites = people.doubles(spec)
    sites[0].spoil = spoil
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert round_["accepted"] == 4
    assert {"member": sites[0].did, "attempt": 1, "outcome": code} in round_["members"]


async def test_a_masked_vector_of_another_length_is_not_summed(tmp_path: Path, run_of: Callable[..., Any]) -> None:
    people = People.at(5, 3)
    spec = a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[0].spoil = short
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert (round_["state"], round_["accepted"]) == ("committed", 4)
