"""An offer never exceeds the grants under it, and what exceeds is named."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from didymos_did import Action, Budget, Exceeds, GrantState, Purpose, Task, covers, excess, grant_excess
from didymos_did.purposes import DPV
from didymos_testing.did import INSTITUTE, NOON, PERSONAL, STRANGER, a_grant, a_read_terms, a_terms

GIVEN = a_terms(
    actions=[Action.TRAIN, Action.READ],
    budget=Budget(epsilon_micro=10, delta_log10=-6, rounds=30, exact_rounds=30, reads=5),
    duties={"delete-after": "P30D", "compensate": 5},
)
SAME = {"delete-after": "P30D", "compensate": 5}
KEPT = {"min-cohort": 10, "secure-aggregation": True}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"actions": [Action.TRAIN]}, {"actions": [Action.READ], "task": None},
        {"paths": ["features/glucose/level"]}, {"purposes": [Purpose(DPV + "ScientificResearch")]},
        {"constraints": {"min-cohort": 12, "secure-aggregation": True, "place": "EU"}},
        {"duties": {"delete-after": "P1D", "compensate": 6, "report-use": True}}, {"budget": Budget(rounds=1)},
        {"window": (NOON, NOON + timedelta(days=1))},
    ],
)  # fmt: skip
def test_an_offer_that_asks_for_no_more_is_covered(changes: dict[str, Any]) -> None:
    said: dict[str, Any] = {"actions": GIVEN.actions, "budget": GIVEN.budget, "duties": SAME, **changes}
    assert covers(GIVEN, a_terms(**said))


@pytest.mark.parametrize(
    ("changes", "dimension"),
    [
        ({"actions": [Action.TRAIN, Action.SHARE]}, "actions"),
        ({"paths": ["features/**"]}, "paths"),
        ({"paths": ["features/glucose/level", "features/heart/rate"]}, "paths"),
        ({"purposes": [PERSONAL]}, "purposes"),
        ({"purposes": [Purpose(DPV + "ResearchAndDevelopment")]}, "purposes"),
        ({"task": None}, "task"),
        ({"task": Task("forecast", "features/glucose/level", "PT60M")}, "task"),
        ({"window": (NOON - timedelta(days=2), NOON)}, "window"),
        ({"window": (NOON, NOON + timedelta(days=31))}, "window"),
        ({"budget": Budget(rounds=31)}, "budget:rounds"),
        ({"budget": Budget(exact_rounds=31)}, "budget:exact_rounds"),
        ({"budget": Budget(reads=6)}, "budget:reads"),
        ({"budget": Budget(commands=1)}, "budget:commands"),
        ({"budget": Budget(epsilon_micro=11)}, "budget:epsilon_micro"),
        ({"budget": Budget(epsilon_micro=9, delta_log10=-5)}, "budget:delta_log10"),
        ({"constraints": {"secure-aggregation": True}}, "constraint:min-cohort"),
        ({"constraints": {**KEPT, "min-cohort": 9}}, "constraint:min-cohort"),
        ({"constraints": {**KEPT, "secure-aggregation": False}}, "constraint:secure-aggregation"),
        ({"constraints": {**KEPT, "min-cohort": "many"}}, "constraint:min-cohort"),
        ({"duties": {"compensate": 5}}, "duty:delete-after"),
        ({"duties": {**SAME, "delete-after": "P31D"}}, "duty:delete-after"),
        ({"duties": {**SAME, "compensate": 4}}, "duty:compensate"),
    ],
)
def test_an_offer_that_asks_for_more_is_told_where(changes: dict[str, Any], dimension: str) -> None:
    found = excess(GIVEN, a_terms(**{"duties": SAME, **changes}))
    assert found is not None
    assert found.dimension == dimension
    assert found.given != found.asked


def test_both_sides_of_an_excess_are_told() -> None:
    assert excess(GIVEN, a_terms(duties=SAME, budget=Budget(reads=6))) == Exceeds("budget:reads", "5", "6")
    assert excess(GIVEN, a_terms(duties={"compensate": 5})) == Exceeds("duty:delete-after", '"P30D"', "nothing")


def test_a_condition_that_is_not_known_here_covers_nothing() -> None:
    odd = a_read_terms(constraints={"moon-phase": 1})
    assert not covers(odd, odd)
    due = a_read_terms(duties={"sing": True})
    assert not covers(due, due)


def test_only_a_live_grant_of_the_recipient_covers_an_offer() -> None:
    grant = a_grant()
    assert grant_excess(grant, grant.terms, INSTITUTE.did, NOON) is None
    assert grant_excess(grant, grant.terms, STRANGER.did, NOON) == Exceeds("recipient", INSTITUTE.did, STRANGER.did)
    late = grant_excess(grant, grant.terms, INSTITUTE.did, grant.terms.valid_until)
    assert late is not None
    for state in set(GrantState) - {GrantState.ACTIVE}:
        found = grant_excess(replace(grant, state=state), grant.terms, INSTITUTE.did, NOON)
        assert found is not None
        assert found.dimension == "state"
