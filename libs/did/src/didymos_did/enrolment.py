"""Statements beside grants: who owns a twin, which device and site may act, what ends. identity.md section 10."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from didymos_did.errors import DidError
from didymos_did.grants import CONTEXT
from didymos_did.jcs import Json, digest, jcs, parse_strict, strict_object
from didymos_did.keys import Did, GrantId, Signed, Signer, TwinId, parse_did, sign_detached, verify_detached
from didymos_did.multibase import b64u, b64u_decode
from didymos_did.proofs import SUITE, instant_text, parse_instant, sign_document, verify_document
from didymos_did.terms import parse_paths

LONGEST: Final = timedelta(days=731)
RATE: Final = range(1, 100_001)


@dataclass(frozen=True, slots=True)
class DeviceEnrolment:
    """`device` may send readings of `paths` of `twin`, at most `max_rate` a second, within the window."""

    owner: Did
    device: Did
    twin: TwinId
    paths: tuple[str, ...]
    max_rate: int
    profile: str
    valid_from: datetime
    valid_until: datetime
    digest: bytes


@dataclass(frozen=True, slots=True)
class SiteEnrolment:
    """`organisation` says that `site` is one of its own, until then."""

    organisation: Did
    site: Did
    valid_until: datetime
    digest: bytes


@dataclass(frozen=True, slots=True)
class TwinRegistration:
    """`owner` controls `twin`: the same body, signed by both keys."""

    twin: TwinId
    owner: Did


@dataclass(frozen=True, slots=True)
class Revocation:
    """The grant of this id and digest ends for good."""

    grant: GrantId
    digest: bytes
    signer: Did


@dataclass(frozen=True, slots=True)
class DeviceRevocation:
    """`device` may not send for `twin` any more; `lost_since`: from when it may have been in other hands."""

    device: Did
    twin: TwinId
    lost_since: datetime
    signer: Did


def _credential(kind: str, window: tuple[datetime, datetime], issuer: Did, subject: dict[str, Json]) -> dict[str, Json]:
    return {
        "@context": CONTEXT,
        "type": ["VerifiableCredential", kind],
        "issuer": str(issuer),
        "validFrom": instant_text(window[0]),
        "validUntil": instant_text(window[1]),
        "credentialSubject": subject,
        "cryptoPolicy": {"suites": [SUITE]},
    }


def _open(body: bytes, kind: str, members: frozenset[str]) -> tuple[Did, dict[str, Json], datetime, datetime, bytes]:
    said = parse_strict(body)
    known = {"@context", "type", "issuer", "validFrom", "validUntil", "credentialSubject", "cryptoPolicy", "proof"}
    if not isinstance(said, dict) or set(said) != known:
        raise DidError("platform.malformed", "not the members of this credential")
    if said["@context"] != CONTEXT or said["type"] != ["VerifiableCredential", kind]:
        raise DidError("vc.unknown_type", f"not a {kind}", pointer="/type")
    subject = said["credentialSubject"]
    if not isinstance(subject, dict) or set(subject) != members:
        raise DidError(
            "platform.malformed", f"a subject has {', '.join(sorted(members))}", pointer="/credentialSubject"
        )
    if said["cryptoPolicy"] != {"suites": [SUITE]} or not isinstance(said["issuer"], str):
        raise DidError("vc.suite_missing", f"the policy names other suites than {SUITE}", pointer="/cryptoPolicy")
    issuer, begins, ends = (
        parse_did(said["issuer"]),
        parse_instant(said["validFrom"]),
        parse_instant(said["validUntil"]),
    )
    if not begins < ends or ends - begins > LONGEST:
        raise DidError("enrolment.window_invalid", "a window begins before it ends and is at most two years")
    verify_document(said, issuer=issuer)
    return issuer, subject, begins, ends, digest({name: member for name, member in said.items() if name != "proof"})


_DEVICE: Final = frozenset({"id", "twin", "paths", "maxRate", "profile"})


def sign_device_enrolment(
    device: Did, twin: TwinId, paths: tuple[str, ...], profile: str, window: tuple[datetime, datetime], owner: Signer,
    max_rate: int = 2000,
) -> dict[str, Json]:  # fmt: skip
    """The owner's credential for a device, valid in `window`."""
    subject = {
        "id": str(device), "twin": str(twin), "paths": sorted(paths), "maxRate": max_rate, "profile": profile,
    }  # fmt: skip
    return sign_document(_credential("DeviceEnrolment", window, owner.did, subject), owner, window[0])


