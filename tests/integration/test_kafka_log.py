"""The Kafka adapter keeps every promise of the event log, on a real broker."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from didymos_kit.eventlog import EventLog, Stored
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_kit.eventlog.kafka_client import Cluster
from didymos_kit.eventlog.kafka_writer import close_producer, open_producer
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


class TestKafkaHistories(contract.HistoryContract):
    make_log = staticmethod(kafka_log)
    seeds = range(2)
    steps = 30
    poll_seconds = 0.05


MEMBER = """
import asyncio, sys
from didymos_kit.eventlog import Earliest
from didymos_kit.eventlog.kafka import KafkaLog
from didymos_testing.eventlog import Hooking
async def main(url, name, topic):
    async with KafkaLog(url, session_seconds=6) as log, log.group(name, [topic], Hooking(Earliest())) as group:
        while True:
            await group.poll()
            print(len(group.parts), flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


def spawned_member(*arguments: str) -> subprocess.Popen[str]:
    """A member in a process of its own, which can be killed. Says how many parts it has after each poll."""
    return subprocess.Popen([sys.executable, "-c", MEMBER, *arguments], stdout=subprocess.PIPE, text=True)


async def test_the_parts_of_a_killed_member_go_to_the_living(kafka_url: str) -> None:
    topic, name = contract.a_topic(partitions=4), contract.a_group()
    async with KafkaLog(kafka_url, session_seconds=6) as log:
        await log.ensure([topic])
        child = spawned_member(kafka_url, name, topic.name)
        try:
            assert child.stdout is not None
            while int(child.stdout.readline()) != 4:
                pass
            async with contract.a_member(log, name, topic.name) as living:
                await contract.until(lambda: len(living.parts) == 2)
                generation = living.group.generation
                child.kill()
                await contract.until(lambda: len(living.parts) == 4)
                assert living.group.generation > generation
        finally:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


async def test_a_named_member_comes_back_to_its_parts_without_disturbing_others(kafka_url: str) -> None:
    topic, name = contract.a_topic(partitions=4), contract.a_group()
    async with KafkaLog(kafka_url, member="pod-1") as other_pod:
        await other_pod.ensure([topic])
        async with contract.a_member(other_pod, name, topic.name) as other:
            async with KafkaLog(kafka_url, member="pod-0") as pod, contract.a_member(pod, name, topic.name) as member:
                await contract.until(lambda: len(member.parts) == 2 and len(other.parts) == 2)
                held, told = member.parts, len(other.told)
            async with KafkaLog(kafka_url, member="pod-0") as pod, contract.a_member(pod, name, topic.name) as member:
                await contract.until(lambda: len(member.parts) == 2)
                assert member.parts == held
                assert len(other.told) == told


async def test_what_a_transaction_takes_back_is_never_read(kafka_url: str) -> None:
    topic, seen = contract.a_topic(partitions=1), list[Stored]()
    async with KafkaLog(kafka_url) as log:
        await log.ensure([topic])
        producer = await open_producer(Cluster(kafka_url, "test"), contract.a_group())
        try:
            async with log.tail(topic.name, seen.append) as tail:
                await tail.ready()
                await producer.begin_transaction()
                await producer.send_and_wait(topic.name, b"taken back", b"k", 0)
                await producer.abort_transaction()
                await tail.wait(await contract.append(log, contract.a_record(topic.name, "k", b"stays")))
                assert contract.values(seen) == [b"stays"]
                fresh = tail.staleness()
                await contract.until(lambda: tail.staleness() < fresh or tail.staleness() < 0.1)
        finally:
            await close_producer(producer)
