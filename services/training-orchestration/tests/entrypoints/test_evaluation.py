"""Members evaluate together over a whole run: what is told, what is booked, and what may be missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos_did import Budget
from didymos_learning import CohortSpec, EvaluationSpec, flat_bytes, log_edges
from didymos_learning.error_histogram import spreads
from didymos_testing.site_double import SiteDouble
from didymos_testing.training import People, a_spec
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.bootstrap import NAME
from didymos_training_orchestration.settings import PaceSettings

EDGES = log_edges(bins=20)
LOST = PaceSettings(
    first_training_seconds=60, gather_seconds=2, setup_seconds=3, mask_seconds=3, confirm_seconds=3, unmask_seconds=3,
    personal_seconds=3,
)  # fmt: skip


def asked(rounds: int = 2, every: int = 2, **changes: Any) -> Any:
    return a_spec(rounds=rounds, evaluation=EvaluationSpec(every, EDGES), **changes)


async def ran(coordinator: Any, run: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """The run as it ended, its rounds, its evaluation."""
    assert (await coordinator.start(run)).status_code == 200
    ended = await coordinator.ended(run)
    said = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()
    return ended, await coordinator.rounds(run), said


async def plain(coordinator: Any, sites: list[SiteDouble], round_: dict[str, Any]) -> Any:
    """The sum of the histograms of these sites, in clear, of what the round gave."""
    params = await FileObjects(coordinator.world.house.files).get(bytes.fromhex(round_["result_digest"]))
    return np.sum([site.histogram(round_["round"], params or b"", site.twins) for site in sites], axis=0)


async def test_errors_are_told_together_after_every_so_many_rounds_and_the_last(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = asked(rounds=2, every=2)
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        ended, rounds, said = await ran(coordinator, run)
        assert (ended["state"], ended["committed"]) == ("completed", 2), ended
        assert [each["round"] for each in said["together"]] == [2]
        assert [each["evaluation"] is None for each in rounds] == [True, False]
        for told, round_ in zip(said["together"], rounds[1:], strict=True):
            model, naive = spreads(await plain(coordinator, sites, round_), 10, EDGES)
            assert (told["state"], told["sites"], told["subjects_at_least"]) == ("committed", 5, 8)
            assert told["model"]["median"]["value"] == pytest.approx(model.median.value, rel=1e-3)
            assert told["naive"]["p90"]["value"] == pytest.approx(naive.p90.value, rel=1e-3)
            assert told["model"]["median"]["low"] <= told["model"]["median"]["value"] <= told["model"]["median"]["high"]
            assert told["histogram"]["model"] == pytest.approx(list(model.shares), abs=1e-4)
            assert told["histogram"]["edges"] == list(EDGES)
            assert round_["evaluation"]["model"] == told["model"]
        clear = [flat_bytes(site.histogram(2, b"", site.twins).astype(np.float32)) for site in sites]
        sent = [data for site in sites for data in site.sent if len(data) == len(clear[0]) + 4]
        assert sent
        assert not set(clear) & {data[:-4] for data in sent}
        await _booked_apart(coordinator, people, run, rounds=2, evaluations=1)


async def _booked_apart(coordinator: Any, people: People, run: str, rounds: int, evaluations: int) -> None:
    """Each evaluation cost each grant a round, under a name of its own; pay counts rounds of training only."""
    twin = next(iter(people.owners))
    grant = people.grant(coordinator.world, twin).id
    async with coordinator.world.rest(people.owners[twin], NAME) as owner:
        report = (await owner.get(f"/v1/twins/{twin}/erasure-report")).json()
    uses = report["runs"][0]["rounds"]
    assert len(report["runs"]) == 1
    assert [use["outcome"] for use in uses] == ["used"] * (rounds + evaluations)
    assert [use["kind"] for use in uses] == ["training", "training", "evaluation"]
    assert [use["event"] is None for use in uses] == [False, False, True]
    assert report["budget"] == [
        {
            "grant": grant, "rounds_spent": rounds + evaluations, "rounds_reserved": 0,
            "bundle": {"kind": "grant", "id": grant},
        }
    ]  # fmt: skip
    assert run == report["runs"][0]["run"]


@pytest.mark.parametrize("step", ["evaluation masked", pytest.param("evaluation confirm", marks=pytest.mark.slow)])
async def test_a_site_lost_after_masks_were_set_up_leaves_the_sum_right(
    step: str, tmp_path: Path, run_of: Callable[..., Any]
) -> None:
    people = People.at(6, 3)
    spec = asked(rounds=1, every=1)
    sites = people.doubles(spec)
    sites[0].silent.add(step)
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        ended, (round_,), said = await ran(coordinator, run)
        there = sites[1:] if step == "evaluation masked" else sites  # whose vector is there counts, answer or not
        model, _ = spreads(await plain(coordinator, there, round_), 3 * len(there), EDGES)
    assert (ended["state"], round_["state"]) == ("completed", "committed")
    (told,) = said["together"]
    assert (told["state"], told["sites"]) == ("committed", len(there))
    assert told["histogram"]["model"] == pytest.approx(list(model.shares), abs=1e-4)


@pytest.mark.slow
async def test_an_evaluation_that_fails_is_told_with_its_reason_and_stops_no_run(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = asked(rounds=1, every=1)
    sites = people.doubles(spec)
    for site in sites[:2]:
        site.silent.add("evaluation masked")
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        ended, rounds, said = await ran(coordinator, run)
    assert (ended["state"], ended["committed"]) == ("completed", 1)
    assert [(each["state"], each["charged"]) for each in said["together"]] == [("aborted", False)]
    assert all(each["reason"] for each in said["together"])
    assert [each["evaluation"]["state"] for each in rounds] == ["aborted"]


def short(raw: bytes) -> bytes:
    return raw[:-4]


def noise(raw: bytes) -> bytes:
    return np.frombuffer(raw, "<u4").copy().tobytes()[::-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "state", "reason"),
    [(short, "committed", ""), (noise, "aborted", "norm_exceeded")],
)
async def test_a_vector_of_another_length_is_not_added_and_a_sum_of_noise_is_not_told(
    spoil: Callable[[bytes], bytes], state: str, reason: str, tmp_path: Path, run_of: Callable[..., Any]
) -> None:
    people = People.at(6, 3)
    spec = asked(rounds=1, every=1)
    sites = people.doubles(spec)
    size = 4 * (2 * (len(EDGES) + 1) + 1)
    sites[0].spoil = lambda raw: spoil(raw) if len(raw) == size else raw
    async with run_of(tmp_path, spec, sites, people, pace=LOST) as (coordinator, run):
        ended, _, said = await ran(coordinator, run)
    (told,) = said["together"]
    assert ended["state"] == "completed"
    assert (told["state"], told["reason"]) == (state, f"training.{reason}" if reason else "")
    assert told["charged"]
    assert "model" not in told or told["sites"] == 5


async def test_a_grant_without_room_for_it_ends_no_run(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = asked(rounds=1, every=1)
    one_more = {"budget": Budget(rounds=1, exact_rounds=1)}
    async with run_of(tmp_path, spec, people.doubles(spec), people, pace=LOST, **one_more) as (coordinator, run):
        ended, _, said = await ran(coordinator, run)
    assert (ended["state"], ended["committed"]) == ("completed", 1)
    assert [(each["state"], each["reason"]) for each in said["together"]] == [("aborted", "training.cohort_too_small")]


@pytest.mark.parametrize(
    ("changes", "said", "pointer"),
    [
        ({"masking": "none"}, {}, "/spec/evaluation"),
        ({"masking": "none"}, {"clients": "simulated"}, "/spec/evaluation"),
        ({"cohort": CohortSpec(5, 4, 9, 100.0)}, {}, "/spec/cohort/subjects"),
    ],
)
async def test_errors_are_told_under_masks_and_of_ten_or_not_at_all(
    changes: dict[str, Any], said: dict[str, Any], pointer: str, tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    import json

    from didymos_testing.training import AGREEMENT

    spec = asked(**changes)
    body = {"agreement": AGREEMENT, "spec": json.loads(spec.to_json()), **said}
    async with coordinator_in(tmp_path) as coordinator:
        refused = await coordinator.buyer.post("/v1/runs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "training.spec_malformed")
    assert pointer in refused.text


async def test_a_cancelled_run_frees_what_an_evaluation_reserved(
    tmp_path: Path, people: People, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    spec = asked(rounds=2, every=1)
    sites = people.doubles(spec)
    sites[0].silent.add("evaluation advert")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[1], "evaluate 1.1")
        cancelled = await coordinator.buyer.post(f"/v1/runs/{run}/cancel")
        assert cancelled.status_code == 200, cancelled.text
        said = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()["together"]
        twin = next(iter(people.owners))
        async with coordinator.world.rest(people.owners[twin], NAME) as owner:
            report = (await owner.get(f"/v1/twins/{twin}/erasure-report")).json()
    assert [(each["state"], each["reason"]) for each in said] == [("aborted", "cancelled")]
    assert report["budget"][0]["rounds_reserved"] == 0
    assert report["budget"][0]["rounds_spent"] == 1


@pytest.mark.parametrize(
    "killed",
    [("masked", "setup 1.1", 6), pytest.param(("answers", "unmask 1.1", 2), marks=pytest.mark.slow)],
)
async def test_an_evaluation_goes_on_after_the_coordinator_died(
    killed: tuple[str, str, int], tmp_path: Path, people: People, run_of: Callable[..., Any],
    coordinator_in: Callable[..., Any], attend: Callable[..., Any], told: Callable[..., Any],
) -> None:  # fmt: skip
    """The round before it had orders of the same names: these are the second of each."""
    step, order, times = killed
    spec = asked(rounds=1, every=1)
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        sites[0].silent.add(f"evaluation {step}")
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[0], order, times)
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path) as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
        (said,) = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()["together"]
        model, _ = spreads(await plain(coordinator, sites, round_), 10, EDGES)
    assert (ended["state"], ended["committed"]) == ("completed", 1)
    assert (said["state"], said["sites"], said["charged"]) == ("committed", 5, True)
    assert said["histogram"]["model"] == pytest.approx(list(model.shares), abs=1e-4)
