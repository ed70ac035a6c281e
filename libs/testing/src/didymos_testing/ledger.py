"""Builders for the ledger service."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from didymos.training.v1.training_events_pb2 import ModelRegistered, RoundClosed, RunStarted
from didymos.training.v1.training_types_pb2 import MODEL_KIND_GLOBAL
from didymos_contracts.topics import MODEL
from didymos_did import Ed25519Signer
from didymos_kit.house import House
from didymos_ledger.application.ports import EntryLog
from didymos_ledger.bootstrap import bootstrap
from didymos_ledger.domain.batch import EntryDraft
from didymos_ledger.settings import LedgerSettings
from didymos_marketplace.bootstrap import bootstrap as market_bootstrap
from didymos_marketplace.settings import MarketplaceSettings
from didymos_provenance import Note, Verdict, decode_entries, event_id, parse_checkpoint, parse_note, verify_bundle

from didymos_testing.house import World, a_house, served
from didymos_testing.market import Market, Person, a_person, a_person_of
from didymos_testing.provenance import a_salt, a_thread, an_event_id


def a_draft(seed: str, kind: str = "grant.issued") -> EntryDraft:
    return EntryDraft(an_event_id(seed), kind, a_thread(seed), bytes(a_salt(seed)))


def drafts(first: int, count: int) -> list[EntryDraft]:
    return [a_draft(str(number)) for number in range(first, first + count)]


async def published(log: EntryLog, size: int) -> None:
    """Wait until a checkpoint covers `size` entries."""
    if log.head().checkpoint.size < size:
        async with asyncio.timeout(30):
            async for head in log.grown(log.head().checkpoint.size):
                if head.checkpoint.size >= size:
                    return


@dataclass
class Ledger:
    """A running ledger with a market beside it; `people` granted, and tests do the rest."""

    market: Market

    @property
    def world(self) -> World:
        return self.market.world

    def rest(self, signer: Ed25519Signer | None) -> httpx.AsyncClient:
        return self.world.rest(signer, "ledger")

    async def bundle(self, signer: Ed25519Signer, kind: str, id_: str) -> bytes:
        """The bundle, as soon as there is one; fails after 10 s."""
        async with asyncio.timeout(30), self.rest(signer) as client:
            while True:
                answer = await client.post("/v1/bundles", json={"kind": kind, "id": id_})
                if answer.status_code == httpx.codes.OK:
                    return answer.content
                if answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                    raise AssertionError(f"{answer.status_code}: {answer.text}")
                await asyncio.sleep(0.05)

    async def trust(self) -> tuple[bytes, bytes]:
        """The two files of a verifier: policy and organisations."""
        async with self.rest(None) as anybody:
            policy, orgs = await anybody.get("/v1/policy"), await anybody.get("/v1/orgs")
            return policy.content, orgs.content

    async def verdict(self, raw: bytes) -> Verdict:
        policy, orgs = await self.trust()
        return verify_bundle(raw, policy, orgs, self.market.house.clock.now_us() // 1_000_000 + 1)

    async def logged(self, kind: str, subject: str) -> None:
        """Return once an agreed checkpoint covers the entry."""
        async with asyncio.timeout(30), self.rest(None) as anybody:
            while (await anybody.get(f"/v1/proofs/{event_id(kind, subject).hex()}")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - a client polls
                await asyncio.sleep(0.05)

    async def checkpoint(self) -> Note:
        async with self.rest(None) as anybody:
            return parse_note((await anybody.get("/log/0/checkpoint")).text)

    async def size(self) -> int:
        return parse_checkpoint((await self.checkpoint()).text).size

    async def grown(self, size: int) -> None:
        async with asyncio.timeout(30):
            while await self.size() <= size:  # noqa: ASYNC110 - a monitor polls
                await asyncio.sleep(0.05)

    async def entries(self) -> bytes:
        """All entries of a log below 256, as a monitor reads them."""
        size = await self.size()
        async with self.rest(None) as anybody:
            answer = await anybody.get(f"/log/0/tile/entries/000.p/{size}")
            return b"\n".join(decode_entries(answer.content))

    async def trained(self, agreement: str, run: str, rounds: int = 2) -> None:
        """A run under the agreement: started, its rounds closed, a global model registered."""
        said: dict[str, Any] = {"run": run, "agreement": agreement}
        market = self.market
        await market.hear(RunStarted(**said, spec_digest=b"s" * 32, params_digest=b"p" * 32, rounds=rounds), run)
        for number in range(1, rounds + 1):
            closed = RoundClosed(
                **said, round=number, total_digest=bytes([number]) * 32, params_digest=bytes([number + 100]) * 32,
                transcript=b"t", accepted=3, masking="pairwise",
            )  # fmt: skip
            await market.hear(closed, run)
        model = ModelRegistered(
            model_id=f"{run}/model",
            kind=MODEL_KIND_GLOBAL,
            run=run,
            task="glucose",
            params_digest=b"m" * 32,
            card=b"{}",
        )
        await market.hear(model, "glucose", MODEL)


@asynccontextmanager
async def a_ledger(folder: Path, people: int = 3, **settings: Any) -> AsyncIterator[Ledger]:  # noqa: ANN401 - any setting
    """Ledger and market in a house in `folder`. The same folder again is a restart."""
    async with a_house(folder) as house, a_ledger_in(house, folder, people, **settings) as made:
        yield made


@asynccontextmanager
async def a_ledger_in(
    house: House, kept: Path, people: int = 3, **settings: Any  # noqa: ANN401 - any setting
) -> AsyncIterator[Ledger]:  # fmt: skip
    """The same in any house; `kept` holds the credentials of its people."""
    async with (
        market_bootstrap(MarketplaceSettings(), house) as market,
        bootstrap(LedgerSettings(**{"agree_seconds": 0.05, **settings}), house) as ledger,
        served(house, market, ledger) as world,
    ):
        made = Ledger(Market(world))
        await made.market.join(*_people(kept, house, people))
        yield made


def _people(folder: Path, house: House, count: int) -> list[Person]:
    """The same people with the same grants after a restart: their credentials lie in the folder."""
    path = folder / "people.json"
    if not path.exists():
        made = [a_person(house, str(number)) for number in range(count)]
        path.write_text(json.dumps([person.credential.decode() for person in made]))
        return made
    kept = [credential.encode() for credential in json.loads(path.read_text())]
    return [a_person_of(str(number), credential) for number, credential in enumerate(kept)]
