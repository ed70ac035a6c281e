"""How Kafka itself is: brokers that answer, and partitions without a leader or with too few copies, as gauges."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from didymos_contracts.metrics import KAFKA_BROKERS, KAFKA_PARTITIONS
from didymos_contracts.topics import TOPICS

from didymos_kit.telemetry.metrics import Metrics

SECONDS: Final = 15.0
STATES: Final = ("whole", "under_replicated", "leaderless")


def state_of(part: Mapping[str, Any]) -> str:
    """Of one partition as the admin protocol describes it."""
    if part["leader"] < 0:
        return "leaderless"
    return "under_replicated" if len(part["isr"]) < len(part["replicas"]) else "whole"


@asynccontextmanager
async def watching(admin: AIOKafkaAdminClient, metrics: Metrics) -> AsyncIterator[None]:
    """For as long as the block."""
    task = asyncio.create_task(_watch(admin, metrics), name="kafka watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(admin: AIOKafkaAdminClient, metrics: Metrics) -> None:
    """Until cancelled. While no broker answers, none is counted and the partitions stand as they were."""
    topics = [row.name for row in TOPICS]
    brokers = metrics.gauge(KAFKA_BROKERS)
    partitions = {state: metrics.gauge(KAFKA_PARTITIONS, state=state) for state in STATES}
    while True:
        try:
            cluster = await admin.describe_cluster()
            described = await admin.describe_topics(topics)
        except (KafkaError, OSError, TimeoutError):
            brokers.set(0)
        else:
            brokers.set(len(cluster["brokers"]))
            counted = Counter(state_of(part) for topic in described for part in topic["partitions"])
            for state, gauge in partitions.items():
                gauge.set(counted[state])
        await asyncio.sleep(SECONDS)
