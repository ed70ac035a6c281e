"""The key set-up of a site: what it draws, shares out, and opens. privacy.md section 3, steps AGREE and SHARE."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_privacy.agreement import Keys, Trip, box_key, encapsulate, pair_root, pair_seed, seal, unseal
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import KEY_BYTES, derived
from didymos_privacy.messages import Boxes, Items, Places
from didymos_privacy.plan import Cohort
from didymos_privacy.shamir import SHARE_BYTES, is_share, split_secret

SEED_CHECK_BYTES: Final = 16
_PLACE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Pair:
    """What two sites share: the seed of their mask, and the key of the box that comes in."""

    seed: bytes
    inbox: bytes
    outbox: bytes


@dataclass(frozen=True, slots=True)
class Shares:
    """What we hold of a neighbour: a share of its b, one of its r, and the check of our common seed."""

    b: bytes
    r: bytes
    seed_check: bytes


def seed_check(seed: bytes) -> bytes:
    """Tells whether two hold one seed, without the seed."""
    return sha256(seed).digest()[:SEED_CHECK_BYTES]


def agree(cohort: Cohort, place: int) -> tuple[tuple[bytes, bytes], ...]:
    """(shared secret, ciphertext) for each neighbour, in order."""
    return tuple(encapsulate(cohort.adverts[other].mlkem) for other in cohort.neighbours(place))


def pairs_of(
    cohort: Cohort, place: int, keys: Keys, drawn: tuple[tuple[bytes, bytes], ...], ciphertexts: Items
) -> tuple[Pair | None, ...]:
    """What is shared with each neighbour, in order; None for those who sent no ciphertext: they were struck."""
    neighbours = cohort.neighbours(place)
    if len(ciphertexts) != len(neighbours):
        raise PrivacyError("privacy.list_inconsistent", f"{len(ciphertexts)} ciphertexts, {len(neighbours)} expected")
    return tuple(
        _pair(cohort, place, other, keys, ours, theirs) if theirs else None
        for other, ours, theirs in zip(neighbours, drawn, ciphertexts, strict=True)
    )


def _pair(cohort: Cohort, place: int, other: int, keys: Keys, ours: tuple[bytes, bytes], theirs: bytes) -> Pair:
    us, them = cohort.adverts[place], cohort.adverts[other]
    root = pair_root(
        keys.exchange(them.x25519), Trip(us.site, *ours), Trip(them.site, keys.decapsulate(theirs), theirs),
        cohort.digest,
    )  # fmt: skip
    return Pair(pair_seed(root), box_key(root, them.site, us.site), box_key(root, us.site, them.site))


def share(cohort: Cohort, place: int, pairs: tuple[Pair | None, ...], secret: bytes) -> tuple[bytes, Boxes]:
    """(b, what is told): shares of b and r for each neighbour, the escrow of the seeds, and both commitments."""
    b, r = derived(secret, "didymos/sa-b/v1"), derived(secret, "didymos/sa-r/v1")
    neighbours = cohort.neighbours(place)
    xs = [other + 1 for other in neighbours]
    of_b = split_secret(b, cohort.threshold, xs, derived(secret, "didymos/sa-b-shares/v1"))
    of_r = split_secret(r, cohort.threshold, xs, derived(secret, "didymos/sa-r-shares/v1"))
    boxes = tuple(
        seal(pair.outbox, x.to_bytes(_PLACE_BYTES, "little") + b_share + r_share, cohort.digest) if pair else b""
        for x, pair, b_share, r_share in zip(xs, pairs, of_b, of_r, strict=True)
    )
    seeds = b"".join(pair.seed if pair else bytes(KEY_BYTES) for pair in pairs)
    escrow = seal(escrow_key(r), seeds, cohort.digest)
    return b, Boxes(boxes, escrow, sha256(b).digest(), sha256(r).digest())


def escrow_key(r: bytes) -> bytes:
    """The key of the escrow of a site's pair seeds."""
    return derived(r, "didymos/sa-escrow/v1")


def opened_boxes(
    cohort: Cohort, place: int, pairs: tuple[Pair | None, ...], boxes: Items, expected: Places
) -> tuple[Shares | None, ...]:
    """Our shares of each neighbour, in order; None for those who are not expected.

    Raises PrivacyError `privacy.list_inconsistent`, `privacy.box_invalid`.
    """
    neighbours = cohort.neighbours(place)
    if len(boxes) != len(neighbours):
        raise PrivacyError("privacy.list_inconsistent", f"{len(boxes)} boxes, {len(neighbours)} expected")
    return tuple(
        _shares(cohort, place, pair, box) if pair is not None and other in expected else None
        for other, pair, box in zip(neighbours, pairs, boxes, strict=True)
    )


def _shares(cohort: Cohort, place: int, pair: Pair, box: bytes) -> Shares:
    plain = unseal(pair.inbox, box, cohort.digest, "privacy.box_invalid")
    x, b, r = plain[:_PLACE_BYTES], plain[_PLACE_BYTES:-SHARE_BYTES], plain[-SHARE_BYTES:]
    if int.from_bytes(x, "little") != place + 1 or not (is_share(b) and is_share(r)):
        raise PrivacyError("privacy.box_invalid", "a box that holds no shares for this place")
    return Shares(b, r, seed_check(pair.seed))
