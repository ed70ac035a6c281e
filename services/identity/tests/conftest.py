"""A desk to work at: the real stores on SQLite, and what was published."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from didymos_did import Did, TwinId
from didymos_identity.adapters.vault import SqlVault
from didymos_identity.adapters.work import sql_reads, sql_work
from didymos_identity.application.ports import Work
from didymos_identity.domain.events import Event
from didymos_identity.domain.twin import Twin
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.dispatch import Done
from didymos_testing.clock import FixedClock, seeded_ids
from didymos_testing.did import NOON, OWNER, TWIN

Value = TypeVar("Value")
MASTER = b"m" * 32


@dataclass
class Bench:
    """`await bench.do(lambda work: ...)` is one transaction; `published` grows with those that committed."""

    database: Database
    vault: SqlVault
    vault_file: Path
    clock: FixedClock
    published: list[Event] = field(default_factory=list)

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]]) -> Done[Value]:
        told: list[Event] = []
        async with self.database.unit_of_work() as tx:
            work = sql_work(tx)

            def publish(event: Event) -> None:
                told.append(event)
                work.publish(event)

            value = await use_case(replace(work, publish=publish))
        self.published += told
        return Done(value, "", placed=True)

    async def do(self, use_case: Callable[[Work], Awaitable[Value]]) -> Value:
        return (await self(use_case)).value

    async def with_twin(self, owner: Did = OWNER.did, twin: Did = TWIN.did) -> Twin:
        made = Twin(TwinId(twin), owner, NOON)
        await self.do(lambda work: work.twins.add(made))
        return made

    async def twin(self) -> Twin:
        async with self.database.read() as connection:
            return (await sql_reads(connection).twins.find(TwinId(TWIN.did)))[TwinId(TWIN.did)]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.published]


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
        yield Bench(opened[0], SqlVault(opened[1], MASTER), tmp_path / "identity.vault.db", clock)
