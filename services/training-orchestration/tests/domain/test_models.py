"""Cards, ids, scores, and who is paid."""

import json
from dataclasses import replace
from typing import Any

import pytest
from didymos_did import Did, GrantId, TwinId
from didymos_provenance import thread_of
from didymos_testing.did import NOON, RESEARCH, a_grant_id, a_signer
from didymos_testing.training import BUYER, PROVIDER, a_spec
from didymos_training_orchestration.domain.contribution import SubjectReport, capped, contributions
from didymos_training_orchestration.domain.model import (
    global_card,
    mean_metrics,
    model_id,
    personal_card,
    power_below,
    task_name,
)
from didymos_training_orchestration.domain.run import Run, RunId, Terms

TWIN = TwinId(a_signer("twin").did)


def a_run(**changes: Any) -> Run:
    terms = Terms("urn:agreement", BUYER.did, PROVIDER.did, RESEARCH)
    return replace(Run(RunId("run"), terms, a_spec(), "sites", NOON, params=b"p" * 32, committed=3), **changes)


def a_report(**changes: Any) -> SubjectReport:
    said: dict[str, Any] = {
        "twin": TWIN, "site": a_signer("site").did, "accepted": True, "reason": "", "candidate": "fine-tune 1",
        "bound": 0.1, "gate_windows": 100, "test_windows": 80, "rmse_last_value": 15.0, "rmse_own": 14.0,
        "rmse_global": 13.0, "rmse_personal": 12.0, "score": 1.0, "interval_low": -20.0, "interval_high": 20.0,
        "model": b"m" * 32,
    }  # fmt: skip
    return SubjectReport(**{**said, **changes})


def test_a_card_says_that_there_is_no_differential_privacy() -> None:
    for card in (
        global_card(a_run(), {}, 19, 8, NOON),
        personal_card(a_run(), a_report(), model_id(b"parent"), NOON),
    ):
        said = json.loads(card)
        assert said["privacy"]["differential_privacy"] == "no differential privacy"
        assert "self-reported" in said["limits"][0]


def test_a_card_of_a_clear_run_says_what_the_coordinator_saw() -> None:
    said = json.loads(global_card(a_run(spec=a_spec(masking="none")), {}, 19, 8, NOON))
    assert said["privacy"]["masking"].startswith("none")


def test_counts_of_people_are_powers_of_two() -> None:
    assert [power_below(count) for count in (0, 1, 2, 3, 19, 64)] == [0, 1, 2, 2, 16, 64]
    assert json.loads(global_card(a_run(), {}, 19, 8, NOON))["cohort"] == {"at_least": 16, "sites": 8}


def test_the_id_of_a_model_follows_from_its_card() -> None:
    card = global_card(a_run(), {}, 19, 8, NOON)
    assert model_id(card) == model_id(card) != model_id(card + b" ")
    assert len(model_id(card)) == 28


def test_a_shared_model_is_keyed_by_its_task() -> None:
    assert task_name(a_run()) == "forecast:features/glucose/level:1800s"


def test_means_count_every_subject_once() -> None:
    means = mean_metrics([a_report(rmse_global=10.0), a_report(rmse_global=20.0, accepted=False)])
    assert (means["rmse_global"], means["accepted"]) == (15.0, 1)
    assert mean_metrics([]) == {}


def test_no_score_counts_more_than_three_times_the_median() -> None:
    assert capped([1.0, 1.0, 1.0, 100.0]) == (1.0, 1.0, 1.0, 3.0)
    assert capped([-1.0, 0.0]) == (-1.0, 0.0)
    assert capped([float("nan"), 2.0, float("inf")]) == (0.0, 2.0, 0.0)


@pytest.mark.parametrize("rounds", [{}, {TWIN: 0}])
def test_who_took_part_in_no_committed_round_is_not_heard(rounds: dict[TwinId, int]) -> None:
    assert contributions([a_report()], {TWIN: a_grant_id()}, rounds) == ()


def test_a_contribution_names_the_grant_by_its_thread() -> None:
    (one,) = contributions([a_report()], {TWIN: a_grant_id()}, {TWIN: 3})
    assert (one.thread, one.twin, one.score, one.rounds) == (thread_of(a_grant_id()), TWIN, 1.0, 3)


def test_contributions_are_ordered_by_thread() -> None:
    names = [TwinId(Did(f"did:key:z{number}")) for number in range(5)]
    grants = {twin: GrantId(f"urn:uuid:{number}") for number, twin in enumerate(names)}
    made = contributions([a_report(twin=twin) for twin in names], grants, dict.fromkeys(names, 1))
    assert [one.thread for one in made] == sorted(one.thread for one in made)
