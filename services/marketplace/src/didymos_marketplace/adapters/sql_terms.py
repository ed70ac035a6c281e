"""Offers, negotiations and agreements in SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from didymos_did import Did, jcs, parse_strict
from didymos_kit.database.seen import insert_missing
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from didymos_marketplace.adapters.tables import AGREEMENT, NEGOTIATION, OFFER
from didymos_marketplace.application.ports import Published
from didymos_marketplace.domain.agreement import Agreement, Negotiation
from didymos_marketplace.domain.negotiation import Standing, State
from didymos_marketplace.domain.offer import Price, parse_offer


class SqlOffers:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, published: Published) -> bool:
        row = {"id": published.offer.id, "body": published.body, "covering": published.covering, "at": published.at}
        return await insert_missing(self._connection, OFFER, [row]) == 1

    async def find(self, offer: str) -> Published | None:
        row = (await self._connection.execute(select(OFFER).where(OFFER.c.id == offer))).one_or_none()
        return None if row is None else _published(row)

    async def newest(self, limit: int, after: str) -> Sequence[Published]:
        query = select(OFFER).order_by(OFFER.c.id.desc()).limit(limit)
        if after:
            query = query.where(OFFER.c.id < after)
        return [_published(row) for row in await self._connection.execute(query)]


def _published(row: Row[Any]) -> Published:
    return Published(parse_offer(parse_strict(row.body)), row.body, row.covering, row.at)


class SqlNegotiations:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, negotiation: Negotiation) -> bool:
        return await insert_missing(self._connection, NEGOTIATION, [_negotiation_row(negotiation)]) == 1

    async def of_buyer(self, buyer: Did, consumer_pid: str) -> Negotiation | None:
        named = (NEGOTIATION.c.buyer == buyer) & (NEGOTIATION.c.consumer_pid == consumer_pid)
        row = (await self._connection.execute(select(NEGOTIATION).where(named))).one_or_none()
        return None if row is None else _negotiation(row)

    async def find(self, provider_pid: str) -> Negotiation | None:
        query = select(NEGOTIATION).where(NEGOTIATION.c.provider_pid == provider_pid)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _negotiation(row)

    async def lock(self, provider_pid: str) -> Negotiation | None:
        query = select(NEGOTIATION).where(NEGOTIATION.c.provider_pid == provider_pid).with_for_update()
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _negotiation(row)

    async def of_party(self, party: Did, limit: int, after: str) -> Sequence[Negotiation]:
        mine = (NEGOTIATION.c.provider == party) | (NEGOTIATION.c.buyer == party)
        query = select(NEGOTIATION).where(mine).order_by(NEGOTIATION.c.provider_pid.desc()).limit(limit)
        if after:
            query = query.where(NEGOTIATION.c.provider_pid < after)
        return [_negotiation(row) for row in await self._connection.execute(query)]

    async def save(self, negotiation: Negotiation) -> None:
        named = NEGOTIATION.c.provider_pid == negotiation.provider_pid
        await self._connection.execute(update(NEGOTIATION).where(named).values(**_negotiation_row(negotiation)))


def _negotiation_row(negotiation: Negotiation) -> Mapping[str, Any]:
    standing = negotiation.standing
    if standing.state is None:
        raise ValueError("a negotiation begins with a request")
    return {
        "provider_pid": negotiation.provider_pid, "consumer_pid": negotiation.consumer_pid,
        "agreement": negotiation.agreement, "offer": negotiation.offer, "provider": negotiation.provider,
        "buyer": negotiation.buyer, "asset": negotiation.price.asset, "minor": negotiation.price.minor,
        "state": standing.state.value, "requests": standing.requests, "offers": standing.offers,
        "opened_at": negotiation.opened_at, "moved_at": negotiation.moved_at,
        "terms": None if negotiation.terms is None else jcs(dict(negotiation.terms)),
    }  # fmt: skip


def _negotiation(row: Row[Any]) -> Negotiation:
    return Negotiation(
        row.provider_pid, row.consumer_pid, row.agreement, row.offer, Did(row.provider), Did(row.buyer),
        Price(row.asset, row.minor), Standing(State(row.state), row.requests, row.offers),
        row.opened_at or row.moved_at, row.moved_at,
        None if row.terms is None else parse_strict(row.terms),
    )  # fmt: skip


class SqlAgreements:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, agreement: Agreement) -> None:
        price = agreement.price
        row = {
            "id": agreement.id, "thread": agreement.thread, "provider": agreement.provider, "buyer": agreement.buyer,
            "offer": agreement.offer, "asset": price.asset, "minor": price.minor, "rounds": agreement.rounds,
            "fee_basis_points": agreement.fee_basis_points, "terms": jcs(dict(agreement.terms)),
            "made_at": agreement.made_at,
        }  # fmt: skip
        await self._connection.execute(insert(AGREEMENT).values(**row))

    async def find(self, agreement: str) -> Agreement | None:
        row = (await self._connection.execute(select(AGREEMENT).where(AGREEMENT.c.id == agreement))).one_or_none()
        if row is None:
            return None
        return Agreement(
            row.id, row.thread, Did(row.provider), Did(row.buyer), row.offer, Price(row.asset, row.minor), row.rounds,
            row.fee_basis_points, parse_strict(row.terms), row.made_at,
        )  # fmt: skip
