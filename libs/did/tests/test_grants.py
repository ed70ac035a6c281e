"""A grant is read exactly as its owner signed it, or refused with the member at fault."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from didymos_did.bounds import bounds_of, bounds_terms
from didymos_did.errors import DidError
from didymos_did.grants import FORM, Grant, GrantState, parse_grant, revoked, sign_grant
from didymos_did.jcs import digest, jcs
from didymos_did.keys import TwinId
from didymos_did.proofs import sign_document
from didymos_did.purposes import DPV, Purpose
from didymos_did.terms import Action, Budget, Terms
from didymos_testing.did import (
    INSTITUTE,
    NOON,
    OWNER,
    PERSONAL,
    STRANGER,
    TWIN,
    a_credential,
    a_grant,
    a_grant_id,
    a_read_terms,
    a_terms,
)
from hypothesis import given
from hypothesis import strategies as st

SUBJECT = "/credentialSubject"


def refused(change: Callable[[dict[str, Any]], object]) -> tuple[str, str]:
    """Code and pointer for a credential that was changed, then correctly signed again."""
    said = {name: member for name, member in a_credential().items() if name != "proof"}
    change(said)
    with pytest.raises(DidError) as raised:
        parse_grant(jcs(sign_document(said, OWNER, NOON)))
    return raised.value.code, raised.value.values.get("pointer", "")


def test_a_grant_is_read_as_it_was_signed() -> None:
    terms = a_terms(
        constraints={"min-cohort": 10, "place": ("NL", "EU"), "value-range": (-5, 5), "secure-aggregation": True},
        duties={"delete-after": "P30D", "compensate": 500},
    )
    secured = a_credential(terms)
    unsecured = {name: member for name, member in secured.items() if name != "proof"}
    assert parse_grant(jcs(secured)) == Grant(
        a_grant_id(), TwinId(TWIN.did), OWNER.did, INSTITUTE.did, terms, digest(unsecured)
    )
    assert terms.constraint("place") == ("EU", "NL")
    assert terms.constraint("hours") is None


def test_white_space_around_members_changes_nothing() -> None:
    import json

    assert parse_grant(json.dumps(a_credential(), indent=2).encode()) == parse_grant(jcs(a_credential()))


@given(st.data())
def test_one_changed_byte_ends_a_grant(draws: st.DataObject) -> None:
    body = jcs(a_credential())
    at = draws.draw(st.integers(0, len(body) - 1))
    other = draws.draw(st.integers(32, 126).filter(lambda each: each != body[at]))
    with pytest.raises(DidError):
        parse_grant(body[:at] + bytes([other]) + body[at + 1 :])


def set_in(*path: str) -> Callable[[Any], Callable[[dict[str, Any]], None]]:
    def to(value: Any) -> Callable[[dict[str, Any]], None]:
        def change(said: dict[str, Any]) -> None:
            for name in path[:-1]:
                said = said[name]
            if value is ...:
                del said[path[-1]]
            else:
                said[path[-1]] = value

        return change

    return to


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("@context", ["https://www.w3.org/ns/credentials/v2"], "vc.unknown_context"),
        ("@context", ["urn:didymos:context:v1", "https://www.w3.org/ns/credentials/v2"], "vc.unknown_context"),
        ("type", ["VerifiableCredential"], "vc.unknown_type"),
        ("type", ["VerifiableCredential", "SiteEnrolment"], "vc.unknown_type"),
        ("cryptoPolicy", {"suites": []}, "vc.suite_missing"),
        ("cryptoPolicy", {"suites": ["eddsa-jcs-2022", "mldsa65-jcs-2024"]}, "vc.suite_missing"),
        ("id", "urn:uuid:01930000-0000-4000-8000-000000000001", "grant.id_malformed"),
        ("id", 7, "grant.id_malformed"),
        ("issuer", "did:web:a.example", "did.malformed"),
        ("issuer", {"id": OWNER.did}, "did.malformed"),
        ("validFrom", "2026-11-23", "platform.malformed"),
        ("validUntil", "2028-01-01T00:00:00Z", "grant.window_invalid"),
        ("validUntil", "2026-11-23T12:00:00Z", "grant.window_invalid"),
        ("validUntil", ..., "platform.malformed"),
        ("credentialSubject", [], "platform.malformed"),
        ("termsOfUse", {}, "platform.unknown_field"),
        ("credentialStatus", [], "platform.unknown_field"),
    ],
)
def test_an_envelope_that_differs_is_refused_where_it_differs(member: str, value: Any, code: str) -> None:
    assert refused(set_in(member)(value)) == (code, f"/{member}")


@pytest.mark.parametrize(
    ("member", "value", "code", "pointer"),
    [
        ("id", "did:key:zzz", "key.malformed", "/id"),
        ("twin", None, "did.malformed", "/twin"),
        ("actions", ["fly"], "grant.action_unknown", "/actions"),
        ("actions", [], "platform.malformed", "/actions"),
        ("actions", ["train", "train"], "platform.malformed", "/actions"),
        ("actions", ["read"], "grant.task_required", "/task"),
        ("task", ..., "grant.task_required", "/task"),
        ("task", {"family": "forecast"}, "platform.malformed", "/task"),
        ("task", {"family": "F", "target": "a", "horizon": "PT1H"}, "grant.term_malformed", "/task/family"),
        ("task", {"family": "f", "target": "a/*", "horizon": "PT1H"}, "grant.path_malformed", "/task/target"),
        ("task", {"family": "f", "target": "a", "horizon": "soon"}, "grant.term_malformed", "/task/horizon"),
        ("paths", ["features//x"], "grant.path_malformed", "/paths"),
        ("paths", [f"a/{n}" for n in range(33)], "platform.malformed", "/paths"),
        ("purposes", [DPV + "Purpose"], "grant.purpose_unknown", "/purposes"),
        ("purposes", "research", "platform.malformed", "/purposes"),
        ("constraints", {}, "platform.malformed", "/constraints"),
        ("constraints", [{"name": "min-cohort"}], "platform.malformed", "/constraints/0"),
        ("constraints", [{"name": "moon", "value": 1}], "grant.term_unknown", "/constraints/0/name"),
        ("constraints", [{"name": ["x"], "value": 1}], "grant.term_unknown", "/constraints/0/name"),
        ("constraints", [{"name": "place", "value": "EU"}] * 2, "grant.term_unknown", "/constraints/1/name"),
        ("constraints", [{"name": "min-cohort", "value": "ten"}], "grant.term_malformed", "/constraints/0/value"),
        ("constraints", [{"name": "min-cohort", "value": True}], "grant.term_malformed", "/constraints/0/value"),
        ("constraints", [{"name": "min-cohort", "value": 0}], "grant.term_malformed", "/constraints/0/value"),
        ("constraints", [{"name": "place", "value": {"in": "EU"}}], "grant.term_malformed", "/constraints/0/value"),
        ("constraints", [{"name": "place", "value": []}], "grant.term_malformed", "/constraints/0/value"),
        ("constraints", [{"name": "value-range", "value": [9, 1]}], "grant.term_malformed", "/constraints/0/value"),
        ("duties", [{"name": "delete-after", "value": "30 days"}], "grant.term_malformed", "/duties/0/value"),
        ("duties", [{"name": "min-cohort", "value": 1}], "grant.term_unknown", "/duties/0/name"),
        ("budget", {"rounds": -1}, "grant.term_malformed", "/budget/rounds"),
        ("budget", {"delta_log10": 1}, "grant.term_malformed", "/budget/delta_log10"),
        ("budget", {"rounds": True}, "platform.malformed", "/budget"),
        ("budget", {"money": 1}, "platform.malformed", "/budget"),
        ("budget", ..., "platform.malformed", "/budget"),
        ("delegable", 1, "platform.unknown_field", "/delegable"),
    ],
)
def test_terms_outside_the_closed_form_are_refused_where_they_stand(
    member: str, value: Any, code: str, pointer: str
) -> None:
    assert refused(set_in("credentialSubject", member)(value)) == (code, SUBJECT + pointer)


def test_an_issuer_signs_for_itself_only() -> None:
    said = {name: member for name, member in a_credential().items() if name != "proof"}
    with pytest.raises(DidError, match=r"vc\.proof_invalid"):
        parse_grant(jcs(sign_document(said, STRANGER, NOON)))


def test_what_is_no_object_is_no_grant() -> None:
    with pytest.raises(DidError, match=r"platform\.malformed"):
        parse_grant(b"[]")


def test_a_wallet_does_not_sign_what_registration_would_refuse() -> None:
    far = a_terms(window=(NOON, NOON + timedelta(days=367)))
    odd = replace(a_terms(), purposes=(Purpose("research"),))
    for terms in (far, odd):
        with pytest.raises(DidError):
            sign_grant(a_grant_id(), INSTITUTE.did, TwinId(TWIN.did), terms, OWNER, NOON)
    assert FORM.longest == timedelta(days=366)


def test_an_ended_grant_stays_ended() -> None:
    ended = revoked(a_grant(revision=4))
    assert (ended.state, ended.revision) == (GrantState.REVOKED, 5)
    assert revoked(ended) == ended
    assert revoked(a_grant(state=GrantState.SUSPENDED)).state is GrantState.REVOKED
    assert revoked(a_grant(state=GrantState.EXPIRED)).state is GrantState.EXPIRED


def steward_terms(**changes: Any) -> Terms:
    said: dict[str, Any] = {
        "paths": ["desired/alarm/*"], "value_range": (70, 90), "hourly": 2, "commands": 20, "purpose": PERSONAL,
        "window": (NOON, NOON + timedelta(days=7)),
    }  # fmt: skip
    return bounds_terms(**{**said, **changes})


def test_the_bounds_of_a_steward_are_read_from_its_grant() -> None:
    grant = parse_grant(jcs(a_credential(steward_terms(), grantee=STRANGER.did)))
    bounds = bounds_of(grant)
    assert (bounds.low, bounds.high, bounds.hourly, bounds.commands) == (70, 90, 2, 20)
    assert (bounds.steward, bounds.paths, bounds.grant) == (STRANGER.did, ("desired/alarm/*",), grant.id)


def test_a_grant_without_range_or_rate_gives_a_steward_no_bounds() -> None:
    full = steward_terms()
    for terms in (
        replace(full, constraints=full.constraints[:1]), replace(full, constraints=full.constraints[1:]),
        a_read_terms(constraints={"value-range": (1, 2), "max-rate": 1}), replace(full, actions=(Action.READ,)),
    ):  # fmt: skip
        with pytest.raises(DidError, match="value-range and max-rate"):
            bounds_of(a_grant(terms=terms))
    assert full.budget == Budget(commands=20)
