"""Two parties come to terms: each step of the table, who makes it, and what is signed."""

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Did, verify_document
from didymos_marketplace.application.negotiate import (
    OpenNegotiation,
    move,
    open_negotiation,
    propose,
    read_negotiation,
)
from didymos_marketplace.domain.agreement import Negotiation
from didymos_marketplace.domain.book import buyer_account, escrow_account
from didymos_marketplace.domain.negotiation import Message, State
from didymos_testing.did import INSTITUTE, STRANGER
from didymos_testing.market import PRICE, Desk, a_urn


def state(negotiation: Negotiation) -> State | None:
    return negotiation.standing.state


async def proposed(desk: Desk, negotiation: Negotiation, minor: int, by: Did) -> Negotiation:
    return (await desk(lambda work: propose(negotiation.provider_pid, minor, by, work, desk.clock)))[0]


async def moved(desk: Desk, negotiation: Negotiation, message: Message, by: Did) -> Negotiation:
    return (await desk(lambda work: move(negotiation.provider_pid, message, by, work, desk.clock)))[0]


async def test_a_request_that_both_sign_and_that_is_paid_becomes_final(desk: Desk) -> None:
    await desk.pay_in(PRICE + 5)
    requested = await desk.request()
    agreed = await desk.sign(requested)
    verified = await desk.countersign(agreed)
    agreement = await desk.finish(verified)
    assert [state(one) for one in (requested, agreed, verified)] == [State.REQUESTED, State.AGREED, State.VERIFIED]
    assert desk.published[-5:] == ["NegotiationMoved"] * 4 + ["AgreementMade"]
    balances = await desk.balances()
    assert balances[escrow_account(agreement.id)] == PRICE
    assert balances[buyer_account(INSTITUTE.did)] == 5


async def test_an_agreement_carries_both_proofs_over_the_same_words_provider_first(desk: Desk) -> None:
    agreement = await desk.agreed()
    words = {name: member for name, member in agreement.terms.items() if name != "proof"}
    for proof, signer in zip(agreement.terms["proof"], (desk.org, INSTITUTE), strict=True):
        verify_document({**words, "proof": proof}, signer.did)
    assert words["@id"] == agreement.id
    assert (words["assigner"], words["assignee"]) == (desk.org.did, INSTITUTE.did)


async def test_a_price_is_haggled_over_and_the_last_one_is_agreed(desk: Desk) -> None:
    asked = await desk.request(minor=100)
    offered = await proposed(desk, asked, 90_000, desk.org.did)
    again = await proposed(desk, offered, 80_000, INSTITUTE.did)
    offered = await proposed(desk, again, 85_000, desk.org.did)
    accepted = await moved(desk, offered, Message.ACCEPT, INSTITUTE.did)
    assert [state(one) for one in (asked, offered, again, accepted)] == [
        State.REQUESTED, State.OFFERED, State.REQUESTED, State.ACCEPTED,
    ]  # fmt: skip
    await desk.pay_in(85_000)
    agreement = await desk.finish(await desk.countersign(await desk.sign(accepted)))
    assert agreement.price.minor == 85_000


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("by_buyer", [True, False])
async def test_either_side_may_end_what_is_open(desk: Desk, steps: int, by_buyer: bool) -> None:
    negotiation = await desk.request()
    for step in (desk.sign, desk.countersign)[:steps]:
        negotiation = await step(negotiation)
    who = INSTITUTE.did if by_buyer else desk.org.did
    assert state(await moved(desk, negotiation, Message.TERMINATE, who)) is State.TERMINATED


async def test_what_is_final_cannot_be_ended_signed_or_priced_again(desk: Desk) -> None:
    await desk.pay_in()
    verified = await desk.countersign(await desk.sign(await desk.request()))
    await desk.finish(verified)
    for attempt in (
        moved(desk, verified, Message.TERMINATE, INSTITUTE.did), proposed(desk, verified, 5, desk.org.did),
        desk.sign(verified), desk.countersign(verified), desk.finish(verified),
    ):  # fmt: skip
        with pytest.raises(Problem, match=r"market\.out_of_order"):
            await attempt


async def test_a_side_cannot_make_the_move_of_the_other(desk: Desk) -> None:
    offered = await proposed(desk, await desk.request(), 90_000, desk.org.did)
    with pytest.raises(Problem, match=r"market\.wrong_side"):
        await moved(desk, offered, Message.ACCEPT, desk.org.did)


