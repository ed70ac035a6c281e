"""Signed bytes as verified values: what leaves here was signed by the DID that it names, and fits into a database."""

from didymos_did import (
    DeviceEnrolment,
    Grant,
    KeyId,
    Revocation,
    Signed,
    parse_device_enrolment,
    parse_grant,
    parse_strict,
    verify_revocation,
)
from didymos_did.errors import pointing
from didymos_did.multibase import b64u_decode
from didymos_kit.http.body import check_text


def signed_of(body: str, kid: str, signature: str) -> Signed:
    """A statement as JSON carries it, its bytes in base64url. Raises DidError with a pointer."""
    with pointing("/body"):
        said = b64u_decode(body)
    with pointing("/signature"):
        return Signed(said, KeyId(kid), b64u_decode(signature))


def read_grant_credential(body: bytes) -> Grant:
    """Raises DidError `platform.*`, `vc.*`, `grant.*`, `did.*`, `key.*`; PLATFORM_MALFORMED."""
    check_text(parse_strict(body), "")
    return parse_grant(body)


def read_device_enrolment(body: bytes) -> DeviceEnrolment:
    """Raises DidError `platform.*`, `vc.*`, `enrolment.*`, `did.*`, `key.*`; PLATFORM_MALFORMED."""
    check_text(parse_strict(body), "")
    return parse_device_enrolment(body)


def read_revocation(signed: Signed) -> Revocation:
    """Raises DidError `platform.*`, `grant.revocation_invalid`; PLATFORM_MALFORMED."""
    check_text(parse_strict(signed.body), "")
    return verify_revocation(signed)
