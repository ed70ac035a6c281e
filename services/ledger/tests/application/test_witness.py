"""A witness answers as section 3 of marketplace-ledger.md says, and never cosigns a fork."""

from collections.abc import Callable, Sequence

import pytest
from didymos_ledger.adapters.witness_db import WitnessDb
from didymos_ledger.application.ports import WitnessAnswer
from didymos_ledger.application.witness import AddCheckpoint, add_checkpoint
from didymos_provenance import (
    EMPTY_ROOT,
    Checkpoint,
    Hash,
    Note,
    consistency_ranges,
    cosigned_at,
    leaf_hash,
    parse_signatures,
    proof_hashes,
    root_of,
    sign_checkpoint,
)
from didymos_testing.provenance import NOON, ORIGIN, a_log_signer, a_witness_signer

LEAVES = [leaf_hash(bytes([number])) for number in range(40)]
FORKED = [*LEAVES[:5], leaf_hash(b"other"), *LEAVES[6:]]
LOG, WITNESS = a_log_signer(), a_witness_signer()


def signed(size: int, leaves: Sequence[Hash] = LEAVES) -> Note:
    return sign_checkpoint(Checkpoint(ORIGIN, size, root_of(leaves[:size])), LOG)


def path(old: int, size: int, leaves: Sequence[Hash] = LEAVES) -> tuple[Hash, ...]:
    def read(level: int, index: int) -> Hash:
        return root_of(leaves[index << level : (index + 1) << level])

    return proof_hashes(consistency_ranges(old, size), read) if old else ()


def request(old: int, size: int, leaves: Sequence[Hash] = LEAVES) -> bytes:
    return AddCheckpoint(old, path(old, size, leaves), signed(size, leaves)).encode()


async def ask(states: WitnessDb, raw: bytes) -> WitnessAnswer:
    return await add_checkpoint(raw, {ORIGIN: [LOG.key]}, WITNESS, states, NOON)


async def test_a_log_that_grows_is_cosigned_at_each_size(states: WitnessDb) -> None:
    for old, size in ((0, 0), (0, 1), (1, 6), (6, 6), (6, 32), (32, 40)):
        answer = await ask(states, request(old, size))
        assert answer.status == 200
        note = signed(size).with_signatures(parse_signatures(answer.body.decode()))
        assert cosigned_at(note, WITNESS.key) == NOON
        stored = await states.find(ORIGIN)
        assert stored is not None
        assert stored.checkpoint.size == size


async def test_the_cosigned_state_survives_a_restart_of_the_witness(states: WitnessDb) -> None:
    await ask(states, request(0, 6))
    path_of_file = states._db.execute("pragma database_list").fetchone()[2]
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    with ThreadPoolExecutor(1) as thread:
        again = WitnessDb(Path(path_of_file), thread)
        assert (await ask(again, request(0, 7))).body == b"6\n"
        await again.close()


def untrusted() -> bytes:
    note = sign_checkpoint(Checkpoint(ORIGIN, 6, root_of(LEAVES[:6])), a_log_signer(seed="stranger"))
    return AddCheckpoint(0, (), note).encode()


def forged() -> bytes:
    good = signed(6)
    line = good.signatures[0]
    return request(0, 6).replace(line.line().encode(), type(line)(line.name, line.key_id, bytes(64)).line().encode())


def good_and_forged() -> bytes:
    return request(0, 6) + forged().splitlines(keepends=True)[-1]


def unknown_origin() -> bytes:
    other = a_log_signer("elsewhere.example/log")
    return AddCheckpoint(0, (), sign_checkpoint(Checkpoint("elsewhere.example/log", 1, LEAVES[0]), other)).encode()


def empty_with_a_root() -> bytes:
    return AddCheckpoint(0, (), sign_checkpoint(Checkpoint(ORIGIN, 0, LEAVES[0]), LOG)).encode()


@pytest.mark.parametrize(
    ("stored", "raw", "status", "body"),
    [
        (0, unknown_origin, 404, b""),
        (0, untrusted, 403, b""),
        (0, forged, 403, b""),
        (0, good_and_forged, 403, b""),
        (0, lambda: b"", 400, b""),
        (0, lambda: b"\xff", 400, b""),
        (0, lambda: request(0, 6).replace(b"old 0", b"old 00"), 400, b""),
        (0, lambda: request(0, 6).replace(b"old 0", b"OLD 0"), 400, b""),
        (0, lambda: request(0, 6).replace(b"\n6\n", b"\n06\n"), 400, b""),
        (6, lambda: AddCheckpoint(6, (LEAVES[0],) * 64, signed(7)).encode(), 400, b""),
        (6, lambda: AddCheckpoint(7, (), signed(6)).encode(), 400, b""),
        (0, lambda: request(0, 6) + b"x" * 200_000, 400, b""),
        (6, lambda: request(0, 7), 409, b"6\n"),
        (6, lambda: request(5, 7), 409, b"6\n"),
        (0, lambda: request(5, 7), 409, b"0\n"),
        (6, lambda: request(6, 7, FORKED), 422, b""),
        (6, lambda: request(6, 6, FORKED), 422, b""),
        (6, lambda: AddCheckpoint(6, path(6, 7)[:-1], signed(7)).encode(), 422, b""),
        (6, lambda: AddCheckpoint(6, (LEAVES[0],), signed(6)).encode(), 422, b""),
        (0, lambda: AddCheckpoint(0, (LEAVES[0],), signed(6)).encode(), 422, b""),
        (0, empty_with_a_root, 422, b""),
    ],
)
async def test_the_table_of_answers(
    states: WitnessDb, stored: int, raw: Callable[[], bytes], status: int, body: bytes
) -> None:
    if stored:
        assert (await ask(states, request(0, stored))).status == 200
    answer = await ask(states, raw())
    assert answer.status == status
    if body:
        assert answer.body == body
    after = await states.find(ORIGIN)
    assert (after.checkpoint.size if after else 0) == stored
    assert len(await states.evidence(ORIGIN)) == (1 if status == 422 else 0)


async def test_of_two_forks_of_one_size_the_first_is_cosigned_and_the_other_is_kept_as_evidence(
    states: WitnessDb,
) -> None:
    assert (await ask(states, request(0, 5))).status == 200
    assert (await ask(states, request(5, 9))).status == 200
    fork = request(5, 9, FORKED)
    assert (await ask(states, fork)).status == 409
    retried = AddCheckpoint(9, (), signed(9, FORKED)).encode()
    assert (await ask(states, retried)).status == 422
    assert await states.evidence(ORIGIN) == [retried]


async def test_of_two_requests_from_one_size_one_is_told_the_new_size(states: WitnessDb) -> None:
    """What is checked and what is stored is one step: no state is rolled back."""
    first = await states.find(ORIGIN)
    assert first is None
    assert await ask(states, request(0, 9))
    from didymos_ledger.application.ports import Witnessed

    slow = Witnessed(Checkpoint(ORIGIN, 4, root_of(LEAVES[:4])), signed(4).encode())
    assert not await states.advance(0, slow)
    stored = await states.find(ORIGIN)
    assert stored is not None
    assert stored.checkpoint.size == 9


def test_the_empty_root_is_that_of_the_rfc() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
