"""Statements under detached signatures: a twin gets its owner, a grant or a device ends, a twin is erased.

identity.md 8, 10 and 11.
"""

from dataclasses import dataclass
from datetime import datetime

from didymos_did.credentials import did_at
from didymos_did.errors import DidError, pointing
from didymos_did.jcs import MULTIHASH_SHA256, Json, jcs, strict_object
from didymos_did.keys import Did, GrantId, Signed, Signer, TwinId, sign_detached, verify_detached
from didymos_did.multibase import b64u, b64u_decode
from didymos_did.proofs import instant_text, parse_instant


@dataclass(frozen=True, slots=True)
class TwinRegistration:
    """`owner` controls `twin`: the same body, signed by both keys."""

    twin: TwinId
    owner: Did


@dataclass(frozen=True, slots=True)
class Revocation:
    """The grant of this id and digest ends for good. `at` is what the signer says: authority time is registration."""

    grant: GrantId
    digest: bytes
    at: datetime
    signer: Did


@dataclass(frozen=True, slots=True)
class DeviceRevocation:
    """`device` may not send for `twin` any more; `lost_since`: from when it may have been in other hands."""

    device: Did
    twin: TwinId
    lost_since: datetime
    signer: Did


@dataclass(frozen=True, slots=True)
class Erasure:
    """The keys of `twin` are to be destroyed, at once and for ever."""

    twin: TwinId
    at: datetime
    signer: Did


def sign_twin_registration(owner: Signer, twin: Signer) -> tuple[Signed, Signed]:
    """Both signatures over {owner, twin}: the owner's first."""
    body = jcs({"owner": str(owner.did), "twin": str(twin.did)})
    return sign_detached("twin-registration", body, owner), sign_detached("twin-registration", body, twin)


def verify_twin_registration(by_owner: Signed, by_twin: Signed) -> TwinRegistration:
    """Raises DidError `platform.*`, `vc.proof_invalid`, `did.*`, `key.*`."""
    said = strict_object(by_owner.body, "owner", "twin")
    owner, twin = did_at(said["owner"], "/owner"), did_at(said["twin"], "/twin")
    if by_twin.body != by_owner.body or by_owner.did != owner or by_twin.did != twin or owner == twin:
        raise DidError("vc.proof_invalid", "one body, signed by the owner it names and by the twin it names")
    if not verify_detached("twin-registration", by_owner) or not verify_detached("twin-registration", by_twin):
        raise DidError("vc.proof_invalid", "a signature does not hold")
    return TwinRegistration(TwinId(twin), owner)


def sign_revocation(grant: GrantId, grant_digest: bytes, at: datetime, signer: Signer) -> Signed:
    body = jcs({"grant": str(grant), "digest": b64u(grant_digest), "at": instant_text(at)})
    return sign_detached("revocation", body, signer)


def verify_revocation(signed: Signed) -> Revocation:
    """What its signer asks for; whether the signer may is decided with the grant at hand.

    Raises DidError `platform.*`, `grant.revocation_invalid`.
    """
    said = strict_object(signed.body, "grant", "digest", "at")
    with pointing("/at"):
        at = parse_instant(said["at"])
    if not isinstance(said["grant"], str):
        raise DidError("platform.malformed", "a grant is named by its id", pointer="/grant")
    found = Revocation(GrantId(said["grant"]), _multihash(said["digest"]), at, signed.did)
    if not verify_detached("revocation", signed):
        raise DidError("grant.revocation_invalid", "no live key signed this statement")
    return found


def _multihash(said: Json) -> bytes:
    try:
        raw = b64u_decode(said if isinstance(said, str) else "")
    except DidError as error:
        raise DidError("platform.malformed", error.detail, pointer="/digest") from error
    if len(raw) != 34 or not raw.startswith(MULTIHASH_SHA256):
        raise DidError("platform.malformed", "a digest is a multihash of SHA-256 in base64url", pointer="/digest")
    return raw


def sign_device_revocation(device: Did, twin: TwinId, lost_since: datetime, signer: Signer) -> Signed:
    body = jcs({"device": str(device), "twin": str(twin), "lost_since": instant_text(lost_since)})
    return sign_detached("device-revocation", body, signer)


def verify_device_revocation(signed: Signed) -> DeviceRevocation:
    """What its signer asks for; that the signer owns the twin is asked by whoever knows. Raises as the above."""
    said = strict_object(signed.body, "device", "twin", "lost_since")
    device, twin = did_at(said["device"], "/device"), did_at(said["twin"], "/twin")
    with pointing("/lost_since"):
        lost_since = parse_instant(said["lost_since"])
    if not verify_detached("device-revocation", signed):
        raise DidError("vc.proof_invalid", "no live key signed this statement")
    return DeviceRevocation(device, TwinId(twin), lost_since, signed.did)


def sign_erasure(twin: TwinId, at: datetime, signer: Signer) -> Signed:
    return sign_detached("erasure", jcs({"twin": str(twin), "at": instant_text(at)}), signer)


def verify_erasure(signed: Signed) -> Erasure:
    """What its signer asks for; that the signer owns the twin is asked by whoever knows.

    Raises DidError `platform.*`, `did.*`, `key.*`, `vc.proof_invalid`.
    """
    said = strict_object(signed.body, "twin", "at")
    twin = did_at(said["twin"], "/twin")
    with pointing("/at"):
        at = parse_instant(said["at"])
    if not verify_detached("erasure", signed):
        raise DidError("vc.proof_invalid", "no live key signed this statement")
    return Erasure(TwinId(twin), at, signed.did)
