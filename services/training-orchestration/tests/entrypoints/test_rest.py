"""REST of runs: who may ask, what is refused, and what stays as it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from didymos_did import jcs
from didymos_learning import CohortSpec, StrategySpec
from didymos_testing.did import RESEARCH, STRANGER
from didymos_testing.training import AGREEMENT, BUYER, People, a_spec, an_agreement
from didymos_training_orchestration.bootstrap import NAME

NOBODY = "01930000-0000-7000-8000-000000000000"


def body(spec: Any = None, **said: Any) -> dict[str, Any]:
    return {"agreement": AGREEMENT, "spec": json.loads((spec or a_spec()).to_json()), **said}


def with_spec(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    made = body()
    change(made["spec"])
    return made


BAD = {
    "training.architecture_unknown": [
        with_spec(lambda spec: spec["model"].update(arch="perceptron")),
        with_spec(lambda spec: spec["model"]["args"].update(heads=3)),
    ],
    "training.strategy_unknown": [
        body(a_spec(strategy=StrategySpec("alchemy", {}))),
        body(a_spec(strategy=StrategySpec("fedavg", {"gold": 1.0}))),
    ],
    "training.strategy_needs_individual": [body(a_spec(strategy=StrategySpec("median", {})))],
    "training.layout_mismatched": [with_spec(lambda spec: spec["model"]["layout"].update(size=97))],
    "training.spec_malformed": [
        with_spec(lambda spec: spec.update(rounds=0)),
        with_spec(lambda spec: spec.update(more=1)),
        with_spec(lambda spec: spec.pop("seed")),
        body(a_spec(local=replace(a_spec().local, clip=None))),
        body(a_spec(cohort=CohortSpec(4, 4, 10, 1.0))),
        body(a_spec(cohort=CohortSpec(5, 3, 10, 1.0))),
        body(clients="simulated"),
        body(a_spec(engine="stacked")),
    ],
    "platform.unknown_field": [body(more=1)],
    "platform.invalid_field": [{"agreement": AGREEMENT}, body(clients="phones")],
}


async def test_what_cannot_run_is_refused_and_nothing_is_stored(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        for code, bodies in BAD.items():
            for bad in bodies:
                answer = await coordinator.buyer.post("/v1/runs", json=bad)
                assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        answer = await coordinator.buyer.post("/v1/runs", content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "platform.malformed")
        assert (await coordinator.buyer.get("/v1/runs")).json() == {"runs": [], "next": None}


async def test_a_run_needs_its_buyers_final_agreement(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    other = jcs({"purpose": str(RESEARCH), "didymos:spec": "05" * 32})
    few = jcs({"purpose": str(RESEARCH), "didymos:settlement": {"rounds": 2}})
    cases = [
        (None, 404, "platform.not_found"),
        (an_agreement(state=5), 409, "training.agreement_not_final"),
        (an_agreement(buyer=STRANGER.did), 404, "platform.not_found"),
        (an_agreement(terms=other), 409, "training.agreement_mismatched"),
        (an_agreement(terms=few), 409, "training.agreement_mismatched"),
        (an_agreement(terms=b"{"), 409, "training.agreement_mismatched"),
    ]
    async with coordinator_in(tmp_path) as coordinator:
        for agreement, status, code in cases:
            coordinator.market.agreements = {} if agreement is None else {AGREEMENT: agreement}
            answer = await coordinator.buyer.post("/v1/runs", json=body())
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_an_agreement_has_one_run_until_that_is_cancelled(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        run = await coordinator.make(a_spec())
        second = await coordinator.buyer.post("/v1/runs", json=body())
        assert (second.status_code, second.json()["code"]) == (409, "training.run_state")
        assert (await coordinator.buyer.post(f"/v1/runs/{run}/cancel")).json()["state"] == "cancelled"
        for move in ("start", "pause", "resume", "cancel"):
            answer = await coordinator.buyer.post(f"/v1/runs/{run}/{move}")
            assert (answer.status_code, answer.json()["code"]) == (409, "training.run_state"), move
        assert await coordinator.make(a_spec()) != run


async def test_a_repeated_request_makes_one_run(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        key = {"idempotency-key": "once"}
        first = await coordinator.buyer.post("/v1/runs", json=body(), headers=key)
        again = await coordinator.buyer.post("/v1/runs", json=body(), headers=key)
        other = await coordinator.buyer.post("/v1/runs", json=body(a_spec(rounds=2)), headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert other.json()["code"] == "platform.idempotency_mismatch"


async def test_without_a_cohort_a_run_stays_a_draft(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        run = await coordinator.make(a_spec())
        answer = await coordinator.start(run)
        assert (answer.status_code, answer.json()["code"]) == (409, "training.cohort_too_small")
        assert (await coordinator.buyer.get(f"/v1/runs/{run}")).json()["state"] == "draft"


@pytest.mark.parametrize("name", ["stranger", "nobody"])
async def test_a_stranger_cannot_tell_a_run_from_no_run(
    name: str, tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator, coordinator.world.rest(STRANGER, NAME) as stranger:
        run = await coordinator.make(a_spec())
        client, asked = (stranger, run) if name == "stranger" else (coordinator.buyer, NOBODY)
        answers = [await client.get(f"/v1/runs/{asked}{part}") for part in ("", "/rounds", "/evaluation", "/events")]
        answers += [await client.post(f"/v1/runs/{asked}/{move}") for move in ("start", "pause", "resume", "cancel")]
        answers += [await client.get("/v1/models", params={"run": asked})]
        answers += [await client.get(f"/v1/models/m-x{part}") for part in ("", "/lineage", "/card")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "platform.not_found")}
        assert (await stranger.get("/v1/runs")).json()["runs"] == []


async def test_without_a_token_nothing_is_told(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    async with coordinator_in(tmp_path) as coordinator, coordinator.world.rest(None, NAME) as nobody:
        paths = ("/v1/runs", "/v1/runs/x", "/v1/sites", "/v1/strategies", "/v1/models?run=x", "/v1/models/m/card")
        assert {(await nobody.get(path)).status_code for path in paths} == {401}
        assert (await nobody.post("/v1/runs", json=body())).status_code == 401


async def test_runs_are_listed_newest_first_in_pages(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        made = []
        for number in range(3):
            name = f"urn:agreement:{number}"
            coordinator.market.agreements[name] = an_agreement(id=name)
            made.append(await coordinator.make(a_spec(), agreement=name))
        first = (await coordinator.buyer.get("/v1/runs", params={"limit": 2})).json()
        rest = (await coordinator.buyer.get("/v1/runs", params={"limit": 2, "cursor": first["next"]})).json()
        assert [run["run"] for run in first["runs"] + rest["runs"]] == made[::-1]
        assert rest["next"] is None
        assert (await coordinator.buyer.get("/v1/runs", params={"cursor": "x"})).status_code == 400


async def test_the_strategies_say_what_they_need(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        said = {
            one["name"]: one["needs"] for one in (await coordinator.buyer.get("/v1/strategies")).json()["strategies"]
        }
    assert (said["fedavg"], said["median"]) == ("sum", "individual")


async def test_a_run_that_is_cancelled_in_a_round_frees_what_it_reserved(
    tmp_path: Path, people: People, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    spec = a_spec()
    sites = people.doubles(spec)
    sites[0].silent.add("confirm 1")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[1], "confirm 1.1")
        assert (await coordinator.buyer.post(f"/v1/runs/{run}/cancel")).json()["state"] == "cancelled"
        await told(sites[1], "close 1.1")
        (round_,) = await coordinator.rounds(run)
        again = await coordinator.make(spec)  # nothing is left that would stand in the way
        assert (await coordinator.start(again)).status_code == 200
    assert (round_["state"], round_["reason"], round_["charged"]) == ("aborted", "cancelled", False)
    assert sites[1].closed[0] == (1, "aborted")


async def test_a_paused_run_goes_on_with_the_round_it_was_in(
    tmp_path: Path, people: People, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    spec = a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[0].silent.add("confirm 1")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[1], "confirm 1.1")
        paused = (await coordinator.buyer.post(f"/v1/runs/{run}/pause")).json()
        assert (paused["state"], paused["reason"]) == ("paused", "owner")
        sites[0].silent.clear()
        sites[0].forget_answers()
        sites[0].again.set()
        assert (await coordinator.buyer.post(f"/v1/runs/{run}/resume")).json()["state"] == "running"
        ended = await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert (ended["state"], round_["state"], round_["attempt"]) == ("completed", "committed", 1)


async def test_every_change_of_a_run_is_told_live_until_its_end(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec(rounds=1)
    async with run_of(tmp_path, spec, people.doubles(spec), people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        async with coordinator.buyer.stream("GET", f"/v1/runs/{run}/events") as stream:
            lines = [line async for line in stream.aiter_lines() if line.startswith("data: ")]
    states = [json.loads(line.removeprefix("data: ")).get("state") for line in lines]
    assert states[-2:] == ["completed", None]  # then the stream says that it is complete
    assert BUYER.did in lines[0]
