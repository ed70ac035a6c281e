"""The vault on disk: the same key again, never a key after its destruction, no trace of one in the file."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from didymos_did import DidError, TwinId
from didymos_identity.adapters.tables import EPOCH_KEYS, KEKS
from didymos_identity.adapters.vault import SqlVault
from didymos_testing.did import NOON, STRANGER, TWIN
from sqlalchemy import select, update

TWIN_ID, OTHER = TwinId(TWIN.did), TwinId(STRANGER.did)


async def test_eight_that_ask_at_once_get_one_key(bench: Any) -> None:
    given = await asyncio.gather(*(bench.vault.keys([(TWIN_ID, 1), (OTHER, 1)]) for _ in range(8)))
    assert {tuple(key.secret for key in keys) for keys in given} == {tuple(key.secret for key in given[0])}


async def test_a_destroyed_twin_is_remembered_by_name_also_one_that_never_had_a_key(bench: Any) -> None:
    await bench.vault.keys([(TWIN_ID, 1)])
    for twin in (TWIN_ID, OTHER):
        for _ in range(2):
            await bench.vault.destroy(twin, NOON)
    assert await bench.vault.keys([(TWIN_ID, 1), (OTHER, 2)]) == [None, None]


async def test_destroying_one_twin_leaves_the_keys_of_others(bench: Any) -> None:
    (before,) = await bench.vault.keys([(OTHER, 1)])
    await bench.vault.destroy(TWIN_ID, NOON)
    assert await bench.vault.keys([(TWIN_ID, 1), (OTHER, 1)]) == [None, before]


async def test_nothing_of_a_destroyed_key_is_left_in_the_files(bench: Any) -> None:
    await bench.vault.keys([(TWIN_ID, epoch) for epoch in range(5)])
    async with bench.vault._database.read() as connection:
        wrapped = [row.wrapped for row in await connection.execute(select(KEKS.c.wrapped))]
        wrapped += [row.wrapped for row in await connection.execute(select(EPOCH_KEYS.c.wrapped))]
    assert len(wrapped) == 6
    held = everything(bench.vault_file)
    assert all(secret in held for secret in wrapped)
    await bench.vault.destroy(TWIN_ID, NOON)
    held = everything(bench.vault_file)
    assert not any(secret in held for secret in wrapped)


def everything(file: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(file.parent.glob(f"{file.name}*")))


async def test_a_key_is_wrapped_for_its_twin_and_under_its_master(bench: Any) -> None:
    await bench.vault.keys([(TWIN_ID, 1), (OTHER, 1)])
    database = bench.vault._database
    with pytest.raises(DidError, match=r"seal\.invalid"):
        await SqlVault(database, b"x" * 32).keys([(TWIN_ID, 1)])
    async with database.unit_of_work() as tx:
        foreign = (await tx.connection.execute(select(KEKS.c.wrapped).where(KEKS.c.twin == OTHER))).scalar_one()
        await tx.connection.execute(update(KEKS).where(KEKS.c.twin == TWIN_ID).values(wrapped=foreign))
    with pytest.raises(DidError, match=r"seal\.invalid"):
        await bench.vault.keys([(TWIN_ID, 1)])


async def test_a_thousand_keys_are_made_and_found_in_one_question_each(bench: Any) -> None:
    names = [(twin, epoch) for twin in (TWIN_ID, OTHER) for epoch in range(500)]
    made = await bench.vault.keys(names)
    assert [(key.twin, key.epoch) for key in made] == names
    assert await bench.vault.keys(names) == made
