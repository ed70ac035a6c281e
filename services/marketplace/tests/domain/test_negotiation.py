"""A negotiation stays inside its table, whatever is sent."""

from didymos_marketplace.domain.negotiation import OPEN, Message, Refusal, Role, Standing, State, step
from hypothesis import given
from hypothesis import strategies as st

moves = st.lists(st.tuples(st.sampled_from(Role), st.sampled_from(Message)), max_size=30)


def played(sent: list[tuple[Role, Message]]) -> list[Standing]:
    seen = [Standing()]
    for role, message in sent:
        then = step(seen[-1], role, message)
        if isinstance(then, Standing):
            seen.append(then)
    return seen


STRAIGHT = [
    (Role.CONSUMER, Message.REQUEST),
    (Role.PROVIDER, Message.AGREE),
    (Role.CONSUMER, Message.VERIFY),
    (Role.PROVIDER, Message.FINALIZE),
]


def test_a_request_that_is_agreed_and_verified_becomes_final() -> None:
    assert [one.state for one in played(STRAIGHT)] == [
        None, State.REQUESTED, State.AGREED, State.VERIFIED, State.FINALIZED,
    ]  # fmt: skip


@given(moves)
def test_nothing_is_final_that_both_sides_did_not_sign(sent: list[tuple[Role, Message]]) -> None:
    states = [one.state for one in played(sent)]
    if State.FINALIZED in states:
        assert states.index(State.AGREED) < states.index(State.VERIFIED) < states.index(State.FINALIZED)


@given(moves)
def test_an_ended_negotiation_stays_as_it_is(sent: list[tuple[Role, Message]]) -> None:
    last = played(sent)[-1]
    if last.state not in OPEN and last.state is not None:
        for role in Role:
            for message in Message:
                assert step(last, role, message) is Refusal.OUT_OF_ORDER


def test_a_buyer_cannot_finalise() -> None:
    standing = played(STRAIGHT[:3])[-1]
    assert step(standing, Role.CONSUMER, Message.FINALIZE) is Refusal.WRONG_ROLE


def test_neither_side_can_haggle_for_ever() -> None:
    haggling = [(Role.CONSUMER, Message.REQUEST), (Role.PROVIDER, Message.OFFER)] * 10
    standing = played(haggling)[-1]
    assert step(standing, Role.CONSUMER, Message.REQUEST) is Refusal.TOO_MANY_OFFERS
