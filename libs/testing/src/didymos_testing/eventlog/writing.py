"""What a writer promises."""

# ruff: noqa: S101 - a contract is made of tests

import asyncio

import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.topics import Topic
from didymos_kit.eventlog import Earliest, FencedError, Position
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.eventlog.port import MAX_RECORD_BYTES

from didymos_testing.eventlog.builders import (
    Hooking,
    LogContract,
    a_group,
    a_record,
    a_topic,
    append,
    numbered,
    poll_for,
    values,
)


class WriterContract(LogContract):
    async def test_positions_come_in_the_order_given_and_grow_within_a_part(self) -> None:
        topic = a_topic()
        async with self.make_log() as log:
            await log.ensure([topic])
            first = await append(log, *numbered(topic.name, 40))
            second = await append(log, *numbered(topic.name, 40))
        assert [position.partition for position in first] == [
            partition_of(record.key, topic.partitions) for record in numbered(topic.name, 40)
        ]
        for part in {position.part for position in first}:
            offsets = [position.offset for position in first + second if position.part == part]
            assert offsets == sorted(set(offsets))

    async def test_records_of_one_route_share_a_part_and_keep_their_order(self) -> None:
        topic = a_topic()
        async with self.make_log() as log:
            await log.ensure([topic])
            records = [a_record(topic.name, f"twin|{n}", str(n).encode(), route=b"twin") for n in range(30)]
            positions = await append(log, *records)
            assert {position.partition for position in positions} == {partition_of(b"twin", topic.partitions)}
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                assert values(await poll_for(group, 30)) == [str(n).encode() for n in range(30)]

    async def test_what_was_appended_is_read_back_as_it_was(self) -> None:
        topic = a_topic(partitions=1)
        headers = {"ce_id": b"1", "empty": b"", "bytes": bytes(range(256))}
        written = [
            a_record(topic.name, "k", b"\x00\xff" * 500, headers=headers, at_ms=1_790_000_000_123),
            a_record(topic.name, "tombstone", None),
            a_record(topic.name, "", b""),
        ]
        async with self.make_log() as log:
            await log.ensure([topic])
            positions = await append(log, *written)
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                read = await poll_for(group, 3)
        assert [(r.key, r.value, dict(r.headers), r.at_ms) for r in read] == [
            (w.key, w.value, w.headers, w.at_ms) for w in written
        ]
        assert [r.position for r in read] == positions

    async def test_appends_at_once_are_all_stored(self) -> None:
        topic = a_topic()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.writer("test") as writer:
                batches = [writer.append([a_record(topic.name, f"k{n}", b"%d" % n)]) for n in range(50)]
                positions = [found for (found,) in await asyncio.gather(*batches)]
            assert len(set(positions)) == 50
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                stored = {record.position: record.value for record in await poll_for(group, 50)}
        assert stored == {position: b"%d" % n for n, position in enumerate(positions)}

    async def test_an_empty_append_stores_nothing(self) -> None:
        async with self.make_log() as log:
            assert await append(log) == []

    async def test_a_record_over_the_limit_is_refused_and_none_is_written(self) -> None:
        topic = a_topic(partitions=1)
        fits, large = b"x" * (MAX_RECORD_BYTES - 1), b"x" * MAX_RECORD_BYTES
        async with self.make_log() as log:
            await log.ensure([topic])
            with pytest.raises(Problem, match=r"platform\.too_large"):
                await append(log, a_record(topic.name, "k"), a_record(topic.name, "k", large))
            (first,) = await append(log, a_record(topic.name, "k", fits))
            assert first == Position(topic.name, 0, 0)

    async def test_a_topic_nobody_ensured_is_refused(self) -> None:
        async with self.make_log() as log:
            with pytest.raises(Problem, match=r"platform\.topic_mismatch"):
                await append(log, a_record(Topic("didymos.test.never_ensured.v1")))

    async def test_a_topic_that_exists_otherwise_is_refused(self) -> None:
        topic = a_topic(partitions=2, cleanup="delete")
        async with self.make_log() as log:
            await log.ensure([topic])
            await log.ensure([topic])
            for other in (a_topic(partitions=3), a_topic(partitions=2, cleanup="compact")):
                renamed = type(other)(topic.name, *[getattr(other, name) for name in other.__slots__[1:]])
                with pytest.raises(Problem, match=r"platform\.topic_mismatch"):
                    await log.ensure([renamed])

    async def test_a_later_fenced_writer_ends_the_one_before(self) -> None:
        topic, name = a_topic(partitions=1), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.writer(name, fenced=True) as old:
                await old.append([a_record(topic.name, "k", b"old")])
                async with log.writer(name, fenced=True) as new:
                    await new.append([a_record(topic.name, "k", b"new")])
                    with pytest.raises(FencedError):
                        await old.append([a_record(topic.name, "k", b"late")])
                    await new.append([a_record(topic.name, "k", b"newer")])
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                assert values(await poll_for(group, 3)) == [b"old", b"new", b"newer"]

    async def test_plain_writers_of_one_name_do_not_disturb_each_other(self) -> None:
        topic = a_topic()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.writer("same") as one, log.writer("same") as other:
                for _ in range(3):
                    await one.append([a_record(topic.name)])
                    await other.append([a_record(topic.name)])
                ends = await log.ends([topic.name])
        assert sum(ends.values()) == 6
