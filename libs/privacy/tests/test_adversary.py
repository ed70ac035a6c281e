"""A scripted coordinator that wants one site's update: each way is refused, with its code. privacy.md section 9."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from didymos_did import Ed25519Signer
from didymos_privacy import (
    Advert,
    Advertised,
    Answers,
    Attempt,
    Confirm,
    Confirmed,
    From,
    Left,
    Masked,
    Order,
    PrivacyError,
    Refuse,
    Sent,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SurvivorList,
    Unmask,
    collect,
    sign_message,
    start,
    tag_of,
    verify_message,
)
from didymos_testing.privacy import World, a_confirm, a_world, an_attempt, names

VICTIM = names(6)[2]


def until(world: World, order: type) -> Any:
    """The first order of this kind for the victim, which does not get it; all before went well."""
    caught: list[Order] = []

    def catch(name: str, given: Order) -> Order:
        if name == VICTIM and isinstance(given, order):
            caught.append(given)
            raise StopIteration
        return given

    world.tamper = catch
    with pytest.raises(StopIteration):
        world.run()
    return caught[0]


def refused(reply: object) -> str:
    assert isinstance(reply, Refuse), reply
    return reply.code


def confirmations(world: World, survivors: tuple[int, ...], attempt: Attempt) -> tuple[Confirmed, ...]:
    """What survivors would sign of another list; their signatures are not forged here, their content is."""
    state = world.sites[VICTIM].state
    assert not isinstance(state, Advertised | Left | None)
    transcript = attempt.transcript(state.cohort.expected_digest(tuple(range(6))))
    return tuple(Confirmed(place, Confirm(transcript, survivors)) for place in survivors)


def test_both_secrets_of_a_peer_cannot_be_had() -> None:
    world = a_world(6)
    everyone = (0, 1, 2, 3, 4, 5)
    unmask = until(world, Unmask)
    victim = world.sites[VICTIM]
    assert isinstance(victim.told(unmask), Answers)
    without_five = (0, 1, 2, 3, 4)
    assert refused(victim.told(SurvivorList(without_five))) == "privacy.second_list_refused"
    forged = Unmask(confirmations(world, without_five, victim.attempt))
    assert refused(victim.told(forged)) == "privacy.second_list_refused"
    answers = victim.told(unmask)
    assert all(bool(b) != bool(r) for b, r in zip(answers.b_shares, answers.r_shares, strict=True))
    assert everyone == unmask.confirmations[0].confirm.survivors


def test_one_survivor_list_is_confirmed_and_a_repeat_gets_the_same_answer() -> None:
    world = a_world(6)
    given = until(world, SurvivorList)
    victim = world.sites[VICTIM]
    first = victim.told(given)
    assert isinstance(first, Confirm)
    assert victim.told(given) == first
    assert refused(victim.told(SurvivorList((0, 1, 2, 3, 4)))) == "privacy.second_list_refused"
    assert victim.told(given) == first


def test_survivors_that_stand_by_another_list_open_nothing() -> None:
    world = a_world(6)
    given = until(world, Unmask)
    victim = world.sites[VICTIM]
    other = Confirm(given.confirmations[0].confirm.transcript, (0, 1, 2, 3, 4))
    split = Unmask((Confirmed(0, other), *given.confirmations[1:]))
    assert refused(victim.told(split)) == "privacy.second_list_refused"


def test_too_few_confirmations_open_nothing() -> None:
    world = a_world(6)
    given = until(world, Unmask)
    few = Unmask(tuple(each for each in given.confirmations if each.place in (0, 1, 2, 3)))
    assert refused(world.sites[VICTIM].told(few)) == "privacy.threshold_missed"  # three others, four needed
    assert isinstance(world.sites[VICTIM].told(given), Answers)


@pytest.mark.parametrize("survivors", [(2, 3, 4), (2,), (0, 1, 3, 4, 5), (0, 1, 2, 2, 3, 4), (4, 3, 2, 1, 0), (2, 9)])
def test_too_few_survivors_or_lists_that_are_none_are_not_confirmed(survivors: tuple[int, ...]) -> None:
    world = a_world(6)
    until(world, SurvivorList)
    code = refused(world.sites[VICTIM].told(SurvivorList(survivors)))
    assert code in {"privacy.threshold_missed", "privacy.list_inconsistent", "privacy.overlap_refused"}


def test_a_swapped_ciphertext_opens_no_box() -> None:
    world = a_world(6)
    swapped: list[str] = []

    def swap(name: str, given: Order) -> Order:
        if name == VICTIM and isinstance(given, SetupCiphertexts):
            swapped.append(name)
            first, second, *others = given.ciphertexts
            return SetupCiphertexts((second, first, *others))
        return given

    world.tamper = swap
    world.run()
    assert swapped
    assert "privacy.box_invalid" in world.codes()


def test_a_box_of_another_pair_is_not_opened() -> None:
    world = a_world(6)
    given = until(world, SetupBoxes)
    first, second, *others = given.boxes
    code = refused(world.sites[VICTIM].told(SetupBoxes((second, first, *others), given.expected)))
    assert code == "privacy.box_invalid"
    assert isinstance(world.sites[VICTIM].state, Left)


def test_a_replayed_round_finds_other_keys() -> None:
    old = until(a_world(6), SetupList)
    fresh = a_world(6, an_attempt(round=4))
    victim = fresh.sites[VICTIM]
    victim.state, _ = start(victim.attempt, VICTIM, 3, b"another secret, 32 bytes, fresh!")
    assert refused(victim.told(old)) == "privacy.list_inconsistent"


def test_a_second_vector_of_a_round_is_not_masked() -> None:
    world = a_world(6)
    until(world, SurvivorList)
    victim = world.sites[VICTIM]
    assert isinstance(victim.state, Sent)
    victim.vector = victim.vector + np.uint32(1)
    again = victim.masked()
    assert refused(again) == "privacy.second_vector_refused"


def test_a_substituted_key_is_seen_by_its_site() -> None:
    given = until(a_world(6), SetupList)
    world = a_world(6)
    until(world, SetupList)
    mine = given.adverts[2]
    _, stranger = start(an_attempt(), mine.site, 3, b"k" * 32)
    adverts = tuple(stranger if advert == mine else advert for advert in given.adverts)
    assert refused(world.sites[VICTIM].told(SetupList(adverts))) == "privacy.list_inconsistent"


def test_a_key_of_two_sites_is_refused() -> None:
    world = a_world(6)
    given = until(world, SetupList)
    doubled = replace(given.adverts[1], x25519=given.adverts[0].x25519)
    adverts = (given.adverts[0], doubled, *given.adverts[2:])
    assert refused(world.sites[VICTIM].told(SetupList(adverts))) == "privacy.list_inconsistent"


@pytest.mark.parametrize("weak", [bytes(32), b"\x01" + bytes(31)])
def test_a_weak_key_is_refused(weak: bytes) -> None:
    world = a_world(6)
    given = until(world, SetupList)
    adverts = (replace(given.adverts[0], x25519=weak), *given.adverts[1:])
    assert refused(world.sites[VICTIM].told(SetupList(adverts))) == "privacy.key_weak"


def test_a_shrunk_cohort_is_refused() -> None:
    world = a_world(6)
    given = until(world, SetupList)
    assert refused(world.sites[VICTIM].told(SetupList(given.adverts[:3]))) == "privacy.neighbours_too_few"
    later = a_world(6)
    boxes = until(later, SetupBoxes)
    few = SetupBoxes(boxes.boxes, (1, 2, 3))
    assert refused(later.sites[VICTIM].told(few)) == "privacy.neighbours_too_few"


def test_other_parameters_for_one_site_end_in_no_answer() -> None:
    """Its masks would not cancel; and its neighbours' confirmations show it, before any share is told."""
    world = a_world(6)
    world.sites[VICTIM].attempt = an_attempt(params=b"q" * 32)
    caught: list[Order] = []

    def catch(name: str, given: Order) -> Order:
        if name == VICTIM:
            caught.append(given)
        return given

    world.tamper = catch
    with pytest.raises(PrivacyError) as raised:  # what the victim confirms is of another transcript
        world.run()
    assert raised.value.code == "privacy.second_list_refused"
    victim = world.sites[VICTIM]
    honest = Unmask(confirmations(world, (0, 1, 2, 3, 4, 5), an_attempt()))
    assert refused(victim.told(honest)) == "privacy.second_list_refused"


