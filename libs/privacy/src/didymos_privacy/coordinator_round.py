"""The coordinator of one attempt of `didymos-sa-1`, as a state machine without I/O. privacy.md section 3.

It holds no secret until UNMASK. `step` takes what a site said (its signature verified) or that time is up; the next
state says what each site is to be told (`order_for`), so a site that comes back is told again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from didymos_privacy.agreement import CIPHERTEXT_BYTES, TAG_BYTES
from didymos_privacy.coordinator_states import (
    Aborted,
    Advertising,
    Agreeing,
    Confirming,
    Done,
    Masking,
    Open,
    Sharing,
    State,
    Unmasking,
    expected_digest,
    places,
    stage,
    waiting,
)
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import KEY_BYTES
from didymos_privacy.messages import (
    Advert,
    Agree,
    Answers,
    Boxes,
    Close,
    Confirm,
    Confirmed,
    Items,
    Masked,
    Order,
    Places,
    Refuse,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SiteMessage,
    SurvivorList,
    Unmask,
)
from didymos_privacy.opening import open_secrets
from didymos_privacy.plan import Attempt, Cohort, check_advert, index_of
from didymos_privacy.shamir import is_share
from didymos_privacy.site_setup import SEED_CHECK_BYTES

BOX_BYTES: Final = 4 + 72 + TAG_BYTES


@dataclass(frozen=True, slots=True)
class From:
    """A verified message of a site. `list`: the digest that its signature names; empty for an advert."""

    site: str
    list: bytes
    message: SiteMessage


@dataclass(frozen=True, slots=True)
class TimeIsUp:
    """The deadline of a stage, named as in `stage`; one of an earlier stage comes too late to do anything."""

    stage: str


def invite(attempt: Attempt, sites: Collection[str]) -> Advertising:
    """ADVERTISE begins: these sites train and then send their keys."""
    return Advertising(attempt, tuple(sorted(set(sites))))


def step(state: State, event: From | TimeIsUp) -> State:
    """The state after `event`. A stage ends when all have answered, or by its deadline.

    Repeats and late messages change nothing. Raises PrivacyError for what a site may not say (`privacy.` with
    `advert_invalid`, `key_weak`, `list_inconsistent`, `second_vector_refused`, `second_list_refused`,
    `step_out_of_order`): the state stays, and the site counts as silent.
    """
    if isinstance(state, Done | Aborted):
        return state
    if isinstance(event, TimeIsUp):
        return _closed(state) if event.stage == stage(state) else state
    if isinstance(state, Advertising):
        return _advertised(state, event)
    place = state.cohort.place(event.site)
    if isinstance(event.message, Refuse):
        reached = replace(state, gone=tuple(sorted({*state.gone, place})))
        return reached if waiting(reached) else _closed(reached)
    if isinstance(event.message, Advert):
        if event.message in state.cohort.adverts:
            return state
        raise PrivacyError("privacy.step_out_of_order", "the list is fixed")
    if event.list != state.cohort.digest:
        raise PrivacyError("privacy.list_inconsistent", "the signature names another list")
    earlier = _earlier(state, place, type(event.message))
    if earlier is not None:
        if earlier == event.message:
            return state
        raise PrivacyError(_second(event.message), "this site said something else before")
    if _is_late(state, event.message):
        return state
    if place not in waiting(state):
        raise PrivacyError("privacy.step_out_of_order", f"{stage(state)} does not wait for this site")
    _check(state, place, event.message)
    said = tuple(sorted((*state.said, (place, event.message)), key=lambda each: each[0]))
    reached = replace(state, said=said)  # type: ignore[arg-type] # `_check` holds that it fits the stage
    return reached if waiting(reached) else _closed(reached)


def order_for(state: State, site: str) -> Order | None:
    """What this site is to be told now; None when nothing. The same answer however often it is asked."""
    if isinstance(state, Advertising):
        return None
    if isinstance(state, Aborted):
        return Close("aborted", state.code)
    try:
        place = state.cohort.place(site)
    except PrivacyError:
        return None
    match state:
        case Agreeing():
            return SetupList(state.cohort.adverts)
        case Sharing() if place in places(state.agreed):
            return SetupCiphertexts(_for(state.cohort, place, {at: a.ciphertexts for at, a in state.agreed}))
        case Masking() if place in places(state.shared):
            boxes = _for(state.cohort, place, {at: boxes.boxes for at, boxes in state.shared})
            return SetupBoxes(boxes, places(state.shared))
        case Confirming() if place in places(state.masked):
            return SurvivorList(places(state.masked))
        case Unmasking() if place in places(state.confirmed):
            return Unmask(tuple(Confirmed(at, confirm) for at, confirm in state.confirmed))
        case Done():
            return Close("committed", "")
    return None


def _for(cohort: Cohort, place: int, lists: Mapping[int, Items]) -> Items:
    """The item that each neighbour made for `place`, in neighbour order; empty where there is none."""
    return tuple(lists[other][index_of(place, other)] if other in lists else b"" for other in cohort.neighbours(place))


def _earlier(state: Open, place: int, kind: type) -> SiteMessage | None:
    """What this site said of that kind, as far as it is kept."""
    for name in ("said", "agreed", "shared", "masked", "confirmed"):
        for at, message in getattr(state, name, ()):
            if at == place and type(message) is kind:
                return cast("SiteMessage", message)
    return None


def _is_late(state: Open, message: SiteMessage) -> bool:
    """Whether its stage is over: it changes nothing any more. A late vector is dropped, never added."""
    stages = [Agree, Boxes, Masked, Confirm, Answers]
    return stages.index(type(message)) < [Agreeing, Sharing, Masking, Confirming, Unmasking].index(type(state))


def _second(message: SiteMessage) -> str:
    if isinstance(message, Masked):
        return "privacy.second_vector_refused"
    return "privacy.second_list_refused" if isinstance(message, Confirm) else "privacy.list_inconsistent"


def _advertised(state: Advertising, event: From) -> State:
    if event.site not in state.invited:
        raise PrivacyError("privacy.step_out_of_order", "this site was not asked")
    known = {advert.site: advert for advert in state.adverts}
    match event.message:
        case Refuse():
            reached = replace(state, gone=tuple(sorted({*state.gone, event.site})))
        case Advert() if event.message.site == event.site:
            if event.site in known:
                if known[event.site] == event.message:
                    return state
                raise PrivacyError("privacy.list_inconsistent", "this site sent other keys before")
            check_advert(event.message)
            said = event.message
            if any(a.x25519 == said.x25519 or a.mlkem == said.mlkem for a in state.adverts):
                raise PrivacyError("privacy.list_inconsistent", "keys of another site")
            adverts = tuple(sorted((*state.adverts, event.message), key=lambda advert: advert.site))
            reached = replace(state, adverts=adverts)
        case _:
            raise PrivacyError("privacy.step_out_of_order", "an advert is expected")
    answered = {*reached.gone, *(advert.site for advert in reached.adverts)}
    return _closed(reached) if answered == set(reached.invited) else reached


def _check(state: Open, place: int, message: SiteMessage) -> None:
    """Raises PrivacyError for a message that is of another stage, or has other sizes than the list implies."""
    k = state.cohort.size - 1
    match state, message:
        case Agreeing(), Agree(ciphertexts):
            good = len(ciphertexts) == k and all(len(each) == CIPHERTEXT_BYTES for each in ciphertexts)
        case Sharing(), Boxes(boxes, escrow, commit_b, commit_r):
            alive = _alive(state.cohort, place, places(state.agreed))
            good = [len(box) for box in boxes] == [BOX_BYTES if there else 0 for there in alive]
            sizes = (len(escrow), len(commit_b), len(commit_r))
            good = good and sizes == (KEY_BYTES * k + TAG_BYTES, KEY_BYTES, KEY_BYTES)
        case Masking(), Masked(vector):
            good = len(vector) == KEY_BYTES
        case Confirming(), Confirm(transcript, survivors):
            same = transcript == state.attempt.transcript(expected_digest(state))
            if not same or survivors != places(state.masked):
                raise PrivacyError("privacy.second_list_refused", "confirms another list, or another round")
            good = True
        case Unmasking(), Answers():
            good = _fits(state, place, message)
        case _:
            raise PrivacyError("privacy.step_out_of_order", f"{type(message).__name__} in {stage(state)}")
    if not good:
        raise PrivacyError("privacy.list_inconsistent", f"{type(message).__name__} has not the sizes of the list")


def _alive(cohort: Cohort, place: int, places: Places) -> list[bool]:
    there = set(places)
    return [other in there for other in cohort.neighbours(place)]


def _fits(state: Unmasking, place: int, answers: Answers) -> bool:
    """Whether each neighbour has the one share that the survivor list asks for."""
    survived = _alive(state.cohort, place, places(state.masked))
    expected = _alive(state.cohort, place, places(state.shared))
    lists = (answers.b_shares, answers.r_shares, answers.seed_checks)
    if any(len(each) != len(survived) for each in lists):
        return False
    return all(
        (is_share(b) if lives else not b)
        and (is_share(r) and len(check) == SEED_CHECK_BYTES if waits and not lives else not r and not check)
        for b, r, check, lives, waits in zip(*lists, survived, expected, strict=True)
    )


def _closed(state: Advertising | Open) -> State:
    """The next stage, with what there is."""
    try:
        return _next(state)
    except PrivacyError as error:
        return Aborted(state.attempt, error.code, error.detail, charged=isinstance(state, Unmasking))


def _next(state: Advertising | Open) -> State:
    match state:
        case Advertising():
            cohort = Cohort(state.adverts)
            _enough(state.attempt, cohort, tuple(range(cohort.size)), surviving=False)
            return Agreeing(state.attempt, cohort)
        case Agreeing():
            _enough(state.attempt, state.cohort, places(state.said), surviving=False)
            return Sharing(state.attempt, state.cohort, state.said)
        case Sharing():
            _enough(state.attempt, state.cohort, places(state.said), surviving=False)
            return Masking(state.attempt, state.cohort, state.said)
        case Masking():
            _enough(state.attempt, state.cohort, places(state.said), surviving=True)
            return Confirming(state.attempt, state.cohort, state.shared, state.said)
        case Confirming():
            if len(state.said) - 1 < state.cohort.threshold:
                raise PrivacyError("privacy.threshold_missed", f"{len(state.said)} confirmations")
            return Unmasking(state.attempt, state.cohort, state.shared, state.masked, state.said)
        case Unmasking():
            expected, survivors = places(state.shared), places(state.masked)
            transcript = state.attempt.transcript(expected_digest(state))
            opened = open_secrets(state.cohort, dict(state.shared), survivors, dict(state.said), transcript)
            return Done(state.attempt, state.cohort, expected, state.masked, opened)


def _enough(attempt: Attempt, cohort: Cohort, places: Places, *, surviving: bool) -> None:
    if len(places) - 1 < cohort.threshold or not attempt.minima.enough(cohort.subjects(places), surviving=surviving):
        code = "privacy.threshold_missed" if surviving else "privacy.neighbours_too_few"
        raise PrivacyError(code, f"{len(places)} sites are below the minima")
