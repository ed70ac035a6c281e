"""A process that leaves schema and topics to jobs: not ready while they are behind, ready at head and ahead of it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from didymos_contracts.topics import MARKET
from didymos_kit.database.engine import postgres_engine
from didymos_kit.house_settings import HouseSettings
from didymos_kit.jobs import migrate, topics
from didymos_testing.chaos_services import ServiceProcesses
from didymos_testing.servers import deleted_topics, house_settings, wiped
from sqlalchemy import text

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]
NAME = "marketplace"


@asynccontextmanager
async def a_process(folder: Path, settings: HouseSettings, given: dict[str, str]) -> AsyncIterator[ServiceProcesses]:
    house = ServiceProcesses(folder, settings, given={"DIDYMOS_MIGRATE": "false", **given})
    try:
        await house.launch(NAME)
        yield house
    finally:
        await house.stop()


async def waits_for(house: ServiceProcesses, reason: str) -> None:
    await house.until(NAME, lambda said: reason in said.get("reasons", {}).get("process", ""))


async def ahead(settings: HouseSettings) -> None:
    """As a newer release leaves it."""
    engine = postgres_engine(settings.postgres(), NAME, pooled=False)
    async with engine.begin() as connection:
        await connection.execute(text("update alembic_version set version_num = '9999'"))
    await engine.dispose()


async def test_a_process_waits_for_secret_schema_and_topics_and_serves_a_schema_that_is_ahead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = house_settings(tmp_path, os.environ)
    await wiped(settings)
    await topics(settings)
    secret = tmp_path / "secret"
    given = {"DIDYMOS_SECRET_FILE": str(secret)}

    async with a_process(tmp_path, settings, given) as house:
        await waits_for(house, "DIDYMOS_SECRET_FILE")
        assert (await house.probed(NAME, "live"))["live"]
        secret.write_text(settings.secret.get_secret_value() + "\n")
        await waits_for(house, "platform.schema_behind")
        await migrate(settings, [NAME])
        await house.until(NAME, lambda said: bool(said.get("ready")))
        assert await house.terminate(NAME) == 0
    await ahead(settings)
    await deleted_topics(settings, {MARKET.name})
    async with a_process(tmp_path, settings, given) as house:
        await waits_for(house, MARKET.name)
        await topics(settings)
        await house.until(NAME, lambda said: bool(said.get("ready")))
        assert (
            await house.terminate(NAME) == 0
        )  # a member that is killed keeps its group waiting, for the next test too
    await migrate(settings, [NAME])
    assert f"{NAME}: ahead of this release at 9999" in capsys.readouterr().out
