"""Profiles that are published while the house runs: signed, immutable, beside those of the package. data-path.md 4."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from didymos_did import Did, DidError, jcs, parse_strict, verify_document

from didymos_readings.errors import ReadingError
from didymos_readings.mapping import RecordMapping
from didymos_readings.profile import PROFILE_BYTES, Profile, built_in_profiles, profile_of
from didymos_readings.units import UnitProblem, compile_unit


@dataclass(frozen=True, slots=True)
class SignedProfile:
    """`digest`: of what is signed; `document`: canonical JSON, with the proof."""

    profile: Profile
    signer: Did
    digest: bytes
    document: bytes


def read_signed_profile(text: bytes) -> SignedProfile:
    """A profile with an `eddsa-jcs-2022` proof. Raises ReadingError `profile.malformed`, `profile.signature_invalid`.

    Units of its mappings must lead to those of its properties: what it could only refuse is refused here.
    """
    said = parsed(text)
    if not isinstance(said, dict):
        raise ReadingError("profile.malformed", "profile is an object", pointer="")
    profile = profile_of({name: member for name, member in said.items() if name != "proof"})
    for at, mapping in (("csv", profile.csv), ("json", profile.json)):
        _check_units(profile, mapping, at)
    try:
        verified = verify_document(said)
        document = jcs(said)
    except DidError as error:
        raise ReadingError("profile.signature_invalid", error.detail, pointer="/proof") from error
    if len(document) > PROFILE_BYTES:  # it may be longer than what came in: 1e20 is written out
        raise ReadingError("profile.malformed", "profile is over 256 KiB", pointer="")
    return SignedProfile(profile, Did(verified.kid.partition("#")[0]), verified.digest, document)


def parsed(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Strict JSON of at most 256 KiB. Raises ReadingError `profile.malformed`."""
    try:
        return parse_strict(text, limit=PROFILE_BYTES, floats=True)
    except DidError as error:
        raise ReadingError("profile.malformed", f"profile: {error.detail}", pointer="") from error


def _check_units(profile: Profile, mapping: RecordMapping | None, at: str) -> None:
    for index, value in enumerate(() if mapping is None else mapping.values):
        rule = profile.properties[value.property]
        if not value.unit or rule.kind != "number":
            continue
        way = compile_unit(value.unit, rule.unit or value.unit, rule.molar_mass)
        if isinstance(way, UnitProblem):
            pointer = f"/{at}/values/{index}/unit"
            raise ReadingError("profile.malformed", f"profile{pointer}: {way.detail}", pointer=pointer)


class ProfileBook:
    """The profiles of the package, and what was published. What came first under an id@version stays.

    `known` is a view: it grows while it is held.
    """

    def __init__(self) -> None:
        self._known: dict[str, Profile] = dict(built_in_profiles())
        self._signed: dict[str, SignedProfile] = {}
        self.known: Mapping[str, Profile] = MappingProxyType(self._known)
        self.signed: Mapping[str, SignedProfile] = MappingProxyType(self._signed)

    def add(self, name: str, document: bytes) -> None:
        """Take in what was published under the id@version `name`.

        Raises ReadingError for bytes that are no signed profile, or one of another name.
        """
        if name in self._known:
            return
        found = read_signed_profile(document)
        if found.profile.id != name:
            raise ReadingError("profile.malformed", "profile/id is not what it was published under", pointer="/id")
        self._known[name], self._signed[name] = found.profile, found


def name_of(profile: str) -> str:
    """`acme.pump` of `acme.pump@3`."""
    return profile.partition("@")[0]


def built_in_names() -> frozenset[str]:
    """Names without versions; these are the package's."""
    return frozenset(map(name_of, built_in_profiles()))


def profile_document(said: SignedProfile) -> dict[str, Any]:
    """The document as it was signed, for an answer in JSON."""
    found: dict[str, Any] = parsed(said.document)
    return found
