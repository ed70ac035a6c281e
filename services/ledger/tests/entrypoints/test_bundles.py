"""Bundles of a running house: who gets one, and that it verifies with the two files and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from didymos_did import Ed25519Signer
from didymos_ledger.domain.provable import round_id
from didymos_provenance import Exit, Verdict, b64url, event_id, thread_of, verify_bundle
from didymos_testing.did import INSTITUTE, STRANGER
from didymos_testing.kit import problem_codes
from didymos_testing.ledger import Ledger, a_ledger
from didymos_testing.market import PRICE, a_urn


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(tmp_path) as made:
        yield made


def valid(verdict: Verdict) -> bool:
    return (verdict.exit, verdict.strength) == (Exit.VALID, "sequencer+witness(2/3)")


async def test_a_grant_is_proved_to_its_owner(ledger: Ledger) -> None:
    person = ledger.market.people[0]
    verdict = await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))
    assert valid(verdict)
    assert verdict.status.startswith("no revocation shown")


async def test_a_revoked_grant_is_proved_with_its_end(ledger: Ledger) -> None:
    person = ledger.market.people[0]
    await ledger.bundle(person.owner, "grant", person.grant.id)
    await ledger.world.identity.revoke(person.grant)
    await ledger.logged("grant.revoked", person.grant.id)
    verdict = await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))
    assert valid(verdict)
    assert verdict.status.startswith("revoked since")


async def test_all_that_follows_from_an_agreement_is_proved_to_both_parties(ledger: Ledger) -> None:
    market = ledger.market
    agreement, run = (await market.agreed())["agreement_id"], a_urn()
    await ledger.trained(agreement, run)
    await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0], run=run), run)
    payout = (await market.payouts(agreement))[0]
    claims = {"agreement": agreement, "round": round_id(run, 2), "model": f"{run}/model", "payout": payout}
    for party in (INSTITUTE, market.org):
        for kind, id_ in claims.items():
            verdict = await ledger.verdict(await ledger.bundle(party, kind, id_))
            assert valid(verdict), (kind, verdict)
            assert (verdict.kind, verdict.id) == (kind, id_)


async def test_a_payout_is_proved_to_whom_it_was_paid(ledger: Ledger) -> None:
    market = ledger.market
    agreement = (await market.agreed())["agreement_id"]
    await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0]), "run")
    person = market.people[0]
    lines = (await market.settled(agreement))["record"]["lines"]
    transfer = next(line["transfer"] for line in lines if line["thread"] == b64url(thread_of(person.grant.id)))
    verdict = await ledger.verdict(await ledger.bundle(person.owner, "payout", transfer))
    assert valid(verdict)
    assert verdict.money == "book"
    assert 0 < int(str(verdict.payout["minor"])) < PRICE


async def test_a_bundle_is_denied_as_if_it_were_unknown(ledger: Ledger) -> None:
    market = ledger.market
    person = market.people[0]
    agreement = (await market.agreed())["agreement_id"]
    await ledger.bundle(person.owner, "grant", person.grant.id)
    await ledger.bundle(INSTITUTE, "agreement", agreement)
    wanted: list[tuple[Ed25519Signer, str, str]] = [
        (STRANGER, "grant", person.grant.id), (INSTITUTE, "grant", person.grant.id),
        (market.people[1].owner, "grant", person.grant.id),
        (STRANGER, "agreement", agreement), (person.owner, "agreement", agreement), (person.owner, "payout", a_urn()),
        (STRANGER, "round", a_urn()), (STRANGER, "model", a_urn()),
    ]  # fmt: skip
    for signer, kind, id_ in wanted:
        async with ledger.rest(signer) as client:
            answer = await client.post("/v1/bundles", json={"kind": kind, "id": id_})
            assert problem_codes([answer]) == [(404, "platform.not_found")]


async def test_a_bundle_with_any_changed_byte_does_not_verify(ledger: Ledger) -> None:
    person = ledger.market.people[0]
    raw = await ledger.bundle(person.owner, "grant", person.grant.id)
    policy, orgs = await ledger.trust()
    at = ledger.market.house.clock.now_us() // 1_000_000 + 1
    assert verify_bundle(raw, policy, orgs, at).exit is Exit.VALID
    for place in range(0, len(raw), 7):
        for mask in (0x01, 0x20):
            changed = raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
            assert verify_bundle(changed, policy, orgs, at).exit in (Exit.INVALID, Exit.UNREADABLE)


async def test_after_an_erasure_nothing_is_proved_and_the_log_says_that_something_went(ledger: Ledger) -> None:
    person = ledger.market.people[0]
    await ledger.bundle(person.owner, "grant", person.grant.id)
    size = await ledger.size()
    await ledger.world.identity.destroy(person.grant.twin)
    await ledger.grown(size)
    async with ledger.rest(person.owner) as client:
        answer = await client.post("/v1/bundles", json={"kind": "grant", "id": person.grant.id})
    assert problem_codes([answer]) == [(404, "platform.not_found")]
    assert b"erasure.done" in await ledger.entries()


async def test_the_log_shows_no_did_of_a_person(ledger: Ledger) -> None:
    market = ledger.market
    agreement = (await market.agreed())["agreement_id"]
    await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0]), "run")
    await ledger.bundle(INSTITUTE, "payout", (await market.payouts(agreement))[0])
    entries = await ledger.entries()
    for person in market.people:
        for name in (person.owner.did, person.twin.did, person.grant.id):
            assert name.encode() not in entries


async def test_an_entry_is_proved_to_anybody_who_knows_its_event(ledger: Ledger) -> None:
    person = ledger.market.people[0]
    await ledger.bundle(person.owner, "grant", person.grant.id)
    async with ledger.rest(None) as anybody:
        answer = await anybody.get(f"/v1/proofs/{event_id('grant.issued', person.grant.id).hex()}")
        assert answer.text.startswith("c2sp.org/tlog-proof@v1\nindex ")
        unknown = [await anybody.get(f"/v1/proofs/{path}") for path in ("0" * 32, "xyz", "00")]
    assert problem_codes(unknown) == [
        (404, "platform.not_found"), (400, "platform.malformed"), (400, "platform.malformed"),
    ]  # fmt: skip
