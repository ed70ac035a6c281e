"""Data Integrity proofs are those of the W3C, byte for byte, and hold for nothing else."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from didymos_did.errors import DidError
from didymos_did.jcs import digest
from didymos_did.keys import Ed25519Signer, KeyKind, PublicKey
from didymos_did.multibase import b64u
from didymos_did.proofs import instant_text, parse_instant, sign_document, verify_document
from didymos_testing.did import NOON, OWNER, STRANGER, a_credential

# Data Integrity EdDSA Cryptosuites v1.0, appendix B.2 "Representation: eddsa-jcs-2022"
SEED = bytes.fromhex("c96ef9ea10c5e414c471723aff9de72c35fa5b70fae97e8832ecac7d2e2b8ed6")
MULTIKEY = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
CREATED = datetime(2023, 2, 24, 23, 36, 38, tzinfo=UTC)
UNSECURED = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
}
DOCUMENT_HASH = "59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19"
PROOF_VALUE = "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX"


def test_a_proof_is_that_of_the_specification() -> None:
    signer = Ed25519Signer(SEED)
    assert signer.public.multikey == MULTIKEY
    secured = sign_document(UNSECURED, signer, CREATED)
    assert secured["proof"]["proofValue"] == PROOF_VALUE
    verified = verify_document(secured)
    assert verified.kid == f"did:key:{MULTIKEY}#{MULTIKEY}"
    assert verified.digest.hex() == "1220" + DOCUMENT_HASH
    assert verified.digest == digest(UNSECURED)


def with_proof(**changes: Any) -> dict[str, Any]:
    secured = a_credential()
    proof = {name: member for name, member in {**secured["proof"], **changes}.items() if member is not ...}
    return {**secured, "proof": proof}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "Ed25519Signature2020"}, "vc.suite_missing"),
        ({"cryptosuite": "eddsa-rdfc-2022"}, "vc.suite_missing"),
        ({"cryptosuite": ...}, "vc.suite_missing"),
        ({"proofPurpose": "authentication"}, "vc.proof_invalid"),
        ({"verificationMethod": STRANGER.kid}, "vc.proof_invalid"),
        ({"verificationMethod": 1}, "vc.proof_invalid"),
        ({"created": "2026-11-24T12:00:01Z"}, "vc.proof_invalid"),
        ({"created": "2026-11-24T12:00:00+00:00"}, "platform.malformed"),
        ({"created": ...}, "platform.malformed"),
        ({"@context": []}, "vc.proof_invalid"),
        ({"@context": ...}, "vc.proof_invalid"),
        ({"proofValue": "u" + b64u(b"s" * 64)}, "vc.proof_invalid"),
        ({"proofValue": "z0"}, "vc.proof_invalid"),
        ({"proofValue": "z" + "2" * 97}, "vc.proof_invalid"),
        ({"proofValue": PROOF_VALUE}, "vc.proof_invalid"),
        ({"proofValue": ...}, "vc.proof_invalid"),
        ({"previousProof": "urn:x"}, "vc.proof_invalid"),
    ],
)
def test_another_proof_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(DidError) as raised:
        verify_document(with_proof(**changes), issuer=OWNER.did)
    assert raised.value.code == code


def test_a_proof_of_somebody_else_is_none_of_the_issuer() -> None:
    unsecured = {name: member for name, member in a_credential().items() if name != "proof"}
    with pytest.raises(DidError, match="not one of the issuer"):
        verify_document(sign_document(unsecured, STRANGER, NOON), issuer=OWNER.did)


def test_a_document_without_one_proof_is_refused() -> None:
    secured = a_credential()
    wrongs: tuple[Any, ...] = ([], "x", {**secured, "proof": []}, {**secured, "proof": [secured["proof"]]}, {"a": 1})
    for wrong in wrongs:
        with pytest.raises(DidError):
            verify_document(wrong)
    with pytest.raises(DidError, match="carries a proof already"):
        sign_document(secured, OWNER, NOON)


def test_the_suite_takes_no_other_kind_of_key() -> None:
    p256 = PublicKey(KeyKind.P256, bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"))
    with pytest.raises(DidError, match="Ed25519"):
        verify_document(a_credential(), key=p256)


def test_a_document_without_a_context_can_be_signed() -> None:
    assert verify_document(sign_document({"a": 1}, OWNER, NOON), issuer=OWNER.did).kid == OWNER.kid


def test_times_have_one_spelling() -> None:
    assert instant_text(NOON) == "2026-11-24T12:00:00Z"
    assert instant_text(NOON.astimezone(timezone(timedelta(hours=5)))) == "2026-11-24T12:00:00Z"
    assert parse_instant("2026-11-24T12:00:00Z") == NOON
    with pytest.raises(ValueError, match="zone"):
        instant_text(datetime(2026, 11, 24))  # noqa: DTZ001 - the point of the test
    for text in (
        "2026-11-24 12:00:00Z",
        "2026-11-24T12:00:00.0Z",
        "2026-11-24t12:00:00z",
        "2026-1-24T12:00:00Z",
        "",
        7,
    ):
        with pytest.raises(DidError, match=r"platform\.malformed"):
            parse_instant(text)
