"""A market for tests: owners who granted, an institute with money, and the whole way to a final agreement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from didymos.training.v1.training_events_pb2 import Contribution, RunCompleted
from didymos_contracts.topics import TRAINING, TopicRow
from didymos_did import (
    Budget,
    Did,
    Ed25519Signer,
    Grant,
    GrantId,
    TwinId,
    jcs,
    parse_grant,
    revoked,
    sign_document,
    sign_grant,
)
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.eventlog import Record, envelope
from didymos_kit.house import House
from didymos_kit.ids import Ids, OrderedIds
from didymos_marketplace.adapters.tables import BALANCE
from didymos_marketplace.adapters.work import SqlTables, SqlWork
from didymos_marketplace.application.deposit import Deposit, deposit
from didymos_marketplace.application.negotiate import (
    Cover,
    OpenNegotiation,
    agree,
    finalise,
    open_negotiation,
    verify,
)
from didymos_marketplace.application.ports import Published, Work
from didymos_marketplace.application.publish_offer import publish_offer
from didymos_marketplace.application.settle_run import RunEnded
from didymos_marketplace.bootstrap import bootstrap
from didymos_marketplace.domain.agreement import Agreement, Negotiation, draft, unsigned
from didymos_marketplace.domain.book import balances
from didymos_marketplace.domain.offer import Offer, Price, offer_document
from didymos_marketplace.domain.settlement import Contribution as Contributed
from didymos_marketplace.settings import MarketplaceSettings
from didymos_provenance import b64url, thread_of
from google.protobuf.message import Message
from sqlalchemy import select

from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import INSTITUTE, a_signer, a_terms
from didymos_testing.house import World, a_house, served

T = TypeVar("T")
EUR = "EUR/2"
ROUNDS = 4
PRICE = 120_000


def a_urn() -> str:
    return f"urn:uuid:{uuid4()}"


def an_offer_at(now: datetime, provider: Did, **changes: Any) -> Offer:  # noqa: ANN401 - any member of the offer
    """`provider` offers the institute four rounds of glucose forecasts."""
    begin = now.replace(microsecond=0)
    terms = a_terms(
        window=(begin, begin + timedelta(days=10)), constraints={"min-cohort": 2, "secure-aggregation": True},
        budget=Budget(rounds=ROUNDS, exact_rounds=ROUNDS),
    )  # fmt: skip
    said: dict[str, Any] = {
        "id": a_urn(), "provider": provider, "recipient": INSTITUTE.did, "product": "urn:didymos:product:glucose",
        "terms": terms, "price": Price(EUR, PRICE), "rounds": ROUNDS, "fee_basis_points": 250,
    }  # fmt: skip
    return Offer(**{**said, **changes})


def an_offer(house: House, **changes: Any) -> Offer:  # noqa: ANN401 - any member of the offer
    return an_offer_at(house.clock.now(), house.org, **changes)


@dataclass(frozen=True)
class Person:
    """An owner with one twin and one grant to the institute."""

    owner: Ed25519Signer
    twin: Ed25519Signer
    grant: Grant
    credential: bytes


def a_person_at(now: datetime, ids: Ids, name: str, **changes: Any) -> Person:  # noqa: ANN401 - any member of the terms
    """Grants training for a month, in a cohort of at least two."""
    owner, twin = a_signer(f"owner {name}"), a_signer(f"twin {name}")
    begin = now.replace(microsecond=0)
    said: dict[str, Any] = {
        "window": (begin - timedelta(days=1), begin + timedelta(days=30)),
        "constraints": {"min-cohort": 2, "secure-aggregation": True},
    }
    id_ = GrantId(f"urn:uuid:{ids.uuid7()}")
    signed = jcs(sign_grant(id_, INSTITUTE.did, TwinId(twin.did), a_terms(**{**said, **changes}), owner, begin))
    return Person(owner, twin, parse_grant(signed), signed)


def a_person(house: House, name: str, **changes: Any) -> Person:  # noqa: ANN401 - any member of the terms
    return a_person_at(house.clock.now(), house.ids, name, **changes)


def a_person_of(name: str, credential: bytes) -> Person:
    """The person of this name, with a grant that was signed before."""
    return Person(a_signer(f"owner {name}"), a_signer(f"twin {name}"), parse_grant(credential), credential)


@dataclass
class Market:
    """A running market, and what tests do with it."""

    world: World
    people: list[Person] = field(default_factory=list)

    @property
    def house(self) -> House:
        return self.world.house

    @property
    def org(self) -> Ed25519Signer:
        return self.house.keys.organisation

    def rest(self, signer: Ed25519Signer | None) -> httpx.AsyncClient:
        return self.world.rest(signer, "marketplace")

    async def join(self, *people: Person) -> None:
        """Register twins and grants; return when our tails have them."""
        tokens = []
        for person in people:
            tokens.append(await self.world.identity.register(TwinId(person.twin.did), person.owner.did))
            tokens.append(await self.world.identity.grant(person.grant, person.credential))
        await self.house.wait(",".join(tokens))
        self.people += people

    def signed(self, offer: Offer, signer: Ed25519Signer | None = None) -> dict[str, Any]:
        return sign_document(offer_document(offer), signer or self.org, self.house.clock.now())

    async def published(self, offer: Offer | None = None) -> dict[str, Any]:
        wanted = offer or an_offer(self.house)
        async with self.rest(self.org) as provider:
            return answered(await provider.post("/v1/offers", json={"document": self.signed(wanted)}), 201)

    async def requested(self, offer: str) -> dict[str, Any]:
        async with self.rest(INSTITUTE) as buyer:
            said = {"offer": offer, "consumer_pid": a_urn()}
            return answered(await buyer.post("/v1/negotiations", json=said), 201)

    async def paid_in(self, minor: int = PRICE) -> dict[str, Any]:
        async with self.rest(self.org) as administrator:
            said = {"id": a_urn(), "asset": EUR, "minor": minor}
            return answered(await administrator.post(f"/v1/accounts/{INSTITUTE.did}/deposits", json=said), 201)

    async def verified(self, offer: str) -> dict[str, Any]:
        """Both signed; the money is not yet held."""
        negotiation = await self.requested(offer)
        pid, drafted, now = negotiation["provider_pid"], negotiation["agreement"], self.house.clock.now()
        async with self.rest(self.org) as provider, self.rest(INSTITUTE) as buyer:
            document = sign_document(drafted, self.org, now)
            answered(await provider.post(f"/v1/negotiations/{pid}/agreement", json={"document": document}))
            proof = sign_document(drafted, INSTITUTE, now)["proof"]
            return answered(await buyer.post(f"/v1/negotiations/{pid}/verification", json={"proof": proof}))

    async def agreed(self, offer: Offer | None = None) -> dict[str, Any]:
        """From the offer to a final agreement; the negotiation as both see it."""
        await self.paid_in()
        negotiation = await self.verified((await self.published(offer))["id"])
        async with self.rest(self.org) as provider:
            path = f"/v1/negotiations/{negotiation['provider_pid']}/events"
            return answered(await provider.post(path, json={"state": "FINALIZED"}))

    async def settled(self, agreement: str) -> dict[str, Any]:
        """The settlement as the buyer sees it, once there is one; fails after 60 s."""
        async with asyncio.timeout(60), self.rest(INSTITUTE) as buyer:
            while (answer := await buyer.get(f"/v1/settlements/{agreement}")).status_code == httpx.codes.NOT_FOUND:  # noqa: ASYNC110 - a client polls
                await asyncio.sleep(0.05)
            return answered(answer)

    async def payouts(self, agreement: str) -> list[str]:
        """Transfers of the lines that were paid."""
        record = (await self.settled(agreement))["record"]
        return [line["transfer"] for line in record["lines"] if line["minor"]]

    def a_run(self, agreement: str, scores: Sequence[float], **changes: Any) -> RunCompleted:  # noqa: ANN401 - of the event
        """It completed; the people contributed by these scores, in their order."""
        contributions = [
            Contribution(
                thread=thread_of(person.grant.id), twin=person.twin.did, score=score, rounds=ROUNDS,
                method="attested-dot",
            )
            for person, score in zip(self.people, scores, strict=False)
        ]  # fmt: skip
        said: dict[str, Any] = {"run": a_urn(), "rounds": ROUNDS, "params_digest": b"p" * 32}
        return RunCompleted(agreement=agreement, contributions=contributions, **{**said, **changes})

    async def hear(self, event: Message, key: str, topic: TopicRow = TRAINING, id_: str = "") -> None:
        """The event in the log, as its owner would write it."""
        now = self.house.clock.now()
        said = envelope.Envelope(id_ or str(uuid4()), "didymos://test/training", event.DESCRIPTOR.full_name, now)
        value = event.SerializeToString(deterministic=True)
        async with self.house.event_log.writer("test.training") as writer:
            at_ms = self.house.clock.now_us() // 1000
            await writer.append([Record(topic.name, key.encode(), value, envelope.build(said), at_ms)])


def answered(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """What it says; fails for another status. 202: done, and its events not yet known to be in the log."""
    if answer.status_code not in (status, httpx.codes.ACCEPTED):
        raise AssertionError(f"{answer.status_code}: {answer.text}")
    said: dict[str, Any] = answer.json()
    return said


@asynccontextmanager
async def a_market(folder: Path, people: int = 3) -> AsyncIterator[Market]:
    """The market of a house in `folder`, with people who granted training to the institute."""
    async with (
        a_house(folder) as house,
        bootstrap(MarketplaceSettings(), house) as service,
        served(house, service) as world,
    ):
        market = Market(world)
        await market.join(*(a_person(house, str(number)) for number in range(people)))
        yield market


@dataclass
class Allowed:
    """`Consent` and `Owners` of a test: what it says is so."""

    people: list[Person] = field(default_factory=list)
    fresh: bool = True
    erased: set[TwinId] = field(default_factory=set)
    revoked: set[GrantId] = field(default_factory=set)

    def twins(self) -> Sequence[TwinId]:
        return [TwinId(person.twin.did) for person in self.people]

    def grants(self, twin: TwinId) -> Sequence[Grant]:
        found = [person.grant for person in self.people if person.grant.twin == twin]
        return [revoked(grant) if grant.id in self.revoked else grant for grant in found]

    def owner_of(self, twin: TwinId) -> Did | None:
        return next((person.owner.did for person in self.people if person.grant.twin == twin), None)

    def twins_of(self, owner: Did) -> Sequence[TwinId]:
        return [TwinId(person.twin.did) for person in self.people if person.owner.did == owner]

    def destroyed(self, twin: TwinId) -> bool:
        return twin in self.erased


@dataclass
class Desk:
    """Use cases of the market on a real database, at noon, without a house around them."""

    database: Database
    clock: FixedClock
    ids: OrderedIds
    allowed: Allowed
    org: Ed25519Signer = field(default_factory=lambda: a_signer("hospital"))
    published: list[str] = field(default_factory=list)

    async def __call__(self, use_case: Callable[[Work], Awaitable[T]]) -> T:
        """One transaction."""
        async with self.database.unit_of_work() as tx:
            answer = await use_case(SqlWork(tx))
        self.published += [event.record.headers["ce_type"].decode().rpartition(".")[2] for event in tx.published]
        return answer

    @property
    def cover(self) -> Cover:
        return Cover(self.allowed, self.allowed)

    def offer(self, **changes: Any) -> Offer:  # noqa: ANN401 - any member of the offer
        return an_offer_at(self.clock.now(), self.org.did, **changes)

    async def publish(self, offer: Offer | None = None) -> Published:
        document = sign_document(offer_document(offer or self.offer()), self.org, self.clock.now())
        return await self(
            lambda work: publish_offer(document, self.org.did, work, self.allowed, self.allowed, self.clock)
        )

    async def request(self, minor: int | None = None) -> Negotiation:
        published = await self.publish()
        wanted = OpenNegotiation(published.offer.id, a_urn(), minor)
        return (await self(lambda work: open_negotiation(wanted, INSTITUTE.did, work, self.clock, self.ids)))[0]

    async def sign(self, negotiation: Negotiation, signer: Ed25519Signer | None = None) -> Negotiation:
        """AGREED, by the provider."""
        async with self.database.read() as connection:
            published = await SqlTables(connection).offers.find(negotiation.offer)
        if published is None:
            raise AssertionError("no such offer")
        document = sign_document(draft(negotiation, published.offer), signer or self.org, self.clock.now())
        pid, by = negotiation.provider_pid, self.org.did
        return (await self(lambda work: agree(pid, document, by, work, self.cover, self.clock)))[0]

    async def countersign(self, negotiation: Negotiation, signer: Ed25519Signer = INSTITUTE) -> Negotiation:
        """VERIFIED, by the buyer."""
        unsigned_terms = unsigned(negotiation.terms or {})
        proof = sign_document(unsigned_terms, signer, self.clock.now())["proof"]
        pid = negotiation.provider_pid
        return (await self(lambda work: verify(pid, proof, INSTITUTE.did, work, self.clock)))[0]

    async def pay_in(self, minor: int = PRICE) -> int:
        wanted = Deposit(a_urn(), INSTITUTE.did, Price(EUR, minor))
        return await self(lambda work: deposit(wanted, self.org.did, {self.org.did}, work, self.clock))

    async def finish(self, negotiation: Negotiation) -> Agreement:
        """FINALIZED, by the provider."""
        pid = negotiation.provider_pid
        return await self(lambda work: finalise(pid, self.org.did, work, self.cover, self.clock))

    async def agreed(self) -> Agreement:
        await self.pay_in()
        return await self.finish(await self.countersign(await self.sign(await self.request())))

    def ended(self, agreement: Agreement, scores: Sequence[float], rounds: int = ROUNDS) -> RunEnded:
        people = self.allowed.people[: len(scores)]
        contributions = [
            Contributed(b64url(thread_of(person.grant.id)), score, rounds)
            for person, score in zip(people, scores, strict=True)
        ]
        return RunEnded(a_urn(), agreement.id, rounds, contributions, [TwinId(person.twin.did) for person in people])

    async def balances(self) -> dict[str, int]:
        """By account, of the one asset; compared with what the transfers add up to."""
        async with self.database.read() as connection:
            transfers = await SqlTables(connection).book.transfers()
            rows = await connection.execute(select(BALANCE.c.account, BALANCE.c.minor))
            stored = {row.account: row.minor for row in rows}
        summed = {str(account): minor for (_, account), minor in balances(transfers).items()}
        if {name: minor for name, minor in stored.items() if minor} != {n: m for n, m in summed.items() if m}:
            raise AssertionError(f"balances {stored} are not what the transfers say: {summed}")
        return stored


@asynccontextmanager
async def a_desk(folder: Path, people: int = 3) -> AsyncIterator[Desk]:
    """A desk with `people` who granted training to the institute."""
    clock = FixedClock()
    ids = seeded_ids(clock)
    engine, migrations = sqlite_engine(folder / "marketplace.db"), migrations_of("marketplace")
    await upgrade(engine, migrations)
    async with Database(engine, "marketplace", Stamp("didymos://test/marketplace", clock, ids), migrations) as database:
        yield a_desk_on(database, clock, ids, people)


def a_desk_on(database: Database, clock: FixedClock, ids: OrderedIds, people: int = 3) -> Desk:
    found = [a_person_at(clock.now(), ids, str(number)) for number in range(people)]
    return Desk(database, clock, ids, Allowed(found))
