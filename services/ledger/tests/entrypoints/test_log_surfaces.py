"""The log as monitors, witnesses and verifiers see it: C2SP over REST, gRPC, and roles in processes of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from didymos.ledger.v1.ledger_service_pb2 import AppendRequest, GetProofRequest, WatchCheckpointsRequest
from didymos.ledger.v1.ledger_service_pb2_grpc import LedgerStub
from didymos.ledger.v1.ledger_types_pb2 import EntryDraft, Fact
from didymos_contracts.errors import Problem
from didymos_contracts.topics import LEDGER
from didymos_kit.eventlog import Stored
from didymos_kit.keyring import KeyRing
from didymos_ledger.bootstrap import bootstrap
from didymos_ledger.keys import Keys
from didymos_ledger.settings import LedgerSettings
from didymos_provenance import (
    Exit,
    event_id,
    leaf_hash,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    parse_policy,
    parse_proof,
    require_quorum,
    root_of,
    verify_bundle,
)
from didymos_testing.did import STRANGER
from didymos_testing.house import ROOT, a_house, served
from didymos_testing.kit import problem_codes
from didymos_testing.ledger import Ledger, a_ledger
from didymos_testing.provenance import a_thread, an_event_id


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger(tmp_path) as made:
        for person in made.market.people:
            await made.logged("grant.issued", person.grant.id)
        yield made


async def test_a_monitor_recomputes_the_root_from_the_entries(ledger: Ledger) -> None:
    checkpoint = parse_checkpoint((await ledger.checkpoint()).text)
    entries = (await ledger.entries()).split(b"\n")
    assert len(entries) == checkpoint.size == 3
    assert root_of([leaf_hash(text) for text in entries]) == checkpoint.root
    assert checkpoint.origin == f"{ledger.market.house.org}/log/0"


async def test_the_checkpoint_carries_the_quorum_of_the_policy(ledger: Ledger) -> None:
    policy = parse_policy((await ledger.trust())[0])
    note = await ledger.checkpoint()
    require_quorum(open_checkpoint(note, policy), policy)


async def test_tiles_that_no_checkpoint_covers_are_not_found(ledger: Ledger) -> None:
    async with ledger.rest(None) as anybody:
        missing = [
            await anybody.get(f"/log/0/tile/{path}")
            for path in ("0/000", "0/000.p/9", "entries/001.p/1", "9/x", "../x")
        ]
        assert problem_codes(missing) == [(404, "platform.not_found")] * 5
        tile = await anybody.get("/log/0/tile/0/000.p/3")
    assert (len(tile.content), tile.headers["cache-control"]) == (96, "public, max-age=31536000, immutable")


async def test_a_witness_shows_what_it_cosigned_and_refuses_what_is_no_request(ledger: Ledger) -> None:
    origin = f"{ledger.market.house.org}/log/0"
    async with ledger.rest(None) as anybody:
        shown = await anybody.get(f"/witness/{sha256(origin.encode()).hexdigest()}/checkpoint")
        unknown = await anybody.get(f"/witness/{'0' * 64}/checkpoint")
        junk = await anybody.post("/witness/add-checkpoint", content=b"\xff")
        conflict = await anybody.post("/witness/add-checkpoint", content=f"old 0\n\n{shown.text}".encode())
        large = await anybody.post("/witness/add-checkpoint", content=b"x" * 200_000)
    assert parse_checkpoint(parse_note(shown.text).text).size == 3
    assert problem_codes([unknown, large]) == [(404, "platform.not_found"), (413, "platform.too_large")]
    assert junk.status_code == 400
    assert (conflict.status_code, conflict.text) == (409, "3\n")
    assert conflict.headers["content-type"].startswith("text/x.tlog.size")


async def test_services_of_the_organisation_append_and_anybody_reads_proofs(ledger: Ledger) -> None:
    draft = EntryDraft(
        event_id=an_event_id("x"), kind="audit.root", thread=a_thread("x"), commitment=b"c" * 32,
        facts=[Fact(name="count", number=5)],
    )  # fmt: skip
    async with ledger.world.peer(ledger.market.org, "ledger") as own, ledger.world.peer(STRANGER, "ledger") as other:
        receipt = await LedgerStub(own.channel).Append(AppendRequest(drafts=[draft]))
        assert list(receipt.indices) == [3]
        assert len(receipt.promises) == 1
        with pytest.raises(Problem, match=r"platform\.forbidden"):
            await LedgerStub(other.channel).Append(AppendRequest(drafts=[draft]))
        twice = EntryDraft(event_id=an_event_id("y"), facts=[Fact(name="count", number=5)] * 2)
        with pytest.raises(Problem, match=r"platform\.invalid_field"):
            await LedgerStub(own.channel).Append(AppendRequest(drafts=[twice]))
        proof = await LedgerStub(other.channel).GetProof(GetProofRequest(event_id=an_event_id("x"), wait_ms=5000))
        assert (proof.index, proof.agreed) == (3, "sequencer+witness(2/3)")
        found = parse_proof(proof.tlog_proof)
        found.verify(leaf_hash(proof.entry.encode()), parse_checkpoint(found.note.text))
        with pytest.raises(Problem, match=r"platform\.not_found"):
            await LedgerStub(other.channel).GetProof(GetProofRequest(event_id=b"?" * 16))
        with pytest.raises(Problem, match=r"platform\.invalid_field"):
            await LedgerStub(other.channel).GetProof(GetProofRequest(event_id=b"?" * 16, wait_ms=10_001))


async def test_agreed_checkpoints_are_streamed_and_published(ledger: Ledger) -> None:
    published: list[Stored] = []
    async with (
        ledger.market.house.event_log.tail(LEDGER.name, published.append) as tail,
        ledger.world.peer(STRANGER, "ledger") as peer,
        asyncio.timeout(10),
    ):
        stream = LedgerStub(peer.channel).WatchCheckpoints(WatchCheckpointsRequest())
        async for answer in stream:
            assert answer.checkpoint.size == 3
            break
        while not published:
            await tail.ready()
            await asyncio.sleep(0.02)
    assert published[0].headers["ce_type"] == b"didymos.ledger.v1.CheckpointAgreed"


async def test_a_restart_keeps_log_keys_and_proofs(tmp_path: Path) -> None:
    async with a_ledger(tmp_path) as ledger:
        person = ledger.market.people[0]
        raw, trust = await ledger.bundle(person.owner, "grant", person.grant.id), await ledger.trust()
    async with a_ledger(tmp_path) as ledger:
        assert await ledger.trust() == trust
        assert (await ledger.verdict(raw)).exit == 0
        assert (await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))).exit == 0


async def test_witnesses_in_processes_of_their_own_make_the_quorum(tmp_path: Path) -> None:
    """Two of three answer; the third is away. Each keeps its own state under its own key."""
    async with AsyncExitStack() as stack:
        urls = []
        for number in (1, 2):
            house = await stack.enter_async_context(a_house(tmp_path / f"w{number}"))
            settings = LedgerSettings(role="witness", witness=number, folder=tmp_path / f"w{number}")
            service = await stack.enter_async_context(bootstrap(settings, house))
            await stack.enter_async_context(served(house, service))
            urls.append(f"{house.origin}/ledger/witness")
        urls.append("http://127.0.0.1:9/ledger/witness")
        ledger = await stack.enter_async_context(a_ledger(tmp_path / "log", role="log", witness_urls=tuple(urls)))
        person = ledger.market.people[0]
        raw = await ledger.bundle(person.owner, "grant", person.grant.id)
        verdict = await ledger.verdict(raw)
        assert (verdict.exit, verdict.strength) == (0, "sequencer+witness(2/3)")
        policy, orgs = await ledger.trust()
        stricter = policy.replace(b"group all-witnesses 2", b"group all-witnesses 3")
        at = house.clock.now_us() // 1_000_000 + 1
        assert verify_bundle(raw, stricter, orgs, at).exit is Exit.BELOW_POLICY


async def test_witnesses_of_other_organisations_make_the_quorum(tmp_path: Path) -> None:
    """Of three organisations one is away: the other one's witness must have seen the log, and its key is its own."""
    async with AsyncExitStack() as stack:
        house, ring = await stack.enter_async_context(a_house(tmp_path / "other")), KeyRing(b"o" * 32)
        other, away = Keys(LedgerSettings(), ring), Keys(LedgerSettings(), KeyRing(b"a" * 32))
        log = Keys(LedgerSettings(), KeyRing(ROOT)).log().key.vkey()
        settings = LedgerSettings(role="witness", folder=tmp_path / "w", logs=(log,))
        service = await stack.enter_async_context(bootstrap(settings, replace(house, keys=ring)))
        await stack.enter_async_context(served(house, service))
        partners = (
            f"{other.witness(1).key.vkey()} {house.origin}/ledger/witness",
            f"{away.witness(1).key.vkey()} http://127.0.0.1:9/ledger/witness",
        )
        ledger = await stack.enter_async_context(a_ledger(tmp_path / "log", witness_count=1, partners=partners))
        person = ledger.market.people[0]
        raw = await ledger.bundle(person.owner, "grant", person.grant.id)
        assert (await ledger.verdict(raw)).strength == "sequencer+witness(2/3)"
        trusted = other.witness(1).key
        policy = f"log {log}\nwitness theirs {trusted.vkey()}\nquorum theirs\n".encode()
        at = house.clock.now_us() // 1_000_000 + 1
        assert verify_bundle(raw, policy, (await ledger.trust())[1], at).exit is Exit.VALID


