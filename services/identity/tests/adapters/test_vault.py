"""The vault on disk: the same key again, never a key after its destruction, no trace of one in the file."""

from pathlib import Path
from typing import Any

import pytest
from didymos_did import DidError, TwinId
from didymos_identity.adapters.tables import EPOCH_KEYS, KEKS
from didymos_identity.adapters.vault import SqlVault
from didymos_testing.did import NOON, STRANGER, TWIN
from sqlalchemy import select, update

TWIN_ID, OTHER = TwinId(TWIN.did), TwinId(STRANGER.did)


async def test_nothing_of_a_destroyed_key_is_left_in_the_files(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "identity.vault.db"
    await bench.vault.keys([(TWIN_ID, epoch) for epoch in range(5)])
    async with bench.vault._database.read() as connection:
        wrapped = [row.wrapped for row in await connection.execute(select(KEKS.c.wrapped))]
        wrapped += [row.wrapped for row in await connection.execute(select(EPOCH_KEYS.c.wrapped))]
    assert len(wrapped) == 6
    held = everything(file)
    assert all(secret in held for secret in wrapped)
    await bench.vault.destroy(TWIN_ID, NOON)
    held = everything(file)
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
