"""A checkpoint is agreed when enough witnesses of the policy cosigned it, whatever the others do."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_ledger.adapters.file_log import FileLog
from didymos_ledger.adapters.witness_db import WitnessDb
from didymos_ledger.application import agree as agreeing
from didymos_ledger.application.agree import agree
from didymos_ledger.application.ports import WitnessAnswer, WitnessClient
from didymos_ledger.application.prove import prove_event
from didymos_ledger.application.witness import add_checkpoint
from didymos_provenance import (
    NoteSigner,
    leaf_hash,
    open_checkpoint,
    parse_policy,
    parse_proof,
    require_quorum,
)
from didymos_testing.ledger import drafts, published
from didymos_testing.provenance import NOON, ORIGIN, a_log_signer, a_policy, a_witness_signer, an_event_id

WITNESSES = [a_witness_signer(f"witness-{number}.example") for number in (1, 2, 3)]
POLICY = parse_policy(a_policy([a_log_signer().key], [one.key for one in WITNESSES]))


class Here:
    """A witness in this process: the real use case over a real state."""

    def __init__(self, name: str, signer: NoteSigner, states: WitnessDb) -> None:
        self.name, self.signer, self.states = name, signer, states
        self.asked = 0

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        self.asked += 1
        return await add_checkpoint(request, {ORIGIN: [a_log_signer().key]}, self.signer, self.states, NOON)


class Away(Here):
    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        raise PLATFORM_UNAVAILABLE.problem(witness=self.name)


class Slow(Here):
    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        await asyncio.sleep(60)
        return await super().add_checkpoint(request)


class Liar(Here):
    def __init__(self, name: str, signer: NoteSigner, states: WitnessDb, answer: WitnessAnswer) -> None:
        super().__init__(name, signer, states)
        self.answer = answer

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        return self.answer


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[list[Here]]:
    with ThreadPoolExecutor(1) as thread:
        dbs = [WitnessDb(tmp_path / f"w{number}.db", thread) for number in (1, 2, 3)]
        yield [Here(f"w{n}", signer, db) for n, (signer, db) in enumerate(zip(WITNESSES, dbs, strict=True), start=1)]
        for db in dbs:
            await db.close()


async def test_three_witnesses_make_a_checkpoint_agreed_and_an_event_provable(log: FileLog, here: list[Here]) -> None:
    await log.append(drafts(0, 20))
    await published(log, 20)
    collected = await agree(log.head(), here, await log.sizes(), POLICY, log, NOON)
    assert collected.agreed is not None
    assert (collected.agreed.strength, collected.refused) == ("sequencer+witness(2/3)", {})
    await log.remember(collected.sizes, collected.agreed)
    assert await log.sizes() == {"w1": 20, "w2": 20, "w3": 20}
    agreed = await log.agreed()
    assert agreed == collected.agreed
    text, proof = await prove_event(an_event_id("7"), log, agreed)
    parsed = parse_proof(proof.encode())
    opened = open_checkpoint(parsed.note, POLICY)
    require_quorum(opened, POLICY)
    parsed.verify(leaf_hash(text), opened.checkpoint)


async def test_the_next_checkpoint_is_proved_from_the_size_each_witness_has(log: FileLog, here: list[Here]) -> None:
    for size in (10, 300):
        await log.append(drafts(log.head().checkpoint.size, size - log.head().checkpoint.size))
        await published(log, size)
        asked = [one.asked for one in here]
        collected = await agree(log.head(), here, await log.sizes(), POLICY, log, NOON)
        assert collected.agreed is not None
        assert [one.asked for one in here] == [count + 1 for count in asked]
        await log.remember(collected.sizes, collected.agreed)


async def test_a_witness_of_whose_size_the_log_is_wrong_is_asked_once_more(log: FileLog, here: list[Here]) -> None:
    await log.append(drafts(0, 4))
    await published(log, 4)
    assert (await agree(log.head(), here, {}, POLICY, log, NOON)).agreed
    await log.append(drafts(4, 4))
    await published(log, 8)
    collected = await agree(log.head(), here, {"w1": 2}, POLICY, log, NOON)
    assert (len(collected.note.signatures), [one.asked for one in here]) == (4, [3, 3, 3])


async def test_one_witness_away_leaves_a_quorum_and_two_do_not(
    log: FileLog, here: list[Here], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreeing, "WITNESS_SECONDS", 0.2)
    await log.append(drafts(0, 4))
    await published(log, 4)
    away = Away("w1", WITNESSES[0], here[0].states)
    slow = Slow("w2", WITNESSES[1], here[1].states)
    one: list[WitnessClient] = [away, here[1], here[2]]
    assert (await agree(log.head(), one, {}, POLICY, log, NOON)).agreed
    two: list[WitnessClient] = [away, slow, here[2]]
    collected = await agree(log.head(), two, {}, POLICY, log, NOON)
    assert collected.agreed is None
    assert collected.refused["w2"] == "timeout"
    assert "platform.unavailable" in collected.refused["w1"]
    assert collected.sizes == {"w3": 4}


@pytest.mark.parametrize(
    "answer",
    [
        WitnessAnswer(200, b""),
        WitnessAnswer(200, b"\xff\xfe"),
        WitnessAnswer(200, "\u2014 witness-2.example AAAA\n".encode()),
        WitnessAnswer(200, a_witness_signer().sign(b"something").hex().encode()),
        WitnessAnswer(409, b"99999\n"),
        WitnessAnswer(409, b"minus one\n"),
        WitnessAnswer(500, b"oops"),
    ],
)
async def test_what_a_witness_says_wrongly_counts_for_nothing(
    log: FileLog, here: list[Here], answer: WitnessAnswer
) -> None:
    await log.append(drafts(0, 4))
    await published(log, 4)
    liars: list[WitnessClient] = [
        Liar("w1", WITNESSES[0], here[0].states, answer),
        Liar("w2", WITNESSES[1], here[1].states, answer),
        here[2],
    ]
    collected = await agree(log.head(), liars, {}, POLICY, log, NOON)
    assert collected.agreed is None
    assert set(collected.refused) == {"w1", "w2"}


async def test_a_cosignature_of_another_checkpoint_counts_for_nothing(log: FileLog, here: list[Here]) -> None:
    await log.append(drafts(0, 4))
    await published(log, 4)
    old = await here[0].add_checkpoint(b"")
    assert old.status == 400
    first = await agree(log.head(), [here[0]], {}, POLICY, log, NOON)
    line = first.note.signatures[1].line().encode()
    await log.append(drafts(4, 4))
    await published(log, 8)
    liar: list[WitnessClient] = [Liar("w1", WITNESSES[0], here[0].states, WitnessAnswer(200, line))]
    collected = await agree(log.head(), liar, {}, POLICY, log, NOON)
    assert (len(collected.note.signatures), set(collected.refused)) == (1, {"w1"})


async def test_a_checkpoint_is_agreed_at_its_last_cosignature(log: FileLog, here: list[Here]) -> None:
    """A bundle is dated by it: under load a witness answers seconds after it was asked."""
    await log.append(drafts(0, 20))
    await published(log, 20)
    collected = await agree(log.head(), here, {}, POLICY, log, NOON - 3)
    assert collected.agreed is not None
    assert collected.agreed.at == NOON
