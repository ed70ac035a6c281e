"""Tickets by themselves: whose they are, for how long, and whatever else is brought in their place."""

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Did
from didymos_did.multibase import b64u
from didymos_kit.access import Principal
from didymos_kit.clock import from_us
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH
from didymos_testing.kit import Issuer
from didymos_twin_state.entrypoints.tickets import SECONDS, Tickets
from hypothesis import given
from hypothesis import strategies as st


def a_principal(issuer: Issuer, seconds: int = 300) -> Principal:
    until = from_us(issuer.clock.now_us() + seconds * 1_000_000)
    return Principal(OWNER.did, RESEARCH, Did(INSTITUTE.did), frozenset({"read"}), until)


async def test_a_ticket_gives_back_who_asked_for_it() -> None:
    issuer = Issuer()
    tickets = Tickets(b"s" * 32, issuer.access)
    assert await tickets.redeem(tickets.issue(a_principal(issuer))) == a_principal(issuer)


@pytest.mark.parametrize(("token_seconds", "later"), [(300, SECONDS), (5, 5)])
async def test_a_ticket_ends_after_30_seconds_and_with_the_token_at_the_latest(token_seconds: int, later: int) -> None:
    issuer = Issuer()
    tickets = Tickets(b"s" * 32, issuer.access)
    ticket = tickets.issue(a_principal(issuer, token_seconds))
    issuer.clock.advance(later)
    with pytest.raises(Problem, match=r"platform\.unauthenticated"):
        await tickets.redeem(ticket)


async def test_a_ticket_of_another_house_opens_nothing() -> None:
    issuer = Issuer()
    ticket = Tickets(b"t" * 32, issuer.access).issue(a_principal(issuer))
    with pytest.raises(Problem, match=r"platform\.unauthenticated"):
        await Tickets(b"s" * 32, issuer.access).redeem(ticket)


@given(st.text(max_size=60) | st.binary(max_size=60).map(b64u))
async def test_whatever_is_brought_is_no_ticket(ticket: str) -> None:
    with pytest.raises(Problem, match=r"platform\.unauthenticated"):
        await Tickets(b"s" * 32, Issuer().access).redeem(ticket)
