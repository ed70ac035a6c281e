"""Real identity, market and ledger in one house: a grant, an agreement and a payout are proved; a revocation shows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.erasure_steps import Public, proved
from didymos_cli.owner import Given, give_grant, register_twin, revoke_grant, window
from didymos_cli.up import Running, running_house
from didymos_contracts.errors import Problem
from didymos_did import Budget, Ed25519Signer, ProofKey, Terms, TwinId, instant_text, sign_document, terms_json
from didymos_did.proofs import parse_instant
from didymos_kit.house import Where
from didymos_kit.keyring import KeyRing
from didymos_provenance import Exit, event_id, verify_bundle
from didymos_testing.did import INSTITUTE, a_signer, a_terms
from didymos_testing.house import ROOT, free_port

ROOM = ("identity", "ledger", "marketplace")
PEOPLE = 3


@dataclass
class House:
    """A running house and clients that share what they have seen."""

    running: Running
    http: httpx.AsyncClient
    seen: Seen

    def client(self, signer: Ed25519Signer) -> Client:
        return Client(self.running.house.origin, signer, self.http, self.seen, ProofKey(signer.sign(b"proof")[:32]))

    @property
    def provider(self) -> Client:
        return self.client(self.running.house.keys.organisation)

    async def bundle(self, client: Client, kind: str, id_: str) -> bytes:
        async def ask() -> bytes:
            return (await client.call("POST", "/ledger/v1/bundles", body={"kind": kind, "id": id_})).content

        found: bytes = await self.patiently(ask)
        return found

    async def exit_of(self, raw: bytes) -> tuple[Exit, str]:
        origin, now = f"{self.running.house.origin}/ledger/v1", self.running.house.clock.now_us() // 1_000_000
        policy, orgs = await self.http.get(f"{origin}/policy"), await self.http.get(f"{origin}/orgs")
        verdict = verify_bundle(raw, policy.content, orgs.content, now + 1)
        return verdict.exit, verdict.status or f"step {verdict.step}, {verdict.item}: {verdict.reason}"

    async def patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Until it is there; 15 s."""
        async with asyncio.timeout(15):
            while True:
                try:
                    return await ask()
                except Problem as problem:
                    if problem.row.http not in (404, 409):
                        raise
                await asyncio.sleep(0.1)


@asynccontextmanager
async def a_house(folder: Path) -> AsyncIterator[House]:
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    async with running_house(folder, where, keys=KeyRing(ROOT), names=ROOM) as running, http_client() as http:
        yield House(running, http, Seen())


def the_terms(days: int) -> Terms:
    return a_terms(
        window=window(timedelta(days=days)), constraints={"min-cohort": 2, "secure-aggregation": True},
        budget=Budget(rounds=4, exact_rounds=4),
    )  # fmt: skip


async def granted(house: House) -> list[tuple[Client, Given]]:
    """Three people with a twin each, who grant training to the institute."""
    made = []
    for number in range(PEOPLE):
        owner, twin = house.client(a_signer(f"owner {number}")), a_signer(f"twin {number}")
        await register_twin(owner, twin)
        id_ = house.running.house.ids.uuid7()
        made.append((owner, await give_grant(owner, id_, INSTITUTE.did, TwinId(twin.did), the_terms(30))))
    return made


async def bought(house: House) -> str:
    """The id of a final agreement between the house and the institute."""
    provider, buyer, terms = house.provider, house.client(INSTITUTE), the_terms(10)
    terms = replace(terms, valid_from=terms.valid_from + timedelta(minutes=1))
    offer = {
        "@id": f"urn:uuid:{uuid4()}", "@type": "Offer", "assigner": provider.did, "assignee": buyer.did,
        "target": "urn:didymos:product:glucose", "format": "didymos-train-v1", "terms": terms_json(terms),
        "validFrom": instant_text(terms.valid_from), "validUntil": instant_text(terms.valid_until),
        "price": {"asset": "EUR/2", "minor": 5000}, "rounds": 4, "fee_basis_points": 250,
    }  # fmt: skip
    market = "/marketplace/v1"
    deposit = {"id": str(uuid4()), "asset": "EUR/2", "minor": 5000}
    await provider.post(f"{market}/accounts/{buyer.did}/deposits", deposit)
    signed = sign_document(offer, provider.signer, terms.valid_from)
    published = await provider.post(f"{market}/offers", {"document": signed})
    opened = await buyer.post(
        f"{market}/negotiations", {"offer": published["id"], "consumer_pid": f"urn:uuid:{uuid4()}"}
    )
    path, drafted = f"{market}/negotiations/{opened['provider_pid']}", opened["agreement"]
    at = parse_instant(drafted["timestamp"])
    await provider.post(f"{path}/agreement", {"document": sign_document(drafted, provider.signer, at)})
    await buyer.post(f"{path}/verification", {"proof": sign_document(drafted, buyer.signer, at)["proof"]})
    return str((await provider.post(f"{path}/events", {"state": "FINALIZED"}))["agreement_id"])


async def test_what_the_real_rooms_did_is_proved_and_a_revocation_shows(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        people = await granted(house)
        agreement = await bought(house)
        owner, given = people[0]
        exit_, said = await house.exit_of(await house.bundle(house.client(INSTITUTE), "agreement", agreement))
        assert exit_ is Exit.VALID, said
        exit_, status = await house.exit_of(await house.bundle(owner, "grant", given.id))
        assert (exit_, status.startswith("no revocation")) == (Exit.VALID, True)
        public, use = Public(house.http, house.running.house.origin), {"params_digest": "00" * 32}
        use["event"] = event_id("grant.issued", given.id).hex()
        policy = await public.read("/ledger/v1/policy")
        assert (await proved(public, use, policy, tmp_path / "grant.proof")).startswith("logged at")
        assert (tmp_path / "grant.proof").read_bytes().startswith(b'{"at":')
        assert (await proved(public, use, b"", tmp_path / "x")).startswith("not proved: ledger.")  # nobody is trusted
        unknown = {**use, "event": "00" * 16}
        assert await proved(public, unknown, policy, tmp_path / "x") == "not proved: platform.not_found"
        await revoke_grant(owner, given)
        async with asyncio.timeout(15):
            while not status.startswith("revoked since"):
                exit_, status = await house.exit_of(await house.bundle(owner, "grant", given.id))
                await asyncio.sleep(0.1)
        assert exit_ is Exit.VALID
    async with a_house(tmp_path) as house:  # a restart keeps what was promised
        owner = house.client(a_signer("owner 1"))
        assert (await house.exit_of(await house.bundle(owner, "grant", people[1][1].id)))[0] is Exit.VALID
