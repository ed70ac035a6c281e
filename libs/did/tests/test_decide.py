"""Nobody but the owner gets in without a grant that says so in every respect."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from didymos_did import (
    Action,
    Budget,
    Context,
    Decision,
    Effect,
    Facts,
    Freshness,
    GrantState,
    Ownership,
    Purpose,
    Reason,
    SubjectStatus,
    Task,
    Term,
    TwinId,
    Usage,
    decide,
    decision_id,
)
from didymos_did.purposes import DPV
from didymos_testing.access import LEVEL, a_context, a_read, a_request, some_facts
from didymos_testing.did import (
    INSTITUTE,
    NOON,
    OWNER,
    PERSONAL,
    STRANGER,
    a_grant,
    a_grant_id,
    a_read_terms,
    a_terms,
)

READ_GRANT = a_grant(terms=a_read_terms())


def told(facts: Facts, **changes: Any) -> Reason:
    return decide(a_request(**changes), facts, NOON).reason


def test_a_grant_allows_what_it_says_until_it_ends() -> None:
    grant = a_grant(terms=a_terms(duties={"delete-after": "P30D"}))
    assert decide(a_request(), some_facts(grant), NOON) == Decision(
        Effect.ALLOW, Reason.GRANT, grant.id, (Term("delete-after", "P30D"),), grant.terms.valid_until
    )
    assert decide(a_read(), some_facts(READ_GRANT), NOON).allowed


def test_an_owner_needs_no_purpose_no_grant_and_no_fresh_consent() -> None:
    facts = Facts(Ownership(OWNER.did), (), Freshness.STALE)
    assert decide(a_read(actor=OWNER.did, purpose=None), facts, NOON) == Decision(Effect.ALLOW, Reason.OWNER)
    assert not decide(a_read(actor=STRANGER.did), facts, NOON).allowed


def test_nobody_else_is_let_in_while_consent_is_stale() -> None:
    assert told(some_facts(freshness=Freshness.STALE)) is Reason.STALE_CONSENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"purpose": None}, Reason.PURPOSE_MISSING),
        ({"purpose": Purpose("research")}, Reason.UNKNOWN_PURPOSE),
        ({"purpose": Purpose(DPV + "Purpose")}, Reason.UNKNOWN_PURPOSE),
        ({"paths": ()}, Reason.BAD_PATH),
        ({"paths": (LEVEL, "features/**")}, Reason.BAD_PATH),
        ({"paths": ("../secret",)}, Reason.BAD_PATH),
        ({"actor": STRANGER.did}, Reason.NO_GRANT),
        ({"twin": TwinId(STRANGER.did)}, Reason.NO_GRANT),
        ({"principal": OWNER.did}, Reason.NO_DELEGATION),
        ({"principal": INSTITUTE.did}, Reason.NO_DELEGATION),
        ({"action": Action.READ}, Reason.ACTION_NOT_GRANTED),
        ({"purpose": PERSONAL}, Reason.PURPOSE_MISMATCH),
        ({"paths": ("features/heart/rate",)}, Reason.PATH_NOT_GRANTED),
        ({"paths": (LEVEL, "features/heart/rate")}, Reason.PATH_NOT_GRANTED),
        ({"task": None}, Reason.TASK_MISMATCH),
        ({"task": Task("forecast", LEVEL, "PT60M")}, Reason.TASK_MISMATCH),
        ({"context": a_context(cohort=9)}, Reason.CONSTRAINT_FAILED),
        ({"context": a_context(cohort=None)}, Reason.CONSTRAINT_FAILED),
        ({"context": a_context(secure_aggregation=None)}, Reason.CONSTRAINT_FAILED),
        ({"context": Context()}, Reason.CONSTRAINT_FAILED),
    ],
)
def test_a_request_that_is_not_what_was_granted_is_denied(changes: dict[str, Any], reason: Reason) -> None:
    assert told(some_facts(), **changes) is reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": GrantState.REVOKED}, Reason.GRANT_REVOKED),
        ({"state": GrantState.EXPIRED}, Reason.GRANT_EXPIRED),
        ({"state": GrantState.SUSPENDED}, Reason.GRANT_SUSPENDED),
        ({"terms": a_terms(window=(NOON - timedelta(days=2), NOON))}, Reason.GRANT_EXPIRED),
        ({"terms": a_terms(window=(NOON + timedelta(seconds=1), NOON + timedelta(days=1)))}, Reason.GRANT_NOT_YET),
        ({"owner": STRANGER.did}, Reason.ISSUER_NO_AUTHORITY),
        ({"grantee": STRANGER.did}, Reason.NO_GRANT),
        ({"terms": a_terms(task=None)}, Reason.TASK_MISMATCH),
        ({"terms": a_terms(budget=Budget(rounds=5))}, Reason.BUDGET_EXHAUSTED),
        ({"terms": a_terms(budget=Budget(exact_rounds=5))}, Reason.BUDGET_EXHAUSTED),
        ({"terms": a_terms(constraints={"moon-phase": 1})}, Reason.CONSTRAINT_UNKNOWN),
        ({"terms": a_terms(constraints={"hours": (8, 18)})}, Reason.CONSTRAINT_UNKNOWN),
        ({"terms": a_terms(constraints={"max-epsilon-per-round": 1000})}, Reason.CONSTRAINT_FAILED),
        ({"terms": a_terms(constraints={"min-cohort": "few"})}, Reason.CONSTRAINT_FAILED),
        ({"terms": a_terms(duties={"sing": True})}, Reason.DUTY_UNKNOWN),
        ({"terms": a_terms(duties={"delete-after": "soon"})}, Reason.DUTY_UNKNOWN),
    ],
)
def test_a_grant_that_does_not_hold_is_no_grant(changes: dict[str, Any], reason: Reason) -> None:
    assert told(some_facts(a_grant(**changes))) is reason


def test_a_grant_begins_with_its_first_second_and_ends_before_its_last() -> None:
    grant = a_grant(terms=a_terms(window=(NOON, NOON + timedelta(days=1))))
    for at, allowed in ((-1, False), (0, True), (86_399, True), (86_400, False)):
        assert decide(a_request(), some_facts(grant), NOON + timedelta(seconds=at)).allowed is allowed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ownership": Ownership(None)}, Reason.TWIN_UNKNOWN),
        ({"ownership": Ownership(OWNER.did, erased=True)}, Reason.TWIN_ERASED),
        ({"ownership": Ownership(STRANGER.did)}, Reason.ISSUER_NO_AUTHORITY),
        ({"subjects": {INSTITUTE.did: SubjectStatus.SUSPENDED}}, Reason.SUBJECT_SUSPENDED),
        ({"usage": {a_grant_id(): Usage(rounds=30)}}, Reason.BUDGET_EXHAUSTED),
        ({"usage": {a_grant_id(): Usage(exact_rounds=30)}}, Reason.BUDGET_EXHAUSTED),
    ],
)
def test_facts_end_what_a_grant_says(changes: dict[str, Any], reason: Reason) -> None:
    assert told(some_facts(**changes)) is reason


def test_an_erased_twin_or_a_suspended_owner_is_closed_to_the_owner_too() -> None:
    mine = a_read(actor=OWNER.did)
    assert decide(mine, some_facts(ownership=Ownership(OWNER.did, erased=True)), NOON).reason is Reason.TWIN_ERASED
    out = some_facts(subjects={OWNER.did: SubjectStatus.SUSPENDED})
    assert decide(mine, out, NOON).reason is Reason.SUBJECT_SUSPENDED
    assert decide(a_request(principal=OWNER.did), out, NOON).reason is Reason.SUBJECT_SUSPENDED
    assert decide(mine, some_facts(subjects={OWNER.did: SubjectStatus.ACTIVE}), NOON).allowed


def test_who_acts_for_an_owner_is_not_the_owner() -> None:
    acting = a_read(actor=OWNER.did, principal=OWNER.did)
    assert decide(acting, some_facts(), NOON).reason is Reason.NO_DELEGATION


@pytest.mark.parametrize(
    ("action", "used"),
    [
        (Action.READ, Usage(reads=3)), (Action.SUBSCRIBE, Usage(reads=3)), (Action.HISTORY, Usage(reads=3)),
        (Action.COMMAND, Usage(commands=3)),
    ],
)  # fmt: skip
def test_what_was_used_up_is_gone_and_what_was_not_given_is_nothing(action: Action, used: Usage) -> None:
    terms = a_read_terms(actions=[action], budget=Budget(reads=3, commands=3))
    grant = a_grant(terms=terms)
    assert decide(a_read(action=action), some_facts(grant), NOON).allowed
    spent = some_facts(grant, usage={grant.id: used})
    assert decide(a_read(action=action), spent, NOON).reason is Reason.BUDGET_EXHAUSTED
    none = some_facts(a_grant(terms=replace(terms, budget=Budget())))
    assert decide(a_read(action=action), none, NOON).reason is Reason.BUDGET_EXHAUSTED


def test_some_actions_draw_on_no_budget() -> None:
    for action in (Action.SHARE, Action.ADMINISTER):
        assert decide(a_read(action=action), some_facts(a_grant(terms=a_read_terms(actions=[action]))), NOON).allowed


def test_an_overdue_duty_blocks_use_of_its_grant() -> None:
    grant = a_grant(terms=a_terms(duties={"report-use": True}))
    late = some_facts(grant, usage={grant.id: Usage(overdue=frozenset({"report-use"}))})
    assert decide(a_request(), late, NOON).reason is Reason.DUTY_OVERDUE
    assert decide(a_request(), late, NOON).detail == "report-use"
    other = some_facts(grant, usage={a_grant_id(2): Usage(overdue=frozenset({"report-use"}))})
    assert decide(a_request(), other, NOON).allowed


@pytest.mark.parametrize(
    ("action", "name", "value", "holds", "fails"),
    [
        (Action.COMMAND, "value-range", (10, 20), Context(value=10), Context(value=9.99)),
        (Action.COMMAND, "value-range", (10, 20), Context(value=20.0), Context(value=float("nan"))),
        (Action.COMMAND, "value-range", (10, 20), Context(value=15), Context()),
        (Action.COMMAND, "max-rate", 2, Context(uses_last_hour=1), Context(uses_last_hour=2)),
        (Action.COMMAND, "max-rate", 2, Context(uses_last_hour=0), Context()),
        (Action.READ, "place", ("EU", "NL"), Context(place="NL"), Context(place="US")),
        (Action.READ, "place", "EU", Context(place="EU"), Context()),
        (Action.READ, "agreement", "urn:a", Context(agreement="urn:a"), Context(agreement="urn:b")),
        (Action.READ, "agreement", "urn:a", Context(agreement="urn:a"), Context()),
    ],
)
def test_a_constraint_holds_or_denies_by_name(
    action: Action, name: str, value: Any, holds: Context, fails: Context
) -> None:
    terms = a_read_terms(actions=[action], constraints={name: value}, budget=Budget(reads=1, commands=1))
    facts = some_facts(a_grant(terms=terms))
    assert decide(a_read(action=action, context=holds), facts, NOON).allowed
    denied = decide(a_read(action=action, context=fails), facts, NOON)
    assert (denied.reason, denied.detail) == (Reason.CONSTRAINT_FAILED, name)


def test_a_model_family_is_asked_of_those_who_learn() -> None:
    facts = some_facts(a_grant(terms=a_terms(constraints={"model-family": ("cnn", "lstm")})))
    assert decide(a_request(context=a_context(model_family="lstm")), facts, NOON).allowed
    assert told(facts, context=a_context(model_family="transformer")) is Reason.CONSTRAINT_FAILED
    assert told(facts, context=a_context()) is Reason.CONSTRAINT_FAILED


@pytest.mark.parametrize(
    "constraints",
    [
        {"min-cohort": 10}, {"secure-aggregation": True}, {"model-family": "lstm"}, {"value-range": (1, 2)},
        {"max-epsilon-per-round": 1}, {"secure-aggregation": False},
    ],
)  # fmt: skip
def test_a_constraint_of_learning_or_commands_does_not_hinder_reading(constraints: dict[str, Any]) -> None:
    assert decide(a_read(), some_facts(a_grant(terms=a_read_terms(constraints=constraints))), NOON).allowed


def test_learning_without_secure_aggregation_needs_a_grant_that_says_so() -> None:
    open_round = a_request(context=Context(cohort=10, secure_aggregation=False))
    assert not decide(open_round, some_facts(), NOON).allowed
    lax = a_grant(terms=a_terms(constraints={"secure-aggregation": False}))
    assert decide(open_round, some_facts(lax), NOON).allowed


def test_of_several_grants_the_first_that_passes_allows() -> None:
    wrong, first, second = (
        a_grant(id=a_grant_id(1), owner=STRANGER.did), a_grant(id=a_grant_id(2)), a_grant(id=a_grant_id(3)),
    )  # fmt: skip
    assert decide(a_request(), some_facts(second, wrong, first), NOON).grant == first.id


def test_of_several_denials_the_one_that_came_furthest_is_told() -> None:
    near = a_grant(id=a_grant_id(9), terms=a_terms(budget=Budget()))
    far = a_grant(id=a_grant_id(1), state=GrantState.REVOKED)
    decision = decide(a_request(), some_facts(far, near), NOON)
    assert (decision.reason, decision.grant) == (Reason.BUDGET_EXHAUSTED, near.id)


def test_an_older_record_does_not_bring_a_grant_back() -> None:
    active, suspended = a_grant(revision=1), a_grant(revision=2, state=GrantState.SUSPENDED)
    assert told(some_facts(suspended, active)) is Reason.GRANT_SUSPENDED
    resumed = a_grant(revision=3)
    assert decide(a_request(), some_facts(suspended, resumed, active), NOON).allowed
    ended = a_grant(revision=2, state=GrantState.REVOKED)
    assert told(some_facts(resumed, ended, active)) is Reason.GRANT_REVOKED  # an end is final, whatever came after


def test_a_decision_is_named_by_what_it_was_made_from() -> None:
    one, two = a_grant(), a_grant(id=a_grant_id(2))
    usage = {one.id: Usage(rounds=1, overdue=frozenset({"a", "b"})), two.id: Usage()}
    backwards = dict(reversed(usage.items()))
    name = decision_id(a_request(), some_facts(one, two, usage=usage), NOON)
    assert len(name) == 22
    assert name == decision_id(a_request(), some_facts(two, one, usage=backwards), NOON)
    for request, facts, now in (
        (a_request(purpose=PERSONAL), some_facts(one, two, usage=usage), NOON),
        (a_request(context=Context(value=float("nan"))), some_facts(one, two, usage=usage), NOON),
        (a_request(), some_facts(one, usage=usage), NOON),
        (a_request(), some_facts(one, replace(two, revision=2), usage=usage), NOON),
        (a_request(), some_facts(one, two, usage={**usage, two.id: Usage(reads=1)}), NOON),
        (a_request(), some_facts(one, two, usage=usage, freshness=Freshness.STALE), NOON),
        (a_request(), some_facts(one, two, usage=usage), NOON + timedelta(microseconds=1)),
    ):
        assert decision_id(request, facts, now) != name
    assert decision_id(a_request(paths=("\ud800",)), some_facts(), NOON)