async def test_neither_side_haggles_for_ever(desk: Desk) -> None:
    negotiation = await desk.request()
    for _ in range(9):
        negotiation = await proposed(desk, negotiation, 5, desk.org.did)
        negotiation = await proposed(desk, negotiation, 4, INSTITUTE.did)
    negotiation = await proposed(desk, negotiation, 5, desk.org.did)
    with pytest.raises(Problem, match=r"market\.too_many_offers"):
        await proposed(desk, negotiation, 4, INSTITUTE.did)


async def test_a_signature_over_an_older_price_is_refused(desk: Desk) -> None:
    first = await desk.request()
    desk.clock.advance(2)
    await proposed(desk, await proposed(desk, first, 7, desk.org.did), 8, INSTITUTE.did)
    with pytest.raises(Problem, match=r"market\.terms_differ"):
        await desk.sign(first)


async def test_a_proof_of_somebody_else_signs_nothing(desk: Desk) -> None:
    negotiation = await desk.request()
    with pytest.raises(Problem, match=r"market\.signature_invalid"):
        await desk.sign(negotiation, STRANGER)
    agreed = await desk.sign(negotiation)
    with pytest.raises(Problem, match=r"market\.signature_invalid"):
        await desk.countersign(agreed, STRANGER)


async def test_nothing_is_final_without_the_money_and_a_deposit_lets_it_go_on(desk: Desk) -> None:
    await desk.pay_in(PRICE - 1)
    verified = await desk.countersign(await desk.sign(await desk.request()))
    with pytest.raises(Problem, match=r"market\.not_covered"):
        await desk.finish(verified)
    assert (await desk.balances()).get(escrow_account(verified.agreement), 0) == 0
    await desk.pay_in(1)
    assert (await desk.finish(verified)).price.minor == PRICE


async def test_owners_who_revoke_before_the_end_stop_it_and_no_money_moves(desk: Desk) -> None:
    await desk.pay_in()
    verified = await desk.countersign(await desk.sign(await desk.request()))
    desk.allowed.revoked |= {person.grant.id for person in desk.allowed.people[:2]}
    with pytest.raises(Problem, match=r"market\.below_cohort"):
        await desk.finish(verified)
    assert (await desk.balances())[buyer_account(INSTITUTE.did)] == PRICE


async def test_a_request_sent_twice_opens_one_negotiation(desk: Desk) -> None:
    published = await desk.publish()
    wanted = OpenNegotiation(published.offer.id, a_urn())
    first, _ = await desk(lambda work: open_negotiation(wanted, INSTITUTE.did, work, desk.clock, desk.ids))
    again, _ = await desk(lambda work: open_negotiation(wanted, INSTITUTE.did, work, desk.clock, desk.ids))
    assert first == again
    assert desk.published.count("NegotiationMoved") == 1


async def test_a_stranger_sees_neither_the_negotiation_nor_an_offer_to_another(desk: Desk) -> None:
    negotiation = await desk.request()
    with pytest.raises(Problem, match=r"platform\.not_found"):
        await desk(lambda work: read_negotiation(negotiation.provider_pid, STRANGER.did, work))
    wanted = OpenNegotiation(negotiation.offer, a_urn())
    with pytest.raises(Problem, match=r"platform\.not_found"):
        await desk(lambda work: open_negotiation(wanted, STRANGER.did, work, desk.clock, desk.ids))
    with pytest.raises(Problem, match=r"platform\.not_found"):
        await desk(lambda work: read_negotiation(a_urn(), INSTITUTE.did, work))


async def test_what_nobody_ended_in_14_days_can_only_be_ended(desk: Desk) -> None:
    negotiation = await desk.request()
    desk.clock.advance(14 * 24 * 3600 - 1)
    negotiation = await proposed(desk, negotiation, 90_000, desk.org.did)
    desk.clock.advance(1)
    with pytest.raises(Problem, match=r"market\.expired"):
        await moved(desk, negotiation, Message.ACCEPT, INSTITUTE.did)
    assert state(await moved(desk, negotiation, Message.TERMINATE, INSTITUTE.did)) is State.TERMINATED


async def test_an_offer_of_one_specification_makes_an_agreement_of_it(desk: Desk) -> None:
    offer = desk.offer(spec="ab" * 32)
    await desk.publish(offer)
    wanted = OpenNegotiation(offer.id, a_urn())
    negotiation, published = await desk(
        lambda work: open_negotiation(wanted, INSTITUTE.did, work, desk.clock, desk.ids)
    )
    assert published.offer == offer
    assert (await desk.sign(negotiation)).terms["didymos:spec"] == "ab" * 32  # type: ignore[index]
