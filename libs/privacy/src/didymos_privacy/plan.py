"""What binds an attempt: its name, digests of what is trained, the cohort, the minima. privacy.md sections 1, 3."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final

from didymos_privacy.agreement import PublicKeys, check_keys
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import hashed
from didymos_privacy.messages import Advert, Places

SUITE: Final = "didymos-sa-1"
MOST_SITES: Final = 100  # complete graph; beyond it masks on a sparse graph, which this suite has not


@dataclass(frozen=True, slots=True)
class Minima:
    """Below these nothing is masked or opened. `honest`: subjects left when the floor(n/3) largest sites are not."""

    expected: int = 5
    surviving: int = 4
    subjects: int = 10
    honest: int = 5

    def enough(self, subjects: Collection[int], *, surviving: bool) -> bool:
        """Whether sites with these numbers of subjects may be summed."""
        sizes = sorted(subjects, reverse=True)
        return (
            len(sizes) >= (self.surviving if surviving else self.expected)
            and sum(sizes) >= self.subjects
            and sum(sizes[len(sizes) // 3 :]) >= self.honest
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one round. `params`, `spec`: digests (32 bytes). `dim`: coordinates, that of the weight too."""

    run: str
    round: int
    attempt: int
    params: bytes
    spec: bytes
    dim: int
    minima: Minima = Minima()

    def transcript(self, expected: bytes) -> bytes:
        """T: what enters every mask key. A site that was told other things has other masks: the sum is noise."""
        said = {
            "suite": SUITE, "run": self.run, "round": self.round, "attempt": self.attempt, "params": self.params.hex(),
            "spec": self.spec.hex(), "expected": expected.hex(), "noise": "none", "dim": self.dim,
        }  # fmt: skip
        return sha256(json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).digest()


def threshold(neighbours: int) -> int:
    """How many neighbours open a secret: floor(2k/3) + 1, so that two lists cannot both find that many."""
    return 2 * neighbours // 3 + 1


@dataclass(frozen=True)
class Cohort:
    """The signed list of an attempt. Raises PrivacyError `privacy.list_inconsistent` unless it is one.

    Neighbours of a site: all others.
    """

    adverts: tuple[Advert, ...]

    def __post_init__(self) -> None:
        names = [advert.site for advert in self.adverts]
        keys = {advert.x25519 for advert in self.adverts} | {advert.mlkem for advert in self.adverts}
        if names != sorted(set(names)) or len(keys) != 2 * len(names):
            raise PrivacyError("privacy.list_inconsistent", "sites stand once, in order, each with keys of its own")
        if not 2 <= len(names) <= MOST_SITES:
            raise PrivacyError("privacy.neighbours_too_few", f"{len(names)} sites, 2 to {MOST_SITES} can mask")

    @property
    def size(self) -> int:
        return len(self.adverts)

    @property
    def threshold(self) -> int:
        return threshold(self.size - 1)

    @cached_property
    def digest(self) -> bytes:
        """What signatures and keys of this attempt name as the list."""
        rows = (hashed(a.site.encode(), a.x25519, a.mlkem, a.subjects.to_bytes(8, "big")) for a in self.adverts)
        return hashed(b"didymos/sa-list/v1", *rows)

    def place(self, site: str) -> int:
        """Raises PrivacyError `privacy.list_inconsistent` for a site that is not in the list."""
        for place, advert in enumerate(self.adverts):
            if advert.site == site:
                return place
        raise PrivacyError("privacy.list_inconsistent", "this site is not in the list")

    def neighbours(self, place: int) -> Places:
        return tuple(other for other in range(self.size) if other != place)

    def subjects(self, places: Collection[int]) -> list[int]:
        return [self.adverts[place].subjects for place in places]

    def expected_digest(self, expected: Places) -> bytes:
        """Of the sites that may mask: the set that T names."""
        return hashed(b"didymos/sa-expected/v1", self.digest, b"".join(p.to_bytes(4, "little") for p in expected))

    def proper(self, places: Places) -> bool:
        """Whether these are places of this cohort, ascending, each once."""
        return list(places) == sorted(set(places)) and all(0 <= place < self.size for place in places)


def index_of(place: int, at: int) -> int:
    """Where `place` stands among the neighbours of `at`."""
    return place if place < at else place - 1


def check_advert(advert: Advert) -> None:
    """Raises PrivacyError `privacy.advert_invalid`, `privacy.key_weak`."""
    if not 1 <= advert.subjects < 1 << 30:
        raise PrivacyError("privacy.advert_invalid", "a site has at least one subject")
    check_keys(PublicKeys(advert.x25519, advert.mlkem))