def parse_device_enrolment(body: bytes) -> DeviceEnrolment:
    """Raises DidError `platform.*`, `vc.*`, `enrolment.*`, `did.*`, `key.*`."""
    owner, subject, begins, ends, hashed = _open(body, "DeviceEnrolment", _DEVICE)
    if type(subject["maxRate"]) is not int or subject["maxRate"] not in RATE or not isinstance(subject["profile"], str):
        raise DidError("enrolment.invalid", "maxRate is 1 to 100,000 a second, profile is id@version")
    return DeviceEnrolment(
        owner, parse_did(str(subject["id"])), TwinId(parse_did(str(subject["twin"]))),
        parse_paths(subject["paths"], "/credentialSubject/paths"), subject["maxRate"], subject["profile"],
        begins, ends, hashed,
    )  # fmt: skip


def sign_site_enrolment(site: Did, window: tuple[datetime, datetime], organisation: Signer) -> dict[str, Json]:
    """An organisation's credential for its site."""
    subject = {"id": str(site)}
    return sign_document(_credential("SiteEnrolment", window, organisation.did, subject), organisation, window[0])


def parse_site_enrolment(body: bytes) -> SiteEnrolment:
    """Raises DidError as `parse_device_enrolment`."""
    organisation, subject, _, ends, hashed = _open(body, "SiteEnrolment", frozenset({"id"}))
    return SiteEnrolment(organisation, parse_did(str(subject["id"])), ends, hashed)


def sign_twin_registration(owner: Signer, twin: Signer) -> tuple[Signed, Signed]:
    """Both signatures over {twin, owner}: owner's first."""
    body = jcs({"owner": str(owner.did), "twin": str(twin.did)})
    return sign_detached("twin-registration", body, owner), sign_detached("twin-registration", body, twin)


def verify_twin_registration(by_owner: Signed, by_twin: Signed) -> TwinRegistration:
    """Raises DidError `platform.*`, `vc.proof_invalid`, `did.*`, `key.*`."""
    said = strict_object(by_owner.body, "owner", "twin")
    owner, twin = parse_did(str(said["owner"])), parse_did(str(said["twin"]))
    if by_twin.body != by_owner.body or by_owner.did != owner or by_twin.did != twin or owner == twin:
        raise DidError("vc.proof_invalid", "one body, signed by the owner it names and by the twin it names")
    if not verify_detached("twin-registration", by_owner) or not verify_detached("twin-registration", by_twin):
        raise DidError("vc.proof_invalid", "a signature does not hold")
    return TwinRegistration(TwinId(twin), owner)


def sign_revocation(grant: GrantId, grant_digest: bytes, at: datetime, signer: Signer) -> Signed:
    body = jcs({"grant": str(grant), "digest": b64u(grant_digest), "at": instant_text(at)})
    return sign_detached("revocation", body, signer)


def verify_revocation(signed: Signed) -> Revocation:
    """Raises DidError `platform.*`, `grant.revocation_invalid`. `at` stays evidence: authority time is registration."""
    said = strict_object(signed.body, "grant", "digest", "at")
    parse_instant(said["at"])
    if not verify_detached("revocation", signed):
        raise DidError("grant.revocation_invalid", "no live key signed this statement")
    return Revocation(GrantId(str(said["grant"])), b64u_decode(str(said["digest"])), signed.did)


def sign_device_revocation(device: Did, twin: TwinId, lost_since: datetime, signer: Signer) -> Signed:
    body = jcs({"device": str(device), "twin": str(twin), "lost_since": instant_text(lost_since)})
    return sign_detached("device-revocation", body, signer)


def verify_device_revocation(signed: Signed) -> DeviceRevocation:
    """Raises DidError `platform.*`, `vc.proof_invalid`, `did.*`."""
    said = strict_object(signed.body, "device", "twin", "lost_since")
    if not verify_detached("device-revocation", signed):
        raise DidError("vc.proof_invalid", "no live key signed this statement")
    device, twin = parse_did(str(said["device"])), parse_did(str(said["twin"]))
    return DeviceRevocation(device, TwinId(twin), parse_instant(said["lost_since"]), signed.did)