def test_steps_out_of_order_change_nothing() -> None:
    world = a_world(6)
    given = until(world, SetupList)
    victim = world.sites[VICTIM]
    for order in (SetupCiphertexts(()), SetupBoxes((), ()), SurvivorList((0,)), Unmask(())):
        before = victim.state
        assert refused(victim.told(order)) == "privacy.step_out_of_order"
        assert victim.state == before
    assert not isinstance(victim.told(given), Refuse)
    assert refused(victim.masked()) == "privacy.step_out_of_order"


def test_a_signature_of_another_step_site_or_body_is_no_signature() -> None:
    signer = Ed25519Signer(b"7" * 32)
    signed = sign_message(Masked, b"body", signer)
    verify_message(Masked, signed, signer.did)
    assert tag_of(Refuse("privacy.key_weak", "")) == "site-signal"
    wrong = [
        (Confirm, signed, signer.did),
        (Masked, signed, Ed25519Signer(b"8" * 32).did),
        (Masked, replace(signed, body=b"other"), signer.did),
    ]
    for kind, forged, site in wrong:
        with pytest.raises(PrivacyError, match=r"privacy\.advert_invalid"):
            verify_message(kind, forged, site)


def test_no_order_of_messages_opens_two_sums() -> None:
    """Every answer of a site follows the one list it confirmed, whatever comes between."""
    world = a_world(6)
    given = until(world, SurvivorList)
    victim = world.sites[VICTIM]
    lists = [(0, 1, 2, 3, 4), given.survivors, (1, 2, 3, 4, 5)]
    for survivors in lists:
        victim.told(SurvivorList(survivors))
    confirmed = a_confirm(victim).survivors
    answered = []
    for survivors in lists:
        state = victim.state
        assert not isinstance(state, Advertised | Left | None)
        reply = victim.told(Unmask(confirmations(world, survivors, victim.attempt)))
        answered += [survivors] if isinstance(reply, Answers) else []
    assert answered in ([confirmed], [])
    assert answered == [lists[0]]


@pytest.mark.parametrize("advert", [Advert("a", b"x", b"y", 1), Advert("a", bytes(32), bytes(1184), 0)])
def test_an_advert_of_wrong_sizes_is_none(advert: Advert) -> None:
    name = names(6)[0]
    said = From(name, b"", replace(advert, site=name))
    with pytest.raises(PrivacyError, match=r"privacy\.advert_invalid"):
        collect(a_world(6).state, said)
