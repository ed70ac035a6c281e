"""What a site and its coordinator tell each other in one attempt of a round. privacy.md sections 3 and 10.

Lists "in neighbour order" have one item for each other site of the cohort, ascending; it is empty for a site that was
struck. Messages are parsed, and their signatures verified, before a state machine sees them.
"""

from dataclasses import dataclass
from typing import TypeAlias

Places: TypeAlias = tuple[int, ...]  # indices in the cohort, ascending
Items: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Advert:
    """Fresh keys of one site, and how many subjects it trained on: the only size that leaves it."""

    site: str
    x25519: bytes
    mlkem: bytes
    subjects: int


@dataclass(frozen=True, slots=True)
class Agree:
    """Key encapsulations in neighbour order."""

    ciphertexts: Items


@dataclass(frozen=True, slots=True)
class Boxes:
    """Sealed shares in neighbour order; `escrow` holds the pair seeds under a key that only `threshold` can open."""

    boxes: Items
    escrow: bytes
    commit_b: bytes
    commit_r: bytes


@dataclass(frozen=True, slots=True)
class Masked:
    """SHA-256 of the masked vector, which lies at the coordinator, complete."""

    vector: bytes


@dataclass(frozen=True, slots=True)
class Confirm:
    """The one survivor list that this site stands by."""

    transcript: bytes
    survivors: Places


@dataclass(frozen=True, slots=True)
class Answers:
    """In neighbour order: the b share of a survivor, or the r share and the seed check of a drop-out. Never both."""

    b_shares: Items
    r_shares: Items
    seed_checks: Items


@dataclass(frozen=True, slots=True)
class Refuse:
    """A site does not do what it was told. `code` is a row of the error catalogue."""

    code: str
    detail: str


SiteMessage: TypeAlias = Advert | Agree | Boxes | Masked | Confirm | Answers | Refuse


@dataclass(frozen=True, slots=True)
class SetupList:
    """All adverts, sorted by DID: the cohort."""

    adverts: tuple[Advert, ...]


@dataclass(frozen=True, slots=True)
class SetupCiphertexts:
    """What each neighbour encapsulated to this site, in neighbour order."""

    ciphertexts: Items


@dataclass(frozen=True, slots=True)
class SetupBoxes:
    """The boxes for this site in neighbour order, and who is expected to mask."""

    boxes: Items
    expected: Places


@dataclass(frozen=True, slots=True)
class SurvivorList:
    """Whose vectors are complete: these are in the sum."""

    survivors: Places


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the site at `place` confirmed, its signature verified."""

    place: int
    confirm: Confirm


@dataclass(frozen=True, slots=True)
class Unmask:
    """Enough survivors stand by one list."""

    confirmations: tuple[Confirmed, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """The attempt is over. `outcome`: committed or aborted."""

    outcome: str
    reason: str


Order: TypeAlias = SetupList | SetupCiphertexts | SetupBoxes | SurvivorList | Unmask | Close
