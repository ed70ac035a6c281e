"""What the log promises to delete, and what it never does."""

# ruff: noqa: S101 - a contract is made of tests

import asyncio

import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.topics import HOUR_MS, Topic
from didymos_kit.eventlog import Earliest, EventLog, Part, Stored

from didymos_testing.eventlog.builders import (
    SECONDS,
    Hooking,
    LogContract,
    a_group,
    a_record,
    a_topic,
    append,
    now_ms,
    poll_for,
    values,
)


class RetentionContract(LogContract):
    async def test_records_past_their_retention_go_and_the_young_stay(self) -> None:
        topic = a_topic(partitions=1, retention_ms=HOUR_MS)
        async with self.make_log() as log:
            await log.ensure([topic])
            old = await append(log, *[a_record(topic.name, "k", b"old", at_ms=now_ms() - 2 * HOUR_MS)] * 5)
            first = await self.first_offset_after(log, topic.name, old[-1].offset)
            await append(log, a_record(topic.name, "k", b"young"))
            await self.tidy(log)
            assert first == old[-1].offset + 1
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                assert values(await poll_for(group, 1)) == [b"young"]

    async def test_a_reader_that_retention_overtook_is_told_so(self) -> None:
        topic, name = a_topic(partitions=1, retention_ms=HOUR_MS), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            old = await append(log, *[a_record(topic.name, "k", b"old", at_ms=now_ms() - 2 * HOUR_MS)] * 5)
            async with log.group(name, [topic.name], Hooking(Earliest())) as group:
                await poll_for(group, 1)
                await group.commit({Part(topic.name, 0): old[1].offset})
            await self.first_offset_after(log, topic.name, old[-1].offset)
            async with log.group(name, [topic.name], Hooking()) as group:
                with pytest.raises(Problem, match=r"platform\.offset_lost"):
                    await poll_for(group, 1)

    async def first_offset_after(self, log: EventLog, topic: Topic, offset: int) -> int:
        """Tidy until the log begins behind `offset`; where it begins then."""
        probe = Hooking({Part(topic, 0): offset})
        async with asyncio.timeout(SECONDS):
            while True:
                await self.tidy(log)
                async with log.group(a_group(), [topic], probe) as group:
                    try:
                        await poll_for(group, 1)
                    except Problem:
                        return offset + 1


class CompactionContract(LogContract):
    async def test_the_latest_of_each_key_stays_and_what_it_superseded_goes(self) -> None:
        topic = a_topic(partitions=1, cleanup="compact")
        aged = [("a", b"1"), ("b", b"1"), ("a", b"2"), ("a", b"3"), ("c", b"1"), ("b", b"2")]
        async with self.make_log() as log:
            await log.ensure([topic])
            positions = await append(
                log, *[a_record(topic.name, key, value, at_ms=now_ms() - 2 * HOUR_MS) for key, value in aged]
            )
            fresh = await append(log, a_record(topic.name, "a", b"4"), a_record(topic.name, "a", b"5"))
            kept = [(b"a", b"3"), (b"c", b"1"), (b"b", b"2"), (b"a", b"4"), (b"a", b"5")]
            read = await self.compacted(log, topic.name, len(kept))
            assert [(record.key, record.value) for record in read] == kept
            places = dict(zip([(key.encode(), value) for key, value in aged], positions, strict=True))
            places |= {(b"a", b"4"): fresh[0], (b"a", b"5"): fresh[1]}
            assert [record.position for record in read] == [places[pair] for pair in kept]

    async def compacted(self, log: EventLog, topic: Topic, count: int) -> list[Stored]:
        """Tidy until a reader from the start sees no more than `count` records."""
        async with asyncio.timeout(SECONDS):
            while True:
                await self.tidy(log)
                read: list[Stored] = []
                async with log.tail(topic, read.append) as tail:
                    await tail.ready()
                if len(read) <= count:
                    return read
