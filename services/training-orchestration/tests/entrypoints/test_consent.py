"""Who may be trained on: asked at the opening, at each stage, and never after the shares were asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from didymos_did import Budget, TwinId
from didymos_testing.training import People, a_spec


async def revoke(coordinator: Any, people: People, twin: TwinId) -> None:
    world = coordinator.world
    await world.house.wait(await world.identity.revoke(people.grant(world, twin)))


async def test_a_subject_whose_grant_was_revoked_is_not_in_the_next_round(
    tmp_path: Path, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    people, spec = People.at(5, 3), a_spec(rounds=2)
    sites = people.doubles(spec)
    sites[4].silent.add("advert 2")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await coordinator.until(run, lambda shown: shown["round"] == 1)
        await told(sites[4], "open 2.1")
        await revoke(coordinator, people, sites[0].twins[0])
        sites[4].silent.clear()
        sites[4].forget_answers()
        sites[4].again.set()
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
        evaluation = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()
    assert ended["state"] == "completed", ended
    assert rounds[1]["attempt"] == 2  # the first attempt had the subject: it ended before any vector was masked
    assert ("open 2.2", rounds[1]["state"]) == (sites[0].seen[sites[0].seen.index("open 2.2")], "committed")
    assert sites[0].twins[0] not in {line["twin"] for line in evaluation["subjects"]}


async def test_a_grant_revoked_after_the_vectors_are_in_aborts_the_round(
    tmp_path: Path, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    people, spec = People.at(5, 3), a_spec(rounds=2)
    sites = people.doubles(spec)
    sites[4].silent.add("confirm 1")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[4], "confirm 1.1")
        await revoke(coordinator, people, sites[0].twins[0])
        sites[4].silent.clear()
        sites[4].forget_answers()
        sites[4].again.set()
        await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
    assert (rounds[0]["state"], rounds[0]["reason"], rounds[0]["charged"]) == ("aborted", "consent_revoked", False)
    assert rounds[1]["state"] == "committed"
    assert rounds[1]["params_digest"] == rounds[0]["params_digest"]


async def test_a_grant_revoked_after_shares_were_asked_for_is_the_last_use(
    tmp_path: Path, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    people, spec = People.at(5, 3), a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[4].silent.add("answers 1")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[4], "unmask 1.1")
        await revoke(coordinator, people, sites[0].twins[0])
        sites[4].silent.clear()
        sites[4].forget_answers()
        sites[4].again.set()
        await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert (round_["state"], round_["charged"]) == ("committed", True)


async def test_a_run_waits_when_the_grants_have_no_round_left(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec(rounds=3)
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people, budget=Budget(rounds=2, exact_rounds=2)) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
    assert (ended["state"], ended["reason"], ended["committed"]) == ("paused", "training.budget_exhausted", 2)


async def test_no_cohort_is_made_of_grants_for_something_else(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec(masking="none")
    async with run_of(tmp_path, spec, people.doubles(spec), people, constraints={"secure-aggregation": True}) as (
        coordinator,
        run,
    ):
        refused = await coordinator.start(run)
        shown = (await coordinator.buyer.get(f"/v1/runs/{run}")).json()
    assert (refused.status_code, refused.json()["code"]) == (409, "training.cohort_too_small")
    assert refused.json()["refused"] == ["constraint_failed"]
    assert shown["state"] == "draft"
