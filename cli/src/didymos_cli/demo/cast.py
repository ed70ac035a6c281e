"""Who plays: owners with twins and devices, sites, a hospital, an institute, a clinician. All keys from the seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
from didymos_did import Ed25519Signer, TwinId
from didymos_kit.ids import uuid7
from didymos_kit.keyring import KeyRing
from didymos_learning import Series, read_glucose
from numpy.typing import NDArray

SITE_SIZE: Final = 3  # people at most; a site has two or three
HELD_BACK: Final = 48  # readings of each person that are sent after the run: four hours


@dataclass(frozen=True, slots=True)
class Person:
    """One owner, with the twin, the device, and (n,) times (us UTC) and levels (mg/dL) in order of time."""

    name: str
    owner: Ed25519Signer
    twin_key: Ed25519Signer
    device: Ed25519Signer
    times_us: NDArray[np.int64]
    levels: NDArray[np.float64]

    @property
    def twin(self) -> TwinId:
        return TwinId(self.twin_key.did)


@dataclass(frozen=True, slots=True)
class SiteCast:
    """A site and the people whose data lie there."""

    name: str
    seed: bytes
    people: tuple[Person, ...]

    @property
    def signer(self) -> Ed25519Signer:
        return Ed25519Signer(self.seed)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody. `house`: the keys of the hospital that operates the platform."""

    seed: int
    people: tuple[Person, ...]
    sites: tuple[SiteCast, ...]
    house: KeyRing
    institute: Ed25519Signer
    clinician: Ed25519Signer

    def secret(self, label: str) -> bytes:
        return secret(self.seed, label)

    def grant_id(self, label: str, at_ms: int) -> UUID:
        """A UUID of version 7 at `at_ms`, its random part from the seed."""
        return uuid7(at_ms, 0, secret(self.seed, f"grant {label}")[:8])

    @property
    def by_twin(self) -> Mapping[str, Person]:
        return {person.twin: person for person in self.people}


def secret(seed: int, label: str) -> bytes:
    """32 bytes. Whoever knows the seed knows them: these keys guard nothing but a demo."""
    return sha256(f"didymos/demo/v1|{seed}|{label}".encode()).digest()


def make_cast(seed: int, readings: Path, most: int | None = None) -> Cast:
    """The people of the file, or the first `most` of them, at as few sites as hold two or three each."""
    series = dict(list(read_glucose(readings).items())[:most])
    people = tuple(_person(seed, name, found) for name, found in series.items())
    sites = tuple(
        SiteCast(f"site-{number}", secret(seed, f"site {number}"), tuple(group))
        for number, group in enumerate(_groups(people), start=1)
    )
    keys = KeyRing(secret(seed, "house"))
    institute, clinician = (Ed25519Signer(secret(seed, name)) for name in ("institute", "clinician"))
    return Cast(seed, people, sites, keys, institute, clinician)


def _person(seed: int, name: str, series: Series) -> Person:
    owner, twin, device = (Ed25519Signer(secret(seed, f"{name} {role}")) for role in ("owner", "twin", "device"))
    return Person(name, owner, twin, device, series.times, series.values)


def _groups(people: Sequence[Person]) -> list[Sequence[Person]]:
    """Even groups of at most SITE_SIZE, in order."""
    count = -(-len(people) // SITE_SIZE)
    ends = [round(len(people) * number / count) for number in range(count + 1)]
    return [people[begin:end] for begin, end in pairwise(ends)]
