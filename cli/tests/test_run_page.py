"""The page of a run: errors of twins, deciles, who was used when; what a site says cannot become markup."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from didymos_cli.report.drawing import steps
from didymos_cli.report.run_page import Facts, render
from didymos_cli.report.run_pictures import members_picture
from didymos_cli.runs import table

RUN = {
    "run": "r-1", "committed": 2, "rounds": 2, "state": "completed", "reason": "", "masking": "pairwise",
    "params_digest": "ab" * 32, "spec_digest": "cd" * 32, "differential_privacy": "none", "agreement": "urn:a",
    "purpose": "research", "architecture": "lstm",
    "task": {"kind": "forecast", "property": "features/glucose/level", "unit": "mg/dL", "horizon_s": 1800},
}  # fmt: skip
LOSSES = {"source": "people who train nothing", "windows": 90, "naive": 1.0, "losses": [[0, 1.0], [1, 0.6], [2, 0.5]]}


def a_round(number: int, accepted: int) -> dict[str, Any]:
    members = [
        {"member": f"did:key:z{at}", "attempt": 1, "outcome": "delivered" if at < accepted else "deadline"}
        for at in range(6)
    ]
    return {"round": number, "expected": 6, "accepted": accepted, "members": members}


def a_subject(at: int) -> dict[str, Any]:
    return {
        "twin": f"did:key:twin{at}<b>", "site": f"did:key:site{at % 2}", "accepted": at % 2 == 0, "bound": 0.1,
        "windows": 300, "score": 0.1, "rmse_last_value": 14.0 + at, "rmse_own": 13.0 + at, "rmse_global": 12.0 + at,
        "rmse_personal": 11.9 + at, "rmse_gate": 12.0 + at, "input_shift": 0.02 * at, "reason": "<script>",
        "gain": [-0.1, 0.4],
    }  # fmt: skip


def page(subjects: int, losses: Any = LOSSES, groups: dict[str, str] | None = None) -> str:
    said = {"split": "by time", "subjects": [a_subject(at) for at in range(subjects)], "losses": losses}
    return render(
        Facts(RUN, [a_round(1, 6), a_round(2, 5)], said, [{"model": "m-1", "kind": "global"}], None, groups or {})
    )


def test_losses_gains_tenths_drift_and_members_are_told_and_nothing_is_loaded() -> None:
    said = page(20)
    assert "50 % below the naive answer" in said
    assert "The decile table" in said
    assert "shared - gated personal" in said
    assert "0.10 [0.10, 0.10]" in said
    assert "7 of 19 above 0.25" in said
    assert "<script" not in said
    assert "twin1<b>" not in said
    assert "http" not in said.replace("http://www.w3.org/2000/svg", "")


ESTIMATE = {"value": 0.42, "low": 0.4, "high": 0.45}
SPREAD = {
    "mean": {**ESTIMATE, "high": None},
    "median": ESTIMATE,
    "p90": {"value": 1.3, "low": 1.2, "high": 1.4},
    "over": 0.0,
}
EVALUATED = {
    "round": 2, "state": "committed", "reason": "", "charged": True, "sites": 6, "subjects_at_least": 8,
    "unit": "root mean square change", "model": SPREAD, "naive": {**SPREAD, "median": {**ESTIMATE, "value": 0.9}},
}  # fmt: skip
MISSED = {"round": 1, "state": "aborted", "reason": "training.cohort_too_small", "charged": False}


def test_what_all_sites_told_together_is_a_table_with_its_precision_and_with_what_is_missing() -> None:
    said = {"split": "by time", "subjects": [], "losses": None, "together": [MISSED, EVALUATED]}
    told = render(Facts(RUN, [a_round(1, 6), a_round(2, 5)], said, [], None, {}))
    assert "0.42 (0.4 to 0.45)" in told
    assert "above 0.4" in told
    assert "none: training.cohort_too_small" in told
    assert "told together" not in page(1)


def test_the_terminal_shows_the_median_where_rounds_were_evaluated() -> None:
    shown = {**RUN, "clients": "sites"}
    rounds = [
        {**a_round(number, 6), "attempt": 1, "state": "committed", "params_digest": "ab" * 32, "evaluation": said}
        for number, said in enumerate((None, MISSED, EVALUATED), start=1)
    ]
    made = table(shown, rounds)
    assert [str(column.header) for column in made.columns][-1] == "median error"
    assert list(made.columns[-1].cells) == ["", "training.cohort_too_small", "0.42 (last value 0.9)"]
    assert len(table(shown, rounds[:1]).columns) == 6


def test_every_picture_is_well_formed_and_has_a_title_for_those_who_hear_it() -> None:
    pictures = re.findall(r"<figure>(<svg.*?</svg>)", page(20), re.DOTALL)
    assert len(pictures) == 8
    for picture in pictures:
        assert ElementTree.fromstring(picture).get("aria-label")  # noqa: S314 - our own text


def test_fewer_than_twenty_twins_have_no_deciles_and_none_has_no_errors() -> None:
    assert "The decile table" not in page(19)
    assert "No site reported errors" in page(0)
    assert "Not judged yet" in page(0, None)


def test_gaps_are_told_between_groups_of_ten_and_of_no_fewer() -> None:
    groups = {f"did:key:twin{at}<b>": "old" if at < 10 else "young" for at in range(20)}
    said = page(20, groups=groups)
    assert "By declared group" in said
    assert "By site" in said
    assert "grows by <b>10.00 mg/dL</b>" in said
    few = page(20, groups=dict(list(groups.items())[:12]))
    assert "would point at persons" in few


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.004), (-0.3, 0.7), (80.0, 120.0), (0.0, 12_345.0)])
def test_rulers_have_round_numbers_inside_their_span(low: float, high: float) -> None:
    found = steps(low, high, 6)
    assert 2 <= len(found) <= 8
    assert low <= found[0] < found[-1] <= high


def test_more_rounds_than_columns_share_them() -> None:
    picture = members_picture([a_round(at, 6) for at in range(1, 1001)])
    assert picture.count('class="took"') <= 6 * 60
