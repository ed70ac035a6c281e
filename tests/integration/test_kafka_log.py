"""The Kafka adapter keeps every promise of the event log, on a real broker."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from didymos_kit.eventlog import EventLog
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_testing import eventlog as contract

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("kafka_url")]


@asynccontextmanager
async def kafka_log() -> AsyncIterator[EventLog]:
    async with KafkaLog(os.environ["DIDYMOS_KAFKA_URL"], client="test") as log:
        yield log


async def broker_tidies(log: EventLog) -> None:
    """The broker looks by itself, several times a second as `tools/servers.py` sets it up."""
    await asyncio.sleep(0.2)


class TestKafkaWriter(contract.WriterContract):
    make_log = staticmethod(kafka_log)


class TestKafkaGroup(contract.GroupContract):
    make_log = staticmethod(kafka_log)


class TestKafkaSeek(contract.SeekContract):
    make_log = staticmethod(kafka_log)


class TestKafkaLag(contract.LagContract):
    make_log = staticmethod(kafka_log)


class TestKafkaTail(contract.TailContract):
    make_log = staticmethod(kafka_log)


class TestKafkaRetention(contract.RetentionContract):
    make_log = staticmethod(kafka_log)
    tidy = staticmethod(broker_tidies)


class TestKafkaCompaction(contract.CompactionContract):
    make_log = staticmethod(kafka_log)
    tidy = staticmethod(broker_tidies)


class TestKafkaDeadLetter(contract.DeadLetterContract):
    make_log = staticmethod(kafka_log)


class TestKafkaHold(contract.HoldContract):
    make_log = staticmethod(kafka_log)


class TestKafkaDrain(contract.DrainContract):
    make_log = staticmethod(kafka_log)
