"""Credentials of devices and sites: who may send for a twin, and which site is whose. identity.md section 10."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from didymos_did.credentials import Form, did_at, open_credential, sign_credential
from didymos_did.errors import DidError
from didymos_did.jcs import Json, jcs
from didymos_did.keys import Did, Signer, TwinId
from didymos_did.terms import parse_paths, parse_texts

MOST_A_SECOND: Final = 100_000
_LONGEST: Final = timedelta(days=731)
_AT: Final = "/credentialSubject"
_DEVICE: Final = Form(
    "DeviceEnrolment",
    members=frozenset({"id", "twin", "paths", "maxRate", "profile"}),
    optional=frozenset({"aliases"}),
    longest=_LONGEST,
    window_code="enrolment.window_invalid",
)
_SITE: Final = Form("SiteEnrolment", frozenset({"id"}), frozenset(), _LONGEST, "enrolment.window_invalid")


@dataclass(frozen=True, slots=True)
class DeviceEnrolment:
    """`device` may send readings of `paths` of `twin`, at most `max_rate` a second, within the window.

    `profile`: id@version of what its readings mean. `aliases`: names it uses for the twin, such as Patient/17.
    """

    owner: Did
    device: Did
    twin: TwinId
    paths: tuple[str, ...]
    max_rate: int
    profile: str
    valid_from: datetime
    valid_until: datetime
    digest: bytes
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteEnrolment:
    """`organisation` says that `site` is one of its own, within the window."""

    organisation: Did
    site: Did
    valid_from: datetime
    valid_until: datetime
    digest: bytes


def sign_device_enrolment(  # noqa: PLR0913 - the members of an enrolment, by name
    device: Did,
    twin: TwinId,
    paths: tuple[str, ...],
    profile: str,
    window: tuple[datetime, datetime],
    owner: Signer,
    *,
    max_rate: int = 2000,
    aliases: tuple[str, ...] = (),
) -> dict[str, Json]:
    """The owner's credential for a device. What `parse_device_enrolment` refuses is refused here."""
    subject: dict[str, Json] = {
        "id": str(device), "twin": str(twin), "paths": sorted(paths), "maxRate": max_rate, "profile": profile,
    }  # fmt: skip
    if aliases:
        subject["aliases"] = sorted(aliases)
    secured = sign_credential(_DEVICE, window, subject, owner, window[0])
    parse_device_enrolment(jcs(secured))
    return secured


def parse_device_enrolment(body: bytes) -> DeviceEnrolment:
    """Raises DidError `platform.*`, `vc.*`, `enrolment.*`, `grant.path_malformed`, `did.*`, `key.*`."""
    credential = open_credential(body, _DEVICE)
    said = credential.subject
    rate, profile = said["maxRate"], said["profile"]
    if type(rate) is not int or not 1 <= rate <= MOST_A_SECOND:
        raise DidError("enrolment.invalid", f"1 to {MOST_A_SECOND} readings a second", pointer=f"{_AT}/maxRate")
    if not isinstance(profile, str) or not 1 <= len(profile) <= 128:
        raise DidError("enrolment.invalid", "a profile is named id@version", pointer=f"{_AT}/profile")
    aliases = parse_texts(said["aliases"], f"{_AT}/aliases", 16) if "aliases" in said else ()
    if not all(1 <= len(alias) <= 128 for alias in aliases):
        raise DidError("enrolment.invalid", "an alias has 1 to 128 characters", pointer=f"{_AT}/aliases")
    return DeviceEnrolment(
        credential.issuer, did_at(said["id"], f"{_AT}/id"), TwinId(did_at(said["twin"], f"{_AT}/twin")),
        parse_paths(said["paths"], f"{_AT}/paths"), rate, profile, credential.valid_from, credential.valid_until,
        credential.digest, aliases,
    )  # fmt: skip


def sign_site_enrolment(site: Did, window: tuple[datetime, datetime], organisation: Signer) -> dict[str, Json]:
    """An organisation's credential for its site."""
    secured = sign_credential(_SITE, window, {"id": str(site)}, organisation, window[0])
    parse_site_enrolment(jcs(secured))
    return secured


def parse_site_enrolment(body: bytes) -> SiteEnrolment:
    """Raises DidError as `parse_device_enrolment`."""
    credential = open_credential(body, _SITE)
    site = did_at(credential.subject["id"], f"{_AT}/id")
    return SiteEnrolment(credential.issuer, site, credential.valid_from, credential.valid_until, credential.digest)
