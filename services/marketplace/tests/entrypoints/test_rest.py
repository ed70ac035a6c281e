"""The market over REST and gRPC, in a running house: from an offer to a settlement, and who is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from didymos.market.v1.market_service_pb2 import GetAgreementRequest
from didymos.market.v1.market_service_pb2_grpc import MarketStub
from didymos.training.v1.training_events_pb2 import RunFailed
from didymos_contracts.errors import Problem
from didymos_contracts.topics import DEAD
from didymos_kit.eventlog import Stored
from didymos_kit.telemetry.metrics import Metrics
from didymos_marketplace.adapters.work import SqlTables
from didymos_marketplace.entrypoints.measuring import Measuring
from didymos_testing.did import INSTITUTE, STRANGER
from didymos_testing.kit import problem_codes
from didymos_testing.market import EUR, PRICE, Market, a_market, a_urn, an_offer, answered


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    async with a_market(tmp_path) as made:
        yield made


async def test_an_offer_becomes_an_agreement_and_its_run_is_settled_to_the_last_unit(market: Market) -> None:
    negotiation = await market.agreed()
    agreement = negotiation["agreement_id"]
    assert negotiation["state"] == "FINALIZED"
    run, same = market.a_run(agreement, [3.0, 1.0, -1.0]), str(uuid4())
    for _ in range(2):
        await market.hear(run, "run", id_=same)
    record = (await market.settled(agreement))["record"]
    paid = [line["minor"] for line in record["lines"]]
    assert sum(paid) + record["fee"] + record["refund"] == PRICE
    assert min(paid) == 0
    assert sorted(paid)[2] > sorted(paid)[1] > 0
    owner = market.people[0].owner
    async with market.rest(owner) as client, market.rest(INSTITUTE) as buyer:
        (earned,) = answered(await client.get("/v1/accounts/me"))["earned"]
        (own,) = answered(await client.get(f"/v1/settlements/{agreement}"))["record"]["lines"]
        assert (earned["minor"], earned["transfer"]) == (own["minor"], own["transfer"])
        assert answered(await buyer.get("/v1/accounts/me"))["balances"] == [{"asset": EUR, "minor": record["refund"]}]
        shown = answered(await buyer.get(f"/v1/agreements/{agreement}"))
        assert (shown["state"], shown["funded_minor"]) == ("FINALIZED", 0)


async def test_what_is_held_is_measured(market: Market) -> None:
    await market.agreed()
    metrics = Metrics()

    @asynccontextmanager
    async def reads() -> AsyncIterator[SqlTables]:
        async with market.house.database("marketplace") as database, database.read() as connection:
            yield SqlTables(connection)

    await Measuring(reads, metrics).measure()
    assert metrics.sample("didymos_market_escrow_minor") == PRICE


async def test_a_run_that_failed_gives_all_back(market: Market) -> None:
    agreement = (await market.agreed())["agreement_id"]
    await market.hear(RunFailed(run=a_urn(), agreement=agreement, reason="training.no_cohort"), "run")
    record = (await market.settled(agreement))["record"]
    assert (record["refund"], record["lines"], record["fee"]) == (PRICE, [], 0)


async def test_what_cannot_be_settled_is_buried_and_the_next_run_is_paid(market: Market) -> None:
    agreement = (await market.agreed())["agreement_id"]
    dead: list[Stored] = []
    async with market.house.event_log.tail(DEAD.name, dead.append) as tail:
        await market.hear(market.a_run(a_urn(), [1.0, 1.0]), "run")
        await market.hear(market.a_run(agreement, [float("nan"), 1.0]), "run")
        await market.hear(market.a_run(agreement, [2.0, 1.0]), "run")
        await market.settled(agreement)
        async with asyncio.timeout(5):
            while len(dead) < 2:
                await tail.ready()
                await asyncio.sleep(0.05)
    metrics = market.house.metrics
    assert metrics.sample("didymos_market_settlements_total", outcome="failed") == 2
    assert metrics.sample("didymos_market_agreements_total", outcome="agreed") == 1
    codes = [record.headers["dead_code"].decode() for record in dead]
    assert codes == ["platform.not_found", "market.contribution_invalid"]


async def test_grpc_shows_an_agreement_to_parties_and_services_of_the_house(market: Market) -> None:
    agreement = (await market.agreed())["agreement_id"]
    training = market.house.keys.signer("training-orchestration")
    for caller in (INSTITUTE, market.org, training):
        async with market.world.peer(caller, "marketplace") as peer:
            answer = await MarketStub(peer.channel).GetAgreement(GetAgreementRequest(id=agreement))
            assert (answer.buyer, answer.cap.minor, answer.funded.minor) == (INSTITUTE.did, PRICE, PRICE)
    async with market.world.peer(STRANGER, "marketplace") as peer:
        with pytest.raises(Problem, match=r"platform\.not_found"):
            await MarketStub(peer.channel).GetAgreement(GetAgreementRequest(id=agreement))


async def test_a_request_with_one_key_is_done_once(market: Market) -> None:
    said = {"id": a_urn(), "asset": EUR, "minor": 500}
    path, key = f"/v1/accounts/{INSTITUTE.did}/deposits", {"idempotency-key": "k1"}
    async with market.rest(market.org) as administrator:
        first = await administrator.post(path, json=said, headers=key)
        again = await administrator.post(path, json=said, headers=key)
        other = await administrator.post(path, json={**said, "minor": 501}, headers=key)
    assert first.status_code == again.status_code == 201
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", first.json())
    assert problem_codes([other]) == [(422, "platform.idempotency_mismatch")]


async def test_who_may_not_is_told_so_and_nothing_moves(market: Market) -> None:
    offer = await market.published()
    negotiation = await market.requested(offer["id"])
    pid, deposit = negotiation["provider_pid"], {"id": a_urn(), "asset": EUR, "minor": 500}
    async with market.rest(STRANGER) as stranger, market.rest(None) as nobody, market.rest(INSTITUTE) as buyer:
        refused = [
            await stranger.post(f"/v1/accounts/{STRANGER.did}/deposits", json=deposit),
            await stranger.post("/v1/offers", json={"document": market.signed(an_offer(market.house))}),
            await stranger.post("/v1/negotiations", json={"offer": offer["id"], "consumer_pid": a_urn()}),
            await stranger.get(f"/v1/negotiations/{pid}"),
            await stranger.post(f"/v1/negotiations/{pid}/termination"),
            await stranger.get(f"/v1/agreements/{negotiation['agreement_id']}"),
            await stranger.get(f"/v1/settlements/{negotiation['agreement_id']}"),
            await nobody.get("/v1/offers"),
            await nobody.post(f"/v1/negotiations/{pid}/termination"),
            await buyer.post(f"/v1/negotiations/{pid}/events", json={"state": "FINALIZED"}),
            await buyer.post(f"/v1/negotiations/{pid}/events", json={"state": "ACCEPTED"}),
            await buyer.post(f"/v1/negotiations/{pid}/agreement", json={"document": {}}),
        ]
        found = answered(await buyer.get(f"/v1/negotiations/{pid}"))
    assert problem_codes(refused) == [
        (403, "platform.forbidden"), (403, "platform.forbidden"), (404, "platform.not_found"),
        (404, "platform.not_found"), (404, "platform.not_found"), (404, "platform.not_found"),
        (404, "platform.not_found"), (401, "platform.unauthenticated"), (401, "platform.unauthenticated"),
        (409, "market.out_of_order"), (409, "market.out_of_order"), (403, "market.wrong_side"),
    ]  # fmt: skip
    assert found["state"] == "REQUESTED"


async def test_input_of_another_shape_is_pointed_at(market: Market) -> None:
    async with market.rest(market.org) as client:
        refused = [
            await client.post("/v1/offers", json={"document": {}}),
            await client.post("/v1/offers", json={"document": {}, "more": 1}),
            await client.post("/v1/offers", json=[]),
            await client.post("/v1/negotiations", json={"offer": 5, "consumer_pid": a_urn()}),
            await client.post(f"/v1/negotiations/{a_urn()}/price", json={"minor": -1}),
            await client.post(f"/v1/negotiations/{a_urn()}/events", json={"state": "PAID"}),
            await client.post("/v1/accounts/nobody/deposits", json={"id": "1", "asset": EUR, "minor": 1}),
            await client.post(f"/v1/accounts/{INSTITUTE.did}/deposits", json={"id": "1", "asset": "gold", "minor": 1}),
            await client.get("/v1/offers?cursor=abc"),
            await client.get("/v1/offers?page=2"),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [
        (400, "platform.malformed"), (422, "platform.unknown_field"), (422, "platform.invalid_field"),
        (422, "platform.invalid_field"), (422, "platform.invalid_field"), (422, "platform.invalid_field"),
        (422, "did.malformed"), (400, "platform.malformed"), (400, "platform.malformed"),
        (422, "platform.unknown_field"),
    ]  # fmt: skip


async def test_the_catalogue_is_read_page_by_page(market: Market) -> None:
    made = {(await market.published())["id"] for _ in range(3)}
    async with market.rest(STRANGER) as reader:
        first = answered(await reader.get("/v1/offers?limit=2"))
        last = answered(await reader.get("/v1/offers", params={"limit": 2, "cursor": first["next"]}))
        shown = answered(await reader.get(f"/v1/offers/{first['offers'][0]['id']}"))
    assert {one["id"] for one in first["offers"] + last["offers"]} == made
    assert (last["next"], shown) == (None, first["offers"][0])


async def test_a_provider_learns_who_asks_and_others_do_not(market: Market) -> None:
    offer = await market.published()
    made = [await market.requested(offer["id"]) for _ in range(3)]
    async with market.rest(market.org) as provider, market.rest(STRANGER) as stranger:
        first = answered(await provider.get("/v1/negotiations?limit=2"))
        last = answered(await provider.get("/v1/negotiations", params={"limit": 2, "cursor": first["next"]}))
        assert answered(await stranger.get("/v1/negotiations")) == {"negotiations": [], "next": None}
        foreign = await stranger.get("/v1/negotiations", params={"cursor": first["next"]})
    found = first["negotiations"] + last["negotiations"]
    assert [one["provider_pid"] for one in found] == [one["provider_pid"] for one in reversed(made)]
    assert {one["state"] for one in found} == {"REQUESTED"}
    assert problem_codes([foreign]) == [(400, "platform.malformed")]


async def test_an_erased_twin_is_no_longer_named_in_what_it_earned(market: Market) -> None:
    agreement, person = (await market.agreed())["agreement_id"], market.people[0]
    await market.hear(market.a_run(agreement, [3.0, 2.0, 1.0]), "run")
    record = (await market.settled(agreement))["record"]
    await market.world.identity.destroy(person.grant.twin)
    async with asyncio.timeout(10), market.rest(person.owner) as owner:
        while answered(await owner.get("/v1/accounts/me"))["earned"]:  # noqa: ASYNC110 - a client polls
            await asyncio.sleep(0.05)
        hidden = await owner.get(f"/v1/settlements/{agreement}")
    assert problem_codes([hidden]) == [(404, "platform.not_found")]
    assert (await market.settled(agreement))["record"] == record
