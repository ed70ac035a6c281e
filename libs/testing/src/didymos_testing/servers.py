# ruff: noqa: ASYNC110 - a broker tells nobody when it is done
"""Real servers, emptied for one test: topics of the catalogue, schemas of the services, the hot store."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from didymos_contracts.topics import TOPICS
from didymos_kit.database.engine import postgres_engine
from didymos_kit.hot.port import Script
from didymos_kit.hot.redis import RedisHot
from didymos_kit.house_settings import HouseSettings
from pydantic import SecretStr
from sqlalchemy import text

from didymos_testing.house import ROOT, free_port

_FLUSH = Script("return redis.call('FLUSHALL')")
SCHEMAS = (
    "identity", "identity_vault", "ingestion", "twin_state", "training_orchestration", "marketplace", "ledger",
    "steward",
)  # fmt: skip


def house_settings(folder: Path, environ: Mapping[str, str]) -> HouseSettings:
    """A house on the servers that `environ` names (`make servers`), reached on ports that are free now."""
    rest = free_port()
    return HouseSettings(
        kafka_url=environ["DIDYMOS_KAFKA_URL"], postgres_url=SecretStr(environ["DIDYMOS_POSTGRES_URL"]),
        redis_url=environ["DIDYMOS_REDIS_URL"], files=folder / "files", origin=f"http://127.0.0.1:{rest}",
        secret=SecretStr(ROOT.hex()), rest_port=rest, grpc_port=free_port(), admin_port=free_port(),
    )  # fmt: skip


async def wiped(settings: HouseSettings) -> None:
    """Nothing of an earlier test is left. Only for servers that tests own."""
    await deleted_topics(settings, {row.name for row in TOPICS})
    engine = postgres_engine(settings.postgres_url.get_secret_value(), "public", pooled=False)
    async with engine.begin() as connection:
        for schema in SCHEMAS:
            await connection.execute(text(f'drop schema if exists "{schema}" cascade'))
    await engine.dispose()
    async with RedisHot.at(settings.redis_url) as hot:
        await hot.run(_FLUSH, [], [])


async def deleted_topics(settings: HouseSettings, names: Collection[str]) -> None:
    """Until the brokers no longer know them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_url.removeprefix("kafka://"))
    await admin.start()
    try:
        ours = set(names) & set(await admin.list_topics())
        if ours:
            await admin.delete_topics(sorted(ours))
        async with asyncio.timeout(30):
            while set(names) & set(await admin.list_topics()):
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def a_schema(url: str, schema: str) -> None:
    engine = postgres_engine(url, "public", pooled=False)
    async with engine.begin() as connection:
        await connection.execute(text(f'create schema "{schema}"'))
    await engine.dispose()
