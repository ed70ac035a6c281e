"""The page of a run: errors of twins, deciles, who was used when; what a site says cannot become markup."""

from typing import Any

from didymos_cli.report.run_page import Facts, render

RUN = {
    "run": "r-1", "committed": 2, "rounds": 2, "state": "completed", "reason": "", "masking": "pairwise",
    "params_digest": "ab" * 32, "spec_digest": "cd" * 32, "differential_privacy": "none",
}  # fmt: skip


def a_round(number: int, accepted: int) -> dict[str, Any]:
    members = [{"member": f"did:key:z{at}", "attempt": 1, "outcome": "accepted"} for at in range(accepted)]
    return {"round": number, "expected": 6, "accepted": accepted, "members": members}


def a_subject(at: int) -> dict[str, Any]:
    return {
        "twin": f"did:key:twin{at}<b>", "site": "did:key:site", "accepted": at % 2 == 0, "reason": "<script>",
        "windows": 300, "score": 0.1, "rmse_last_value": 14.0 + at, "rmse_own": 13.0 + at, "rmse_global": 12.0 + at,
        "rmse_personal": 11.9 + at,
    }  # fmt: skip


def page(subjects: int) -> str:
    said = {"split": "by time", "subjects": [a_subject(at) for at in range(subjects)]}
    return render(Facts(RUN, [a_round(1, 6), a_round(2, 5)], said, [{}]))


def test_deciles_gains_and_members_are_told_and_nothing_is_loaded() -> None:
    said = page(20)
    assert "By decile" in said
    assert "global - gated personal" in said
    assert "0.10 [0.10, 0.10]" in said
    assert "<script" not in said
    assert "twin1<b>" not in said
    assert said.count("<svg") == 2


def test_fewer_than_ten_twins_have_no_deciles_and_none_has_no_errors() -> None:
    assert "By decile" not in page(9)
    assert "No site reported errors" in page(0)
