"""REST of the market. Every POST may carry an `Idempotency-Key`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from didymos_contracts.errors import market as rows
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import (
    PLATFORM_FORBIDDEN,
    PLATFORM_IDEMPOTENCY_BUSY,
    PLATFORM_IDEMPOTENCY_MISMATCH,
    PLATFORM_NOT_FOUND,
)
from didymos_did import Did, parse_did
from didymos_kit.clock import Clock
from didymos_kit.dispatch import TOKEN, Dispatcher
from didymos_kit.http.idempotency import REPLAYED, Answers, idempotent
from didymos_kit.http.paging import CursorQuery, Cursors, Limit
from didymos_kit.http.principal import Caller, authenticate
from didymos_kit.http.problems import problems
from didymos_kit.ids import Ids
from didymos_kit.telemetry.metrics import Counter
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from didymos_marketplace.application.deposit import Deposit, deposit
from didymos_marketplace.application.negotiate import (
    Cover,
    Open,
    OpenNegotiation,
    agree,
    finalise,
    move,
    open_negotiation,
    propose,
    read_negotiation,
    verify,
)
from didymos_marketplace.application.ports import Reads, Work
from didymos_marketplace.application.publish_offer import publish_offer
from didymos_marketplace.application.read_market import read_account, read_agreement, read_settlement
from didymos_marketplace.domain.negotiation import Message
from didymos_marketplace.domain.offer import Price, parse_asset
from didymos_marketplace.entrypoints import shapes

MOVES = problems(
    rows.MARKET_OUT_OF_ORDER, rows.MARKET_WRONG_SIDE, rows.MARKET_TOO_MANY_OFFERS, rows.MARKET_EXPIRED,
    rows.MARKET_TERMS_DIFFER, rows.MARKET_SIGNATURE_INVALID, rows.MARKET_NOT_COVERED, rows.MARKET_OFFER_EXCEEDS_GRANTS,
    rows.MARKET_BELOW_COHORT, CONSENT_STALE, PLATFORM_NOT_FOUND, PLATFORM_IDEMPOTENCY_BUSY,
    PLATFORM_IDEMPOTENCY_MISMATCH,
)  # fmt: skip
HIDDEN = problems(PLATFORM_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with. `services`: DIDs of this house that act under agreements."""

    dispatch: Dispatcher[Work]
    reads: Reads
    answers: Answers
    cover: Cover
    administrators: frozenset[Did]
    services: frozenset[Did]
    cursors: Cursors
    clock: Clock
    ids: Ids
    wait: Callable[[str | None], Awaitable[None]]
    agreed: Counter
    terminated: Counter

    async def write(
        self, request: Request, caller: Did, use_case: Callable[[Work], Awaitable[Any]],
        show: Callable[[Any], Any], status: int = 200,
    ) -> Response:  # fmt: skip
        """One transaction, answered once under its `Idempotency-Key`; waits for what a Consistency-Token names."""

        async def work() -> Response:
            await self.wait(request.headers.get(TOKEN))
            done = await self.dispatch(use_case)
            headers = {TOKEN: done.token} if done.token else {}
            return JSONResponse(show(done.value), status if done.placed else 202, headers)

        return await idempotent(request, caller, self.answers, self.clock, work)


def routes(desk: Desk) -> tuple[APIRouter, ...]:
    return offers(desk), negotiations(desk), signatures(desk), accounts(desk), agreements(desk)


