"""A bench on SQLite: the real stores, and what was published."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from didymos_identity.adapters.vault import SqlVault
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.identity_bench import MASTER, Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = FixedClock()
    async with AsyncExitStack() as stack:
        opened = []
        for name in ("identity", "identity.vault"):
            engine = sqlite_engine(tmp_path / f"{name}.db", erasing=name != "identity")
            await upgrade(engine, migrations_of(name))
            stamp = Stamp("didymos://test/identity", clock, seeded_ids(clock))
            opened.append(await stack.enter_async_context(Database(engine, name, stamp, migrations_of(name))))
        yield Bench(opened[0], SqlVault(opened[1], MASTER), clock)