async def test_a_witness_that_was_late_is_asked_again(tmp_path: Path) -> None:
    """Two of three agree; who believes the third alone is served once that one has seen the log, too."""
    async with AsyncExitStack() as stack:
        rings = {name: KeyRing(name.encode() * 16) for name in ("p1", "p2")}
        houses = {name: await stack.enter_async_context(a_house(tmp_path / name)) for name in rings}
        log = Keys(LedgerSettings(), KeyRing(ROOT)).log().key.vkey()
        keys = {name: Keys(LedgerSettings(), ring).witness(1).key for name, ring in rings.items()}
        partners = tuple(f"{keys[name].vkey()} {house.origin}/ledger/witness" for name, house in houses.items())

        async def answers(name: str) -> None:
            settings = LedgerSettings(role="witness", folder=tmp_path / f"w{name}", logs=(log,))
            house = replace(houses[name], keys=rings[name])
            await stack.enter_async_context(
                served(houses[name], await stack.enter_async_context(bootstrap(settings, house)))
            )

        await answers("p1")
        ledger = await stack.enter_async_context(a_ledger(tmp_path / "log", witness_count=1, partners=partners))
        person = ledger.market.people[0]
        raw = await ledger.bundle(person.owner, "grant", person.grant.id)
        policy, orgs = f"log {log}\nwitness p2 {keys['p2'].vkey()}\nquorum p2\n".encode(), (await ledger.trust())[1]
        at = houses["p1"].clock.now_us() // 1_000_000 + 60
        assert verify_bundle(raw, policy, orgs, at).exit is Exit.BELOW_POLICY
        await answers("p2")
        async with asyncio.timeout(30):
            while verify_bundle(raw, policy, orgs, at).exit is not Exit.VALID:
                raw = await ledger.bundle(person.owner, "grant", person.grant.id)


@pytest.mark.parametrize("said", ["", "no key", "w+1+x http://127.0.0.1", "{vkey} ftp://127.0.0.1", "{vkey}"])
async def test_a_partner_that_cannot_be_one_is_refused_by_name(said: str) -> None:
    vkey = Keys(LedgerSettings(), KeyRing(ROOT)).witness(1).key.vkey()
    with pytest.raises(Problem, match="DIDYMOS_LEDGER__PARTNERS"):
        Keys(LedgerSettings(partners=(said.format(vkey=vkey),)), KeyRing(ROOT)).witnesses()


async def test_without_a_quorum_nothing_is_proved(tmp_path: Path) -> None:
    away = "http://127.0.0.1:9/ledger/witness"
    async with a_ledger(tmp_path, role="log", witness_urls=(away, away, away)) as ledger:
        await ledger.grown(2)
        event = event_id("grant.issued", ledger.market.people[0].grant.id)
        async with ledger.rest(None) as anybody:
            answer = await anybody.get(f"/v1/proofs/{event.hex()}")
        assert problem_codes([answer]) == [(409, "ledger.not_yet_published")]