def offers(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/offers", tags=["offers"])

    @router.post("", status_code=201, responses=problems(
        rows.MARKET_OFFER_EXCEEDS_GRANTS, rows.MARKET_BELOW_COHORT, rows.MARKET_SIGNATURE_INVALID, rows.MARKET_ID_TAKEN,
        PLATFORM_FORBIDDEN, CONSENT_STALE,
    ))  # fmt: skip
    async def publish(body: shapes.PublishBody, caller: Caller, request: Request) -> Response:
        """Publish an offer that the caller signed, as far as owners' grants cover it."""
        cover, clock = desk.cover, desk.clock
        return await desk.write(
            request, caller.did,
            lambda work: publish_offer(body.document, caller.did, work, cover.consent, cover.owners, clock),
            shapes.shown_offer, 201,
        )  # fmt: skip

    @router.get("")
    async def browse(caller: Caller, limit: Limit = 50, cursor: CursorQuery = None) -> shapes.Json:
        """The catalogue, newest first."""
        query = {"caller": caller.did}
        after = desk.cursors.read(cursor, query)
        async with desk.reads() as tables:
            found = await tables.offers.newest(limit + 1, "" if after is None else str(after[0]))
        page = desk.cursors.page(found, limit, lambda one: (one.offer.id,), query)
        return {"offers": [shapes.shown_offer(one) for one in page.rows], "next": page.next}

    @router.get("/{offer}", responses=HIDDEN, dependencies=[Depends(authenticate)])
    async def show(offer: str) -> shapes.Json:
        """One offer."""
        async with desk.reads() as tables:
            found = await tables.offers.find(offer)
        if found is None:
            raise PLATFORM_NOT_FOUND.problem(offer=offer)
        return shapes.shown_offer(found)

    return router


def negotiations(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/negotiations", tags=["negotiations"])

    @router.post("", status_code=201, responses=MOVES)
    async def begin(body: shapes.RequestBody, caller: Caller, request: Request) -> Response:
        """A buyer asks for an offer: REQUESTED. The answer holds the agreement to sign."""
        wanted = OpenNegotiation(body.offer, body.consumer_pid, body.minor)
        return await desk.write(
            request, caller.did, lambda work: open_negotiation(wanted, caller.did, work, desk.clock, desk.ids),
            shapes.shown_negotiation, 201,
        )  # fmt: skip

    @router.get("")
    async def mine(caller: Caller, limit: Limit = 50, cursor: CursorQuery = None) -> shapes.Json:
        """The caller's, as provider or buyer, newest first: how a provider learns that somebody asks."""
        query = {"caller": caller.did, "of": "negotiations"}
        after = desk.cursors.read(cursor, query)
        async with desk.reads() as tables:
            found = await tables.negotiations.of_party(caller.did, limit + 1, "" if after is None else str(after[0]))
        page = desk.cursors.page(found, limit, lambda one: (one.provider_pid,), query)
        return {"negotiations": [shapes.shown_standing(one) for one in page.rows], "next": page.next}

    @router.get("/{pid}", responses=HIDDEN)
    async def show(pid: str, caller: Caller) -> shapes.Json:
        """Where it stands, for its two parties."""
        async with desk.reads() as tables:
            return shapes.shown_negotiation(await read_negotiation(pid, caller.did, tables))

    @router.post("/{pid}/price", responses=MOVES)
    async def price(pid: str, body: shapes.PriceBody, caller: Caller, request: Request) -> Response:
        """Another price: OFFERED by the provider, REQUESTED by the buyer."""
        return await desk.write(
            request, caller.did, lambda work: propose(pid, body.minor, caller.did, work, desk.clock),
            shapes.shown_negotiation,
        )  # fmt: skip

    return router


def signatures(desk: Desk) -> APIRouter:
    """What binds a party, or frees both."""
    router = APIRouter(prefix="/v1/negotiations", tags=["negotiations"])

    async def moving(request: Request, caller: Did, use_case: Callable[[Work], Awaitable[Open]]) -> Response:
        return await desk.write(request, caller, use_case, shapes.shown_negotiation)

    @router.post("/{pid}/agreement", responses=MOVES)
    async def sign(pid: str, body: shapes.AgreementBody, caller: Caller, request: Request) -> Response:
        """AGREED: the provider signed the agreement as drafted."""
        return await moving(
            request, caller.did, lambda work: agree(pid, body.document, caller.did, work, desk.cover, desk.clock)
        )

    @router.post("/{pid}/verification", responses=MOVES)
    async def countersign(pid: str, body: shapes.VerificationBody, caller: Caller, request: Request) -> Response:
        """VERIFIED: the buyer signed the same."""
        return await moving(request, caller.did, lambda work: verify(pid, body.proof, caller.did, work, desk.clock))

    @router.post("/{pid}/events", responses=MOVES)
    async def event(pid: str, body: shapes.EventBody, caller: Caller, request: Request) -> Response:
        """ACCEPTED by the buyer; FINALIZED by the provider, once owners still allow it and the money is held."""

        async def use_case(work: Work) -> Open:
            if body.state == "ACCEPTED":
                return await move(pid, Message.ACCEPT, caller.did, work, desk.clock)
            await finalise(pid, caller.did, work, desk.cover, desk.clock)
            return await read_negotiation(pid, caller.did, work)

        answer = await moving(request, caller.did, use_case)
        if body.state == "FINALIZED" and REPLAYED not in answer.headers:
            desk.agreed.inc()
        return answer

    @router.post("/{pid}/termination", responses=MOVES)
    async def terminate(pid: str, caller: Caller, request: Request) -> Response:
        """TERMINATED by either side, while it is open."""
        answer = await moving(
            request, caller.did, lambda work: move(pid, Message.TERMINATE, caller.did, work, desk.clock)
        )
        if REPLAYED not in answer.headers:
            desk.terminated.inc()
        return answer

    return router


def accounts(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

    @router.get("/me")
    async def mine(caller: Caller) -> shapes.Json:
        """What the caller holds as a buyer, and what the caller's twins have earned."""
        async with desk.reads() as tables:
            return shapes.shown_account(await read_account(caller.did, desk.cover.owners, tables))

    @router.post("/{buyer}/deposits", status_code=201, responses=problems(PLATFORM_FORBIDDEN, rows.MARKET_ID_TAKEN))
    async def pay_in(buyer: str, body: shapes.DepositBody, caller: Caller, request: Request) -> Response:
        """Book money from outside to a buyer, once per id. For administrators of the house."""
        wanted = Deposit(body.id, parse_did(buyer), Price(parse_asset(body.asset, "/asset"), body.minor))
        return await desk.write(
            request, caller.did, lambda work: deposit(wanted, caller.did, desk.administrators, work, desk.clock),
            lambda held: {"buyer": buyer, "asset": body.asset, "minor": held}, 201,
        )  # fmt: skip

    return router


def agreements(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["agreements"])

    @router.get("/agreements/{agreement}", responses=HIDDEN)
    async def agreed(agreement: str, caller: Caller) -> shapes.Json:
        """A final agreement, for its parties."""
        async with desk.reads() as tables:
            return shapes.shown_agreement(await read_agreement(agreement, caller.did, desk.services, tables))

    @router.get("/settlements/{agreement}", responses=HIDDEN)
    async def settled(agreement: str, caller: Caller) -> shapes.Json:
        """Who was paid what and why: whole for the parties, the own lines for an owner."""
        async with desk.reads() as tables:
            return shapes.shown_settlement(await read_settlement(agreement, caller.did, desk.cover.owners, tables))

    return router
