"""CLOSE: secrets are joined, checked against their commitments, and masks taken off the sum. privacy.md section 3."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from didymos_privacy.agreement import unseal
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import KEY_BYTES
from didymos_privacy.masks import add_mask, mask_key
from didymos_privacy.messages import Answers, Boxes, Items, Places
from didymos_privacy.plan import Cohort, index_of
from didymos_privacy.shamir import join_secret
from didymos_privacy.site_setup import escrow_key, seed_check
from didymos_privacy.vector import U32


@dataclass(frozen=True, slots=True)
class OpenMask:
    """A mask that is in the sum with `sign`."""

    seed: bytes
    sign: int


@dataclass(frozen=True, slots=True)
class Opened:
    """All masks that are left in the sum of the survivors' vectors."""

    transcript: bytes
    masks: tuple[OpenMask, ...]

    def strip(self, total: U32, first: int = 0) -> None:
        """Takes all masks off total (d,), in place; `first`: where a range of the vector begins, a multiple of 4."""
        for mask in self.masks:
            add_mask(total, mask_key(mask.seed, self.transcript), -mask.sign, first)


def open_secrets(
    cohort: Cohort, shared: Mapping[int, Boxes], survivors: Places, answers: Mapping[int, Answers], transcript: bytes
) -> Opened:
    """The masks of one survivor list, from at least `threshold` answers for each secret.

    Raises PrivacyError `privacy.threshold_missed`, `privacy.commitment_mismatched` (names the site),
    `privacy.seed_disputed` (names the pair).
    """
    masks: list[OpenMask] = []
    for place in sorted(shared):
        if place in survivors:
            b = _joined(cohort, place, {at: told.b_shares for at, told in answers.items()}, shared[place].commit_b)
            masks.append(OpenMask(b, 1))
        else:
            r = _joined(cohort, place, {at: told.r_shares for at, told in answers.items()}, shared[place].commit_r)
            masks.extend(_pair_masks(cohort, place, r, shared[place].escrow, survivors, answers))
    return Opened(transcript, tuple(masks))


def _joined(cohort: Cohort, place: int, lists: Mapping[int, Items], commitment: bytes) -> bytes:
    """The secret of the site at `place`, as it committed to it."""
    shares = {at + 1: told[index_of(place, at)] for at, told in lists.items() if at != place}
    try:
        secret = join_secret(shares, cohort.threshold)
    except PrivacyError as error:
        if error.code == "privacy.threshold_missed":
            raise
        secret = b""
    if sha256(secret).digest() != commitment:
        site = cohort.adverts[place].site
        raise PrivacyError("privacy.commitment_mismatched", "shares do not give what was committed to", site=site)
    return secret


def _pair_masks(
    cohort: Cohort, gone: int, r: bytes, escrow: bytes, survivors: Places, answers: Mapping[int, Answers]
) -> list[OpenMask]:
    """The masks that the survivors share with a drop-out, out of its escrow."""
    seeds = unseal(escrow_key(r), escrow, cohort.digest, "privacy.commitment_mismatched")
    found = []
    for survivor in survivors:
        at = index_of(survivor, gone) * KEY_BYTES
        seed = seeds[at : at + KEY_BYTES]
        told = answers.get(survivor)
        if told is not None and told.seed_checks[index_of(gone, survivor)] != seed_check(seed):
            pair = [cohort.adverts[place].site for place in (gone, survivor)]
            raise PrivacyError("privacy.seed_disputed", "two sites name different seeds of one mask", sites=pair)
        found.append(OpenMask(seed, 1 if survivor < gone else -1))
    return found
