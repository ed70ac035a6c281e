"""A market for tests: owners who granted, an institute with money, and the whole way to a final agreement."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from didymos.training.v1.training_events_pb2 import Contribution, RunCompleted
from didymos_contracts.topics import TRAINING, TopicRow
from didymos_did import Budget, Ed25519Signer, Grant, GrantId, TwinId, jcs, parse_grant, sign_document, sign_grant
from didymos_kit.eventlog import Record, envelope
from didymos_kit.house import House
from didymos_marketplace.bootstrap import bootstrap
from didymos_marketplace.domain.offer import Offer, Price, offer_document
from didymos_marketplace.settings import MarketplaceSettings
from didymos_provenance import thread_of
from google.protobuf.message import Message

from didymos_testing.did import INSTITUTE, a_signer, a_terms
from didymos_testing.house import World, a_house, served

EUR = "EUR/2"
ROUNDS = 4
PRICE = 120_000


def a_urn() -> str:
    return f"urn:uuid:{uuid4()}"


def an_offer(house: House, **changes: Any) -> Offer:  # noqa: ANN401 - any member of the offer
    """The house offers the institute four rounds of glucose forecasts."""
    now = house.clock.now().replace(microsecond=0)
    terms = a_terms(
        window=(now, now + timedelta(days=10)), constraints={"min-cohort": 2, "secure-aggregation": True},
        budget=Budget(rounds=ROUNDS, exact_rounds=ROUNDS),
    )  # fmt: skip
    said: dict[str, Any] = {
        "id": a_urn(), "provider": house.org, "recipient": INSTITUTE.did, "product": "urn:didymos:product:glucose",
        "terms": terms, "price": Price(EUR, PRICE), "rounds": ROUNDS, "fee_basis_points": 250,
    }  # fmt: skip
    return Offer(**{**said, **changes})


@dataclass(frozen=True)
class Person:
    """An owner with one twin and one grant to the institute."""

    owner: Ed25519Signer
    twin: Ed25519Signer
    grant: Grant
    credential: bytes


def a_person(house: House, name: str, **changes: Any) -> Person:  # noqa: ANN401 - any member of the terms
    """Grants training for a month, in a cohort of at least two."""
    owner, twin = a_signer(f"owner {name}"), a_signer(f"twin {name}")
    now = house.clock.now().replace(microsecond=0)
    terms = a_terms(
        **{
            "window": (now - timedelta(days=1), now + timedelta(days=30)),
            "constraints": {"min-cohort": 2, "secure-aggregation": True},
            **changes,
        }
    )
    id_ = GrantId(f"urn:uuid:{house.ids.uuid7()}")
    signed = jcs(sign_grant(id_, INSTITUTE.did, TwinId(twin.did), terms, owner, now))
    return Person(owner, twin, parse_grant(signed), signed)


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
        """The settlement as the buyer sees it, once there is one; fails after 10 s."""
        async with asyncio.timeout(10), self.rest(INSTITUTE) as buyer:
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
    """What it says; fails for another status."""
    if answer.status_code != status:
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


def dearer(offer: Offer, minor: int) -> Offer:
    return replace(offer, price=Price(EUR, minor))
