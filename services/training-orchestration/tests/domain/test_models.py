"""Cards, ids, scores, and who is paid."""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from didymos_did import Did, GrantId, TwinId, jcs
from didymos_provenance import thread_of
from didymos_testing.did import NOON, RESEARCH, a_grant_id, a_signer
from didymos_testing.training import BUYER, PROVIDER, a_spec
from didymos_training_orchestration.domain.cohort import Cohort, Member
from didymos_training_orchestration.domain.contribution import SubjectReport, capped, contributions
from didymos_training_orchestration.domain.figures import commitment
from didymos_training_orchestration.domain.judgement import MOST, stretches
from didymos_training_orchestration.domain.model import (
    global_card,
    mean_metrics,
    model_id,
    personal_card,
    power_below,
    task_name,
)
from didymos_training_orchestration.domain.round import Round, RoundState
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


def a_cohort(people: int = 19, sites: int = 8) -> Cohort:
    sizes = [people // sites + (at < people % sites) for at in range(sites)]
    return Cohort(tuple(Member(Did(f"did:key:z{at}"), (), size) for at, size in enumerate(sizes)))


def a_round(number: int = 1, **changes: Any) -> Round:
    known = Round(RunId("run"), number, a_cohort(), b"x" * 32, state=RoundState.COMMITTED, result=b"y" * 32)
    return replace(known, **changes)


def a_card(run: Run | None = None, reports: Sequence[SubjectReport] = (), rounds: Sequence[Round] = ()) -> bytes:
    return global_card(run or a_run(), reports, a_cohort(), rounds, NOON)


def test_a_card_says_that_there_is_no_differential_privacy() -> None:
    for card in (
        a_card(),
        personal_card(a_run(), a_report(), model_id(b"parent"), NOON),
    ):
        said = json.loads(card)
        assert said["privacy"]["differential_privacy"] == "no differential privacy"
        assert "self-reported" in said["limits"][0]


def test_a_card_of_a_clear_run_says_what_the_coordinator_saw() -> None:
    said = json.loads(a_card(a_run(spec=a_spec(masking="none"))))
    assert said["privacy"]["masking"].startswith("none")


def test_counts_of_people_are_powers_of_two() -> None:
    assert [power_below(count) for count in (0, 1, 2, 3, 19, 64)] == [0, 1, 2, 2, 16, 64]
    assert json.loads(a_card())["cohort"] == {"at_least": 16, "sites": 8}


def test_the_id_of_a_model_follows_from_its_card() -> None:
    card = a_card()
    assert model_id(card) == model_id(card) != model_id(card + b" ")
    assert len(model_id(card)) == 28


def test_a_shared_model_is_keyed_by_its_task() -> None:
    assert task_name(a_run()) == "forecast:features/glucose/level:1800s"


def test_a_card_tells_errors_with_intervals_and_tenths_by_gate_data() -> None:
    reports = [a_report(rmse_global=10.0 + at, rmse_personal=9.5 + at, rmse_gate=50.0 - at) for at in range(20)]
    said = json.loads(a_card(reports=reports, rounds=[a_round()]))
    mean, low, high = said["metrics"]["intervals"]["global_minus_personal"]
    assert (mean, low, high) == (0.5, 0.5, 0.5)
    assert said["deciles"]["ordered_by"].endswith("gate data")
    assert [row["global"] for row in said["deciles"]["rows"]][::9] == [28.5, 10.5]  # the first had the best gate error
    assert said["deciles"]["gap"] == {"global": 18.0, "personal": 18.0}
    assert said["lineage"]["initial"] == (b"x" * 32).hex()


def test_of_few_subjects_a_card_tells_no_tenths_and_says_why() -> None:
    said = json.loads(a_card(reports=[a_report()] * 4))
    assert (said["deciles"]["rows"], said["metrics"]["intervals"]) == ([], {})
    assert "one person" in said["deciles"]["reason"]


def test_the_commitment_follows_from_what_rounds_show_and_changes_with_any_of_it() -> None:
    rounds = [a_round(1), a_round(2), a_round(3, state=RoundState.ABORTED)]
    lines = [[one.number, one.cohort.digest.hex(), "", one.result.hex()] for one in rounds[:2]]
    assert commitment(rounds) == {"rounds": 2, "root": sha256(jcs(lines)).hexdigest()}
    other = [a_round(1), a_round(2, cohort=a_cohort(18))]
    assert commitment(other)["root"] != commitment(rounds)["root"]


def test_checkpoints_to_judge_are_the_start_and_one_of_each_stretch_the_last_among_them() -> None:
    assert stretches([]) == []
    assert [[number for number, _ in one] for one in stretches([a_round(1), a_round(2)])] == [[0], [1], [2]]
    many = stretches([a_round(at) for at in range(1, 1001)])
    assert len(many) == MOST + 1
    assert [number for number, _ in many[-1]] == list(range(1000, 960, -1))


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
