"""Somebody who may brings a new kind of device: a signed profile, immutable under its id@version. ADR 141."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_contracts.errors.twin import PROFILE_IMMUTABLE, PROFILE_NAME_TAKEN, PROFILE_TOO_MANY
from didymos_did import Did
from didymos_readings import SignedProfile, built_in_profiles, read_signed_profile
from didymos_readings.signed_profile import built_in_names, name_of

MOST: Final = 1_000  # published profiles of a house: every process holds them all


class Profiles(Protocol):
    """What was published. Bound to one transaction."""

    async def claim(self, name: str, signer: Did) -> Did:
        """Whose the name is: `signer`'s from now on, if it was nobody's. Nobody else publishes under it until the
        transaction ends."""

    async def find(self, profile: str) -> SignedProfile | None:
        """By id@version."""

    async def count(self) -> int:
        """How many there are."""

    async def add(self, signed: SignedProfile) -> None:
        """Keep one that is new."""


@dataclass(frozen=True, slots=True)
class Work:
    """Ports bound to one transaction: a profile is stored and told together, or not at all."""

    profiles: Profiles
    tell: Callable[[SignedProfile], None]


@dataclass(frozen=True, slots=True)
class Publishers:
    """Who may publish, and whose profiles: the organisation of the house, and whom its settings name."""

    named: frozenset[Did]
    suspended: Callable[[Did], bool]

    def include(self, did: Did) -> bool:
        return did in self.named and not self.suspended(did)


@dataclass(frozen=True, slots=True)
class Published:
    """`fresh`: it was not there before."""

    signed: SignedProfile
    fresh: bool


async def publish_profile(text: bytes, caller: Did, publishers: Publishers, work: Work) -> Published:
    """The profile as it is kept; the same one again, under a later proof too, gives the first.

    Raises PLATFORM_FORBIDDEN unless caller and signer are publishers, PROFILE_IMMUTABLE for other words under an
    id@version that is known, PROFILE_NAME_TAKEN for a name of the package or of another signer, PROFILE_TOO_MANY, and
    what `read_signed_profile` raises.
    """
    if not publishers.include(caller):
        raise PLATFORM_FORBIDDEN.problem(detail="profiles are published by whom the settings of the house name")
    signed = read_signed_profile(text)
    if not publishers.include(signed.signer):
        raise PLATFORM_FORBIDDEN.problem(pointer="/proof", detail="its signer is no publisher of this house")
    profile = signed.profile.id
    _check_built_in(profile)
    if await work.profiles.claim(name_of(profile), signed.signer) != signed.signer:
        raise PROFILE_NAME_TAKEN.problem(pointer="/id", profile=profile)
    known = await work.profiles.find(profile)
    if known is not None:
        if known.digest != signed.digest:
            raise PROFILE_IMMUTABLE.problem(pointer="/id", profile=profile)
        return Published(known, fresh=False)
    if await work.profiles.count() >= MOST:
        raise PROFILE_TOO_MANY.problem()
    await work.profiles.add(signed)
    work.tell(signed)
    return Published(signed, fresh=True)


def _check_built_in(profile: str) -> None:
    """Names of the package are its own: a release may bring further versions of them."""
    if profile in built_in_profiles():
        raise PROFILE_IMMUTABLE.problem(pointer="/id", profile=profile, detail="it comes with the house")
    if name_of(profile) in built_in_names():
        raise PROFILE_NAME_TAKEN.problem(pointer="/id", profile=profile, detail="its name comes with the house")
