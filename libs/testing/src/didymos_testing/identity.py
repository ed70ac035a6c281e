"""What owners send to identity: statements and credentials, each stating only what matters."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

from didymos_contracts.errors import Problem
from didymos_did import (
    Did,
    Ed25519Signer,
    Signed,
    Terms,
    TwinId,
    jcs,
    parse_grant,
    sign_device_enrolment,
    sign_device_revocation,
    sign_erasure,
    sign_grant,
    sign_revocation,
    sign_twin_registration,
)
from didymos_did.multibase import b64u

from didymos_testing.did import INSTITUTE, NOON, OWNER, TWIN, a_grant_id, a_signer, a_terms

DEVICE = a_signer("device")
JSON = {"content-type": "application/json"}


def said(signed: Signed) -> dict[str, str]:
    """A statement as REST takes it."""
    return {"body": b64u(signed.body), "kid": signed.kid, "signature": b64u(signed.signature)}


def a_registration(owner: Ed25519Signer = OWNER, twin: Ed25519Signer = TWIN) -> dict[str, Any]:
    by_owner, by_twin = sign_twin_registration(owner, twin)
    return {"by_owner": said(by_owner), "by_twin": said(by_twin)}


def a_window(at: datetime = NOON) -> tuple[datetime, datetime]:
    whole = at.replace(microsecond=0)
    return whole - timedelta(days=1), whole + timedelta(days=30)


def an_enrolment(at: datetime = NOON, owner: Ed25519Signer = OWNER, device: Did = DEVICE.did, **changes: Any) -> bytes:  # noqa: ANN401 - of the credential
    known: dict[str, Any] = {"paths": ("features/**",), "profile": "cgm@1", "window": a_window(at), "max_rate": 10}
    made = {**known, **changes}
    return jcs(sign_device_enrolment(device, TwinId(TWIN.did), owner=owner, **made))


def a_device_revocation(lost_since: datetime, owner: Ed25519Signer = OWNER) -> Signed:
    return sign_device_revocation(DEVICE.did, TwinId(TWIN.did), lost_since, owner)


def a_grant_credential(
    at: datetime = NOON, number: int = 1, owner: Ed25519Signer = OWNER, grantee: Did = INSTITUTE.did,
    terms: Terms | None = None, twin: Ed25519Signer = TWIN,
) -> bytes:  # fmt: skip
    window = a_window(at)
    granted = terms or a_terms(window=window)
    return jcs(sign_grant(a_grant_id(number), grantee, TwinId(twin.did), granted, owner, window[0]))


def a_revocation(credential: bytes, at: datetime = NOON, signer: Ed25519Signer = OWNER) -> Signed:
    grant = parse_grant(credential)
    return sign_revocation(grant.id, grant.digest, at.replace(microsecond=0), signer)


def an_erasure(at: datetime = NOON, signer: Ed25519Signer = OWNER) -> Signed:
    return sign_erasure(TwinId(TWIN.did), at.replace(microsecond=0), signer)


async def refusal(awaited: Awaitable[object]) -> str:
    """The code that it is refused with. Raises AssertionError when it is not."""
    try:
        await awaited
    except Problem as problem:
        return problem.row.code
    raise AssertionError("nothing was refused")
