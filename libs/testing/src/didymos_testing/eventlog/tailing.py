"""What a tail promises."""

# ruff: noqa: S101 - a contract is made of tests

import asyncio
import math

import pytest
from didymos_kit.eventlog import Position, Stored, TailHaltedError

from didymos_testing.eventlog.builders import LogContract, a_group, a_record, a_topic, append, numbered, until, values


class TailContract(LogContract):
    async def test_it_is_ready_when_all_that_was_there_is_applied(self) -> None:
        topic, seen = a_topic(), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 100))
            async with log.tail(topic.name, seen.append) as tail:
                await tail.ready()
                assert tail.caught_up
                assert sorted(values(seen), key=lambda value: int(value or b"0")) == [b"%d" % n for n in range(100)]

    async def test_an_empty_topic_is_ready_at_once(self) -> None:
        topic, seen = a_topic(), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, seen.append) as tail:
                assert tail.staleness() == math.inf
                assert not tail.caught_up
                await tail.ready()
                assert seen == []

    async def test_records_of_a_part_come_in_order_with_their_tombstones(self) -> None:
        topic, seen = a_topic(cleanup="compact"), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, seen.append) as tail:
                first = await append(log, *[a_record(topic.name, "k", b"%d" % n) for n in range(20)])
                last = await append(log, a_record(topic.name, "k", None))
                await tail.wait(first + last)
                assert values(seen) == [*[b"%d" % n for n in range(20)], None]

    async def test_waiting_ends_when_the_position_is_applied_and_not_before(self) -> None:
        topic, seen = a_topic(partitions=1), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, seen.append) as tail:
                (position,) = await append(log, a_record(topic.name))
                await tail.wait([position])
                assert [record.position for record in seen] == [position]
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await tail.wait([Position(topic.name, 0, position.offset + 1)])
                with pytest.raises(ValueError, match="the tail of"):
                    await tail.wait([Position(a_topic().name, 0, 0)])

    async def test_it_sees_what_a_fenced_writer_appends(self) -> None:
        topic, seen = a_topic(partitions=1), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, seen.append) as tail, log.writer(a_group(), fenced=True) as writer:
                for n in range(5):
                    await tail.wait(await writer.append([a_record(topic.name, "k", b"%d" % n)]))
                assert values(seen) == [b"0", b"1", b"2", b"3", b"4"]
                (last,) = await writer.append([a_record(topic.name, "k", b"5")])
                await tail.wait([last])
                begun = tail.staleness()
                await until(lambda: tail.staleness() < begun or tail.staleness() < 0.05)

    async def test_it_stays_fresh_while_it_follows(self) -> None:
        topic, seen = a_topic(partitions=1), list[Stored]()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, seen.append) as tail:
                await tail.ready()
                for _ in range(15):
                    await append(log, a_record(topic.name))
                    assert tail.staleness() < 3.0
                    await asyncio.sleep(0.1)

    async def test_a_record_that_cannot_be_applied_halts_it_and_it_grows_stale(self) -> None:
        topic, seen = a_topic(partitions=1), list[Stored]()

        def apply(record: Stored) -> None:
            if record.value == b"bad":
                raise ValueError("no ConsentChanged")
            seen.append(record)

        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.tail(topic.name, apply) as tail:
                await tail.wait(await append(log, a_record(topic.name, "k", b"good")))
                await tail.ready()
                (bad,) = await append(log, a_record(topic.name, "k", b"bad"))
                with pytest.raises(TailHaltedError):
                    await tail.wait([bad])
                (later,) = await append(log, a_record(topic.name, "k", b"good"))
                with pytest.raises(TailHaltedError):
                    await tail.wait([later])
                await until(lambda: tail.staleness() > 1.5)
                assert values(seen) == [b"good"]
