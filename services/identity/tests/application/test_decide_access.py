"""Who is told which decision, and what goes to the owner's audit."""

import pytest
from didymos_did import AccessRequest, Action, Did, Facts, Freshness, Ownership, Reason, TwinId
from didymos_identity.application.decide_access import A_MINUTE, AuditQuota, decide_access
from didymos_testing.clock import FixedClock
from didymos_testing.did import (
    INSTITUTE,
    NOON,
    OWNER,
    PERSONAL,
    RESEARCH,
    STRANGER,
    TWIN,
    a_grant,
    a_read_terms,
    a_signer,
)

SERVICE = a_signer("twin-state").did
NOSY = a_signer("nosy").did
FACTS = Facts(Ownership(OWNER.did), (a_grant(terms=a_read_terms()),), Freshness.FRESH)


def a_request(actor: Did = INSTITUTE.did, **changes: object) -> AccessRequest:
    known = {"action": Action.READ, "paths": ("features/glucose/level",), "purpose": RESEARCH}
    return AccessRequest(actor=actor, twin=TwinId(TWIN.did), **{**known, **changes})  # type: ignore[arg-type]


def test_a_grantee_is_told_that_its_grant_allows() -> None:
    decided = decide_access(a_request(), INSTITUTE.did, {SERVICE}, FACTS, NOON)
    assert (decided.decision.allowed, decided.told, decided.audit) == (True, True, None)


def test_a_grantee_is_told_why_its_own_grant_denies_and_the_owner_sees_it_in_the_audit() -> None:
    request = a_request(purpose=PERSONAL)
    decided = decide_access(request, INSTITUTE.did, {SERVICE}, FACTS, NOON)
    assert (decided.decision.reason, decided.told) == (Reason.PURPOSE_MISMATCH, True)
    assert decided.audit is not None
    assert (decided.audit.request, decided.audit.decision, decided.audit.at) == (request, decided.decision, NOON)


@pytest.mark.parametrize("ownership", [Ownership(OWNER.did), Ownership(None)])
def test_a_stranger_cannot_tell_a_twin_without_a_grant_from_no_twin(ownership: Ownership) -> None:
    facts = Facts(ownership, (), Freshness.FRESH)
    decided = decide_access(a_request(STRANGER.did), STRANGER.did, {SERVICE}, facts, NOON)
    assert not decided.told
    assert (decided.audit is None) == (ownership.owner is None)


@pytest.mark.parametrize(
    ("caller", "told", "audited"), [(OWNER.did, True, False), (SERVICE, True, True), (NOSY, False, False)]
)
def test_owners_and_services_may_ask_about_others_nobody_else(caller: Did, told: bool, audited: bool) -> None:
    decided = decide_access(a_request(STRANGER.did), caller, {SERVICE}, FACTS, NOON)
    assert (decided.told, decided.audit is not None) == (told, audited)


def test_a_flood_of_denials_is_told_ten_times_a_minute() -> None:
    clock = FixedClock()
    quota = AuditQuota(clock.monotonic)
    assert sum(quota.spend(STRANGER.did) for _ in range(50)) == A_MINUTE
    assert quota.spend(OWNER.did)
    clock.advance(60)
    assert quota.spend(STRANGER.did)
