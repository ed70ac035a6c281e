"""Devices, sites, owners and revocations: what is signed is what is read, and nobody signs for another."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from didymos_did.enrolment import (
    parse_device_enrolment,
    parse_site_enrolment,
    sign_device_enrolment,
    sign_site_enrolment,
)
from didymos_did.errors import DidError
from didymos_did.jcs import digest, jcs
from didymos_did.keys import Did, Ed25519Signer, Signed, TwinId, sign_detached
from didymos_did.multibase import b64u
from didymos_did.proofs import sign_document
from didymos_did.statements import (
    sign_device_revocation,
    sign_erasure,
    sign_revocation,
    sign_twin_registration,
    verify_device_revocation,
    verify_erasure,
    verify_revocation,
    verify_twin_registration,
)
from didymos_testing.did import INSTITUTE, NOON, OWNER, STRANGER, TWIN, a_grant_id, a_signer

DEVICE, SITE = a_signer("device"), a_signer("site")
WINDOW = (NOON, NOON + timedelta(days=365))
PATHS = ("features/glucose/level", "features/heart/*")
GRANT_DIGEST = b"\x12\x20" + b"g" * 32


def a_device(**changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "device": DEVICE.did, "twin": TwinId(TWIN.did), "paths": PATHS, "profile": "cgm@1", "window": WINDOW,
        "owner": OWNER, "max_rate": 10, "aliases": ("Patient/17",),
    }  # fmt: skip
    return sign_device_enrolment(**{**said, **changes})


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DidError) as raised:
        call()
    return raised.value.code


def test_a_device_may_send_what_its_owner_signed() -> None:
    secured = a_device()
    found = parse_device_enrolment(jcs(secured))
    assert (found.owner, found.device, found.twin) == (OWNER.did, DEVICE.did, TwinId(TWIN.did))
    assert (found.paths, found.max_rate, found.profile, found.aliases) == (PATHS, 10, "cgm@1", ("Patient/17",))
    assert (found.valid_from, found.valid_until) == WINDOW
    assert found.digest == digest({name: member for name, member in secured.items() if name != "proof"})
    assert parse_device_enrolment(jcs(a_device(aliases=()))).aliases == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"max_rate": 0}, "enrolment.invalid"),
        ({"max_rate": 100_001}, "enrolment.invalid"),
        ({"max_rate": True}, "enrolment.invalid"),
        ({"profile": ""}, "enrolment.invalid"),
        ({"aliases": ("",)}, "enrolment.invalid"),
        ({"paths": ()}, "platform.malformed"),
        ({"paths": ("A",)}, "grant.path_malformed"),
        ({"window": (NOON, NOON + timedelta(days=732))}, "enrolment.window_invalid"),
        ({"window": (NOON, NOON)}, "enrolment.window_invalid"),
        ({"device": Did("did:web:a.example")}, "did.malformed"),
        ({"twin": TwinId("twin")}, "did.malformed"),
    ],
)
def test_an_enrolment_of_no_use_is_not_signed(changes: dict[str, Any], code: str) -> None:
    assert refusal(lambda: a_device(**changes)) == code


def test_an_enrolment_has_no_other_members() -> None:
    said = {name: member for name, member in a_device().items() if name != "proof"}
    said["credentialSubject"] = {**said["credentialSubject"], "admin": True}
    assert refusal(lambda: parse_device_enrolment(jcs(sign_document(said, OWNER, NOON)))) == "platform.unknown_field"
    assert refusal(lambda: parse_device_enrolment(jcs(sign_document(dict(said, id="x"), OWNER, NOON)))) == (
        "platform.unknown_field"
    )


def test_a_site_is_named_by_its_organisation() -> None:
    secured = sign_site_enrolment(SITE.did, WINDOW, INSTITUTE)
    found = parse_site_enrolment(jcs(secured))
    assert (found.organisation, found.site, found.valid_until) == (INSTITUTE.did, SITE.did, WINDOW[1])
    assert refusal(lambda: parse_site_enrolment(jcs(a_device()))) == "vc.unknown_type"
    assert refusal(lambda: parse_site_enrolment(jcs({**secured, "issuer": STRANGER.did}))) == "vc.proof_invalid"


# --- statements


def test_a_twin_gets_the_owner_that_both_signed_for() -> None:
    found = verify_twin_registration(*sign_twin_registration(OWNER, TWIN))
    assert (found.owner, found.twin) == (OWNER.did, TwinId(TWIN.did))


def test_nobody_registers_a_twin_with_a_key_that_is_not_theirs() -> None:
    by_owner, by_twin = sign_twin_registration(OWNER, TWIN)
    by_stranger, _ = sign_twin_registration(STRANGER, TWIN)
    body = by_owner.body
    for first, second in (
        (by_owner, by_owner), (by_twin, by_owner), (by_stranger, by_twin), (by_owner, sign_detached("x", body, TWIN)),
        (sign_detached("twin-registration", body, STRANGER), by_twin), (Signed(body, by_owner.kid, b"s" * 64), by_twin),
        (by_owner, Signed(body + b" ", by_twin.kid, by_twin.signature)), sign_twin_registration(OWNER, OWNER),
    ):  # fmt: skip
        assert refusal(lambda first=first, second=second: verify_twin_registration(first, second)) == (  # type: ignore[misc]
            "vc.proof_invalid"
        )


def test_a_revocation_says_which_credential_ends() -> None:
    found = verify_revocation(sign_revocation(a_grant_id(), GRANT_DIGEST, NOON, OWNER))
    assert (found.grant, found.digest, found.at, found.signer) == (a_grant_id(), GRANT_DIGEST, NOON, OWNER.did)


@pytest.mark.parametrize(
    "body",
    [
        {"grant": 1, "digest": b64u(GRANT_DIGEST), "at": "2026-11-24T12:00:00Z"},
        {"grant": "g", "digest": b64u(b"short"), "at": "2026-11-24T12:00:00Z"},
        {"grant": "g", "digest": "??", "at": "2026-11-24T12:00:00Z"},
        {"grant": "g", "digest": None, "at": "2026-11-24T12:00:00Z"},
        {"grant": "g", "digest": b64u(GRANT_DIGEST), "at": "today"},
        {"grant": "g", "digest": b64u(GRANT_DIGEST)},
        ["grant"],
    ],
)
def test_a_malformed_revocation_is_refused(body: Any) -> None:
    assert refusal(lambda: verify_revocation(sign_detached("revocation", jcs(body), OWNER))) == "platform.malformed"


def test_a_revocation_holds_for_its_body_and_use() -> None:
    signed = sign_revocation(a_grant_id(), GRANT_DIGEST, NOON, OWNER)
    forger = Ed25519Signer(b"f" * 32, kid=OWNER.kid)
    for wrong in (
        sign_detached("device-revocation", signed.body, OWNER), sign_detached("revocation", signed.body, forger),
        Signed(signed.body.replace(b"12:00:00", b"12:00:01"), signed.kid, signed.signature),
    ):  # fmt: skip
        assert refusal(lambda wrong=wrong: verify_revocation(wrong)) == "grant.revocation_invalid"  # type: ignore[misc]


def test_a_lost_device_is_out_from_the_time_it_was_lost() -> None:
    signed = sign_device_revocation(DEVICE.did, TwinId(TWIN.did), NOON, OWNER)
    found = verify_device_revocation(signed)
    assert (found.device, found.twin, found.lost_since, found.signer) == (DEVICE.did, TwinId(TWIN.did), NOON, OWNER.did)
    wrong = Signed(signed.body, STRANGER.kid, signed.signature)
    assert refusal(lambda: verify_device_revocation(wrong)) == "vc.proof_invalid"
    bare = sign_detached("device-revocation", jcs({"device": "d", "twin": "t", "lost_since": "x"}), OWNER)
    assert refusal(lambda: verify_device_revocation(bare)) == "did.malformed"


def test_an_erasure_says_which_twin_and_holds_for_no_other_statement() -> None:
    signed = sign_erasure(TwinId(TWIN.did), NOON, OWNER)
    found = verify_erasure(signed)
    assert (found.twin, found.at, found.signer) == (TwinId(TWIN.did), NOON, OWNER.did)
    for wrong in (Signed(signed.body, STRANGER.kid, signed.signature), sign_detached("revocation", signed.body, OWNER)):
        assert refusal(lambda wrong=wrong: verify_erasure(wrong)) == "vc.proof_invalid"  # type: ignore[misc]
