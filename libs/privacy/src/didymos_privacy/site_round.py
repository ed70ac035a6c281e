"""A site in one attempt of `didymos-sa-1`, as a state machine without I/O. privacy.md section 3.

Bonawitz et al. 2017, figure 4 with the lines against a malicious server. What a state holds is all there is: it is
stored, then the reply is sent. A repeated order gets the reply it had; another one in its place is refused.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from didymos_privacy.agreement import Keys
from didymos_privacy.errors import PrivacyError
from didymos_privacy.masks import add_mask, mask_key
from didymos_privacy.messages import (
    Advert,
    Agree,
    Answers,
    Boxes,
    Close,
    Confirm,
    Masked,
    Order,
    Places,
    Refuse,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SurvivorList,
    Unmask,
)
from didymos_privacy.plan import Attempt, Cohort, check_advert
from didymos_privacy.site_setup import Pair, Shares, agree, opened_boxes, pairs_of, share
from didymos_privacy.vector import U32, vector_bytes

Reply: TypeAlias = Agree | Boxes | Confirm | Answers | Refuse | None
Past: TypeAlias = tuple[tuple[Order, Reply], ...]


@dataclass(frozen=True, slots=True)
class Advertised:
    """Keys are drawn and told. `secret`: 32 fresh bytes; both private keys follow from it."""

    attempt: Attempt
    advert: Advert
    secret: bytes
    past: Past = ()


@dataclass(frozen=True, slots=True)
class Agreeing:
    """Encapsulated to every neighbour. `drawn`: (shared secret, ciphertext) in neighbour order."""

    attempt: Attempt
    advert: Advert
    secret: bytes
    cohort: Cohort
    drawn: tuple[tuple[bytes, bytes], ...]
    past: Past


@dataclass(frozen=True, slots=True)
class Sharing:
    """b and r are shared out; the private keys are gone. `pairs`: in neighbour order, None for who was struck."""

    attempt: Attempt
    cohort: Cohort
    place: int
    b: bytes
    pairs: tuple[Pair | None, ...]
    past: Past


@dataclass(frozen=True, slots=True)
class Ready:
    """The expected set is fixed and T with it: now the one vector of this round is masked."""

    attempt: Attempt
    cohort: Cohort
    place: int
    b: bytes
    pairs: tuple[Pair | None, ...]
    expected: Places
    shares: tuple[Shares | None, ...]
    past: Past

    @property
    def subjects(self) -> int:
        """Of all expected sites: what the grid is made for."""
        return sum(self.cohort.subjects(self.expected))


@dataclass(frozen=True, slots=True)
class Sent:
    """The vector is masked; its seeds are gone, but for what checks them."""

    attempt: Attempt
    cohort: Cohort
    place: int
    expected: Places
    shares: tuple[Shares | None, ...]
    vector: bytes
    past: Past


@dataclass(frozen=True, slots=True)
class Agreed:
    """We stand by `survivors`. No other list is ever confirmed in this attempt, and shares follow this one only."""

    attempt: Attempt
    cohort: Cohort
    place: int
    expected: Places
    shares: tuple[Shares | None, ...]
    survivors: Places
    past: Past


@dataclass(frozen=True, slots=True)
class Answered:
    """The shares are told, once; only the answer is left of them."""

    attempt: Attempt
    cohort: Cohort
    place: int
    expected: Places
    past: Past


@dataclass(frozen=True, slots=True)
class Left:
    """Out of this attempt, for a reason of our own (`code`) or because it is over (empty). Nothing secret is left."""

    attempt: Attempt
    code: str
    detail: str


Reached: TypeAlias = Agreeing | Sharing | Ready | Agreed | Answered
State: TypeAlias = Advertised | Agreeing | Sharing | Ready | Sent | Agreed | Answered | Left


def start(attempt: Attempt, site: str, subjects: int, secret: bytes) -> tuple[Advertised, Advert]:
    """ADVERTISE, when local training is done. `secret`: 32 fresh random bytes, of no other use."""
    public = Keys(secret).public
    advert = Advert(site, public.x25519, public.mlkem, subjects)
    check_advert(advert)
    return Advertised(attempt, advert, secret), advert


def step(state: State, order: Order) -> tuple[State, Reply]:
    """One verified order in; the next state and our reply out. Total: what is wrong is a reply, never an exception."""
    if isinstance(state, Left):
        return state, None if isinstance(order, Close) else Refuse(state.code or "privacy.step_out_of_order", "over")
    if isinstance(order, Close):
        return Left(state.attempt, "", order.outcome), None
    for earlier, reply in state.past:
        if isinstance(order, type(earlier)):
            return state, reply if order == earlier else _second(order)
    try:
        reached, reply = _advance(state, order)
    except PrivacyError as error:
        refusal = Refuse(error.code, error.detail)
        kept = isinstance(state, Sent | Agreed) or error.code == "privacy.step_out_of_order"
        return (state if kept else Left(state.attempt, error.code, error.detail)), refusal
    return replace(reached, past=(*state.past, (order, reply))), reply


def _second(order: Order) -> Refuse:
    if isinstance(order, SurvivorList | Unmask):
        return Refuse("privacy.second_list_refused", "this site stands by one list only")
    return Refuse("privacy.list_inconsistent", "the order differs from the one that was answered")


def _advance(state: State, order: Order) -> tuple[Reached, Reply]:
    match state, order:
        case Advertised(), SetupList():
            return _agreeing(state, order)
        case Agreeing(), SetupCiphertexts():
            return _sharing(state, order)
        case Sharing(), SetupBoxes():
            return _ready(state, order), None
        case Sent(), SurvivorList():
            return _confirmed(state, order)
        case Agreed(), Unmask():
            return _answered(state, order)
    raise PrivacyError("privacy.step_out_of_order", f"{type(order).__name__} does not follow {type(state).__name__}")


def _agreeing(state: Advertised, order: SetupList) -> tuple[Agreeing, Agree]:
    cohort = Cohort(order.adverts)
    if order.adverts[cohort.place(state.advert.site)] != state.advert:
        raise PrivacyError("privacy.list_inconsistent", "our own advert was altered")
    for advert in order.adverts:
        check_advert(advert)
    if not state.attempt.minima.enough(cohort.subjects(range(cohort.size)), surviving=False):
        raise PrivacyError("privacy.neighbours_too_few", f"{cohort.size} sites are below the minima")
    drawn = agree(cohort, cohort.place(state.advert.site))
    reply = Agree(tuple(ciphertext for _, ciphertext in drawn))
    return Agreeing(state.attempt, state.advert, state.secret, cohort, drawn, state.past), reply


def _sharing(state: Agreeing, order: SetupCiphertexts) -> tuple[Sharing, Boxes]:
    cohort, place = state.cohort, state.cohort.place(state.advert.site)
    pairs = pairs_of(cohort, place, Keys(state.secret), state.drawn, order.ciphertexts)
    alive = [other for other, pair in zip(cohort.neighbours(place), pairs, strict=True) if pair is not None]
    if len(alive) < cohort.threshold:
        raise PrivacyError("privacy.neighbours_too_few", f"{len(alive)} neighbours, {cohort.threshold} needed")
    b, boxes = share(cohort, place, pairs, state.secret)
    return Sharing(state.attempt, cohort, place, b, pairs, state.past), boxes


def _ready(state: Sharing, order: SetupBoxes) -> Ready:
    cohort, place, expected = state.cohort, state.place, order.expected
    if not cohort.proper(expected) or place not in expected:
        raise PrivacyError("privacy.list_inconsistent", "the expected are of the list, in order, and we among them")
    known = {other for other, pair in zip(cohort.neighbours(place), state.pairs, strict=True) if pair is not None}
    if not set(expected) - {place} <= known:
        raise PrivacyError("privacy.list_inconsistent", "a site is expected that was struck before")
    enough = state.attempt.minima.enough(cohort.subjects(expected), surviving=False)
    if len(expected) - 1 < cohort.threshold or not enough:
        raise PrivacyError("privacy.neighbours_too_few", f"{len(expected)} expected sites are below the minima")
    shares = opened_boxes(cohort, place, state.pairs, order.boxes, expected)
    return Ready(state.attempt, cohort, place, state.b, state.pairs, expected, shares, state.past)


def mask(state: State, vector: U32) -> tuple[Sent, Masked, bytes] | Refuse:
    """MASK: `vector` (d,) plus all masks, as the bytes to deliver, and the message that names them.

    Once: in any other state than Ready it is refused. Store the state together with the bytes, then send them.
    """
    if not isinstance(state, Ready):
        late = isinstance(state, Sent | Agreed | Answered)
        code = "privacy.second_vector_refused" if late else "privacy.step_out_of_order"
        return Refuse(code, f"no vector is masked in {type(state).__name__}")
    if vector.shape != (state.attempt.dim,):
        return Refuse("privacy.vector_mismatched", f"{vector.size} coordinates, {state.attempt.dim} expected")
    cohort, place = state.cohort, state.place
    transcript = transcript_of(state)
    masked = vector.copy()
    add_mask(masked, mask_key(state.b, transcript), 1)
    for other, pair in zip(cohort.neighbours(place), state.pairs, strict=True):
        if pair is not None and other in state.expected:
            add_mask(masked, mask_key(pair.seed, transcript), 1 if place < other else -1)
    raw = vector_bytes(masked)
    digest = sha256(raw).digest()
    sent = Sent(state.attempt, cohort, place, state.expected, state.shares, digest, state.past)
    return sent, Masked(digest), raw


def transcript_of(state: Ready | Sent | Agreed | Answered) -> bytes:
    """T of this attempt."""
    return state.attempt.transcript(state.cohort.expected_digest(state.expected))


def list_of(state: State) -> bytes:
    """The digest of the list that the next reply speaks of; empty before there is one."""
    return b"" if isinstance(state, Advertised | Left) else state.cohort.digest


def _confirmed(state: Sent, order: SurvivorList) -> tuple[Agreed, Confirm]:
    survivors, cohort = order.survivors, state.cohort
    if not cohort.proper(survivors):
        raise PrivacyError("privacy.overlap_refused", "a survivor stands once, in order, and is of the list")
    if not set(survivors) <= set(state.expected) or state.place not in survivors:
        raise PrivacyError("privacy.list_inconsistent", "survivors were expected, and we are one of them")
    enough = state.attempt.minima.enough(cohort.subjects(survivors), surviving=True)
    if len(survivors) - 1 < cohort.threshold or not enough:
        raise PrivacyError("privacy.threshold_missed", f"{len(survivors)} survivors are below the minima")
    agreed = Agreed(state.attempt, cohort, state.place, state.expected, state.shares, survivors, state.past)
    return agreed, Confirm(transcript_of(state), survivors)


def _answered(state: Agreed, order: Unmask) -> tuple[Answered, Answers]:
    ours = Confirm(transcript_of(state), state.survivors)
    places = tuple(confirmed.place for confirmed in order.confirmations)
    if not state.cohort.proper(places) or not set(places) <= set(state.survivors):
        raise PrivacyError("privacy.list_inconsistent", "each survivor confirms once")
    if any(confirmed.confirm != ours for confirmed in order.confirmations):
        raise PrivacyError("privacy.second_list_refused", "a survivor stands by another list, or another round")
    if len(set(places) - {state.place}) < state.cohort.threshold:
        raise PrivacyError("privacy.threshold_missed", f"{len(places)} survivors stand by the list")
    told = [
        _told(shares, other in state.survivors, other in state.expected)
        for other, shares in zip(state.cohort.neighbours(state.place), state.shares, strict=True)
    ]
    b_shares, r_shares, checks = zip(*told, strict=True)
    answers = Answers(tuple(b_shares), tuple(r_shares), tuple(checks))
    return Answered(state.attempt, state.cohort, state.place, state.expected, state.past), answers


def _told(shares: Shares | None, survived: bool, expected: bool) -> tuple[bytes, bytes, bytes]:  # noqa: FBT001
    """One secret of a neighbour: b if it survived, else r; of a struck one nothing."""
    if shares is None or not expected:
        return b"", b"", b""
    return (shares.b, b"", b"") if survived else (b"", shares.r, shares.seed_check)
