"""Two parties come to terms over an offer: each message is one step of the table in `domain.negotiation`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.market import (
    MARKET_EXPIRED,
    MARKET_OUT_OF_ORDER,
    MARKET_SIGNATURE_INVALID,
    MARKET_TERMS_DIFFER,
    MARKET_TOO_MANY_OFFERS,
    MARKET_WRONG_SIDE,
)
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN, PLATFORM_NOT_FOUND
from didymos_did import Did, DidError
from didymos_kit.clock import Clock
from didymos_kit.ids import Ids
from didymos_provenance import thread_of

from didymos_marketplace.application.check_cover import check_cover
from didymos_marketplace.application.ports import Consent, Owners, Published, Tables, Work
from didymos_marketplace.domain.agreement import (
    Agreement,
    Negotiation,
    draft,
    signed_by_both,
    signed_by_provider,
    unsigned,
)
from didymos_marketplace.domain.book import Transfer, buyer_account, escrow_account
from didymos_marketplace.domain.negotiation import Message, Refusal, Role, Standing, step
from didymos_marketplace.domain.offer import Price

_REFUSALS: Final = {
    Refusal.OUT_OF_ORDER: MARKET_OUT_OF_ORDER,
    Refusal.WRONG_ROLE: MARKET_WRONG_SIDE,
    Refusal.TOO_MANY_OFFERS: MARKET_TOO_MANY_OFFERS,
}
Open = tuple[Negotiation, Published]


@dataclass(frozen=True, slots=True)
class OpenNegotiation:
    """A buyer asks for an offer. `minor`: another price than that of the offer, if the buyer wants one."""

    offer: str
    consumer_pid: str
    minor: int | None = None


async def open_negotiation(request: OpenNegotiation, caller: Did, work: Work, clock: Clock, ids: Ids) -> Open:
    """REQUESTED. The same consumer pid of a buyer again gets the negotiation that it opened.

    Raises PLATFORM_NOT_FOUND for an offer that is unknown or made to another recipient.
    """
    published = await work.offers.find(request.offer)
    if published is None or published.offer.recipient != caller:
        raise PLATFORM_NOT_FOUND.problem(offer=request.offer)
    known = await work.negotiations.of_buyer(caller, request.consumer_pid)
    if known is not None:
        return known, published
    offer, now = published.offer, _whole_second(clock.now())
    started = Negotiation(
        f"urn:uuid:{ids.uuid7()}", request.consumer_pid, f"urn:uuid:{ids.uuid7()}", offer.id, offer.provider, caller,
        _priced(offer.price, request.minor), _stepped(Standing(), Role.CONSUMER, Message.REQUEST), now, now,
    )  # fmt: skip
    await work.negotiations.add(started)
    work.announce.negotiation_moved(started)
    return started, published


async def read_negotiation(provider_pid: str, caller: Did, work: Tables) -> Open:
    """For its two parties. Raises PLATFORM_NOT_FOUND for all others and for no negotiation alike."""
    return await _visible(await work.negotiations.find(provider_pid), provider_pid, caller, work)


async def _locked(provider_pid: str, caller: Did, work: Work) -> Open:
    return await _visible(await work.negotiations.lock(provider_pid), provider_pid, caller, work)


async def _visible(negotiation: Negotiation | None, provider_pid: str, caller: Did, tables: Tables) -> Open:
    if negotiation is None or caller not in (negotiation.provider, negotiation.buyer):
        raise PLATFORM_NOT_FOUND.problem(negotiation=provider_pid)
    published = await tables.offers.find(negotiation.offer)
    if published is None:
        raise PLATFORM_NOT_FOUND.problem(offer=negotiation.offer)
    return negotiation, published


async def propose(provider_pid: str, minor: int, caller: Did, work: Work, clock: Clock) -> Open:
    """A price: an offer of the provider, or the request of the buyer for another one."""
    negotiation, published = await _locked(provider_pid, caller, work)
    message = Message.OFFER if caller == negotiation.provider else Message.REQUEST
    priced = replace(negotiation, price=Price(negotiation.price.asset, minor))
    return await _moved(priced, message, caller, work, clock), published


async def move(provider_pid: str, message: Message, caller: Did, work: Work, clock: Clock) -> Open:
    """ACCEPT or TERMINATE: a message without content."""
    negotiation, published = await _locked(provider_pid, caller, work)
    return await _moved(negotiation, message, caller, work, clock), published


@dataclass(frozen=True, slots=True)
class Cover:
    """What says whether owners still allow it."""

    consent: Consent
    owners: Owners


async def agree(
    provider_pid: str, document: Mapping[str, Any], caller: Did, work: Work, cover: Cover, clock: Clock
) -> Open:
    """AGREED: the provider signed the agreement as `draft` words it. Raises MARKET_TERMS_DIFFER for other words."""
    negotiation, published = await _locked(provider_pid, caller, work)
    _stepped(negotiation.standing, _role(negotiation, caller), Message.AGREE)
    check_cover(published.offer, cover.consent, cover.owners, clock.now())
    drafted, proof = draft(negotiation, published.offer), document.get("proof")
    if unsigned(document) != drafted:
        raise MARKET_TERMS_DIFFER.problem(
            pointer="/document", detail="the agreement of this negotiation reads otherwise"
        )
    signed = _signed(
        lambda: signed_by_provider(drafted, proof if isinstance(proof, dict) else {}, negotiation.provider)
    )
    agreed = replace(negotiation, terms=signed)
    return await _moved(agreed, Message.AGREE, caller, work, clock), published


async def verify(provider_pid: str, proof: Mapping[str, Any], caller: Did, work: Work, clock: Clock) -> Open:
    """VERIFIED: the buyer signed the same agreement."""
    negotiation, published = await _locked(provider_pid, caller, work)
    _stepped(negotiation.standing, _role(negotiation, caller), Message.VERIFY)
    terms = negotiation.terms or {}
    signed = _signed(lambda: signed_by_both(terms, proof, negotiation.buyer))
    return await _moved(replace(negotiation, terms=signed), Message.VERIFY, caller, work, clock), published


async def finalise(provider_pid: str, caller: Did, work: Work, cover: Cover, clock: Clock) -> Agreement:
    """FINALIZED: owners still allow it, and the buyer's money is held.

    Raises MARKET_NOT_COVERED while the buyer's account lacks it, and what `check_cover` raises: nothing has moved then.
    """
    negotiation, published = await _locked(provider_pid, caller, work)
    _stepped(negotiation.standing, _role(negotiation, caller), Message.FINALIZE)
    offer, price = published.offer, negotiation.price
    check_cover(offer, cover.consent, cover.owners, clock.now())
    agreement = Agreement(
        negotiation.agreement, thread_of(negotiation.agreement), negotiation.provider, negotiation.buyer, offer.id,
        price, offer.rounds, offer.fee_basis_points, negotiation.terms or {}, _whole_second(clock.now()),
    )  # fmt: skip
    await work.book.book(
        Transfer(
            f"{agreement.id}:funded", price.asset, buyer_account(agreement.buyer), escrow_account(agreement.id),
            price.minor,
        ),
        clock.now(),
    )  # fmt: skip
    await work.agreements.add(agreement)
    await _moved(negotiation, Message.FINALIZE, caller, work, clock)
    work.announce.agreement_made(agreement)
    return agreement


async def _moved(negotiation: Negotiation, message: Message, caller: Did, work: Work, clock: Clock) -> Negotiation:
    """The negotiation one step on, stored and announced. A draft is dated by the last proposal, not by signatures."""
    if message is not Message.TERMINATE and negotiation.expired(clock.now()):
        raise MARKET_EXPIRED.problem(opened_at=negotiation.opened_at.isoformat())
    after = _stepped(negotiation.standing, _role(negotiation, caller), message)
    signs = message in (Message.AGREE, Message.VERIFY, Message.FINALIZE)
    at = negotiation.moved_at if signs else _whole_second(clock.now())
    moved = replace(negotiation, standing=after, moved_at=at)
    await work.negotiations.save(moved)
    work.announce.negotiation_moved(moved)
    return moved


def _stepped(standing: Standing, role: Role, message: Message) -> Standing:
    after = step(standing, role, message)
    if isinstance(after, Refusal):
        state = "none" if standing.state is None else standing.state.value
        raise _REFUSALS[after].problem(state=state, message=message.value, detail=after.value)
    return after


def _role(negotiation: Negotiation, caller: Did) -> Role:
    if caller == negotiation.provider:
        return Role.PROVIDER
    if caller == negotiation.buyer:
        return Role.CONSUMER
    raise PLATFORM_FORBIDDEN.problem()


def _signed(sign: Any) -> dict[str, Any]:  # noqa: ANN401 - a call that verifies
    try:
        signed: dict[str, Any] = sign()
    except DidError as error:
        raise _unsigned(error) from error
    return signed


def _unsigned(error: DidError) -> Problem:
    return MARKET_SIGNATURE_INVALID.problem(pointer="/proof", detail=error.detail)


def _priced(price: Price, minor: int | None) -> Price:
    return price if minor is None else Price(price.asset, minor)


def _whole_second(at: datetime) -> datetime:
    return at - timedelta(microseconds=at.microsecond)
