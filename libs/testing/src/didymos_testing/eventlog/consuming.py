"""What the consume loop promises on top of a log."""

# ruff: noqa: S101, ARG002 - a contract is made of tests

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_UNAVAILABLE
from didymos_contracts.topics import DEAD
from didymos_kit.clock import SystemClock
from didymos_kit.eventlog import EventLog, Part, Stored
from didymos_kit.eventlog.consume import Consumer, consume
from didymos_kit.service import Stopping

from didymos_testing.eventlog.builders import (
    Hooking,
    LogContract,
    a_group,
    a_record,
    a_topic,
    append,
    numbered,
    poll_for,
    until,
    values,
)


def at_once(_attempt: int) -> float:
    """No backoff: tests of what happens, not of when."""
    return 0.01


@asynccontextmanager
async def consuming(log: EventLog, consumer: Consumer) -> AsyncIterator[Callable[[], Coroutine[None, None, None]]]:
    """The loop as a task; call what comes back to drain it. It is drained at the end, too."""
    stopping = Stopping()
    task = asyncio.create_task(consume(log, consumer, SystemClock(), stopping))

    async def drain() -> None:
        stopping.set()
        await task

    try:
        yield drain
    finally:
        await drain()


async def committed_rest(log: EventLog, consumer: Consumer, count: int) -> list[Stored]:
    """The next `count` records that the group has not committed."""
    async with log.group(consumer.group, consumer.topics, Hooking()) as group:
        return await poll_for(group, count)


class DeadLetterContract(LogContract):
    async def test_a_record_that_can_never_be_handled_is_buried_and_the_rest_goes_on(self) -> None:
        topic, name, done = a_topic(partitions=1), a_group(), list[bytes | None]()
        counted: list[tuple[str, str]] = []

        async def handle(records: Sequence[Stored]) -> None:
            if b"7" in values(records):
                raise PLATFORM_INVALID_FIELD.problem(pointer="/unit")
            done.extend(values(records))

        consumer = Consumer(name, [topic.name], handle, backoff=at_once, on_dead=lambda *said: counted.append(said))
        buried: list[Stored] = []
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            async with log.tail(DEAD.name, buried.append) as tail:
                await tail.ready()
                records = numbered(topic.name, 20, keys=1)
                records[7] = a_record(topic.name, "key-0", b"7", headers={"ce_id": b"id-7"})
                positions = await append(log, *records)
                async with consuming(log, consumer):
                    await until(lambda: len(done) == 19)
                    await until(lambda: self.of_group(buried, name) != [])
        assert done == [b"%d" % n for n in range(20) if n != 7]
        (letter,) = self.of_group(buried, name)
        assert (letter.key, letter.value) == (b"key-0", b"7")
        said = {header: value.decode() for header, value in letter.headers.items() if header != "dead_at"}
        assert said == {
            "ce_id": "id-7", "dead_topic": topic.name, "dead_partition": "0", "dead_group": name,
            "dead_offset": str(positions[7].offset), "dead_code": "platform.invalid_field",
        }  # fmt: skip
        assert counted == [(topic.name, "platform.invalid_field")]

    async def test_bytes_nobody_can_read_are_buried(self) -> None:
        topic, name, done = a_topic(partitions=1), a_group(), list[bytes | None]()

        async def handle(records: Sequence[Stored]) -> None:
            for record in records:
                (record.value or b"").decode()
            done.extend(values(records))

        buried: list[Stored] = []
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            await append(log, *[a_record(topic.name, "k", value) for value in (b"fine", b"\xff", b"good")])
            async with log.tail(DEAD.name, buried.append), consuming(log, Consumer(name, [topic.name], handle)):
                await until(lambda: done == [b"fine", b"good"] and len(self.of_group(buried, name)) == 1)
        assert self.of_group(buried, name)[0].headers["dead_code"] == b"platform.malformed"

    def of_group(self, buried: list[Stored], name: str) -> list[Stored]:
        return [record for record in buried if record.headers["dead_group"] == name.encode()]


class HoldContract(LogContract):
    async def test_an_error_that_passes_holds_its_part_in_order_while_others_go_on(self) -> None:
        topic, done, away = a_topic(partitions=2), list[Stored](), [True]
        held: list[int] = []

        async def handle(records: Sequence[Stored]) -> None:
            if away[0] and records[0].partition == 0:
                raise PLATFORM_UNAVAILABLE.problem()
            done.extend(records)

        consumer = Consumer(a_group(), [topic.name], handle, backoff=at_once, on_held=held.append)
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            positions = await append(log, *numbered(topic.name, 100, keys=20))
            other = [position for position in positions if position.partition == 1]
            async with consuming(log, consumer):
                await until(lambda: len(done) == len(other) and held == [1])
                positions += await append(log, *numbered(topic.name, 100, keys=20))
                other = [position for position in positions if position.partition == 1]
                await until(lambda: len(done) == len(other))
                away[0] = False
                await until(lambda: len(done) == 200)
                await until(lambda: held == [1, 0])
        for number in (0, 1):
            expected = [position for position in positions if position.partition == number]
            assert [record.position for record in done if record.partition == number] == expected

    async def test_an_error_nobody_foresaw_holds_too(self) -> None:
        topic, done, tries = a_topic(partitions=1), list[Stored](), list[int]()

        async def handle(records: Sequence[Stored]) -> None:
            tries.append(len(records))
            if len(tries) < 4:
                raise RuntimeError("a mistake of ours")
            done.extend(records)

        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            await append(log, a_record(topic.name))
            async with consuming(log, Consumer(a_group(), [topic.name], handle, backoff=at_once)):
                await until(lambda: len(done) == 1)
        assert tries == [1, 1, 1, 1]


class DrainContract(LogContract):
    async def test_the_slice_in_hand_is_finished_and_committed_and_no_other_begins(self) -> None:
        topic, begun, done = a_topic(partitions=1), asyncio.Event(), list[Stored]()
        go_on = asyncio.Event()

        async def handle(records: Sequence[Stored]) -> None:
            begun.set()
            await go_on.wait()
            done.extend(records)

        consumer = Consumer(a_group(), [topic.name], handle)
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            await append(log, *numbered(topic.name, 5))
            async with consuming(log, consumer) as drain:
                await begun.wait()
                positions = await append(log, *numbered(topic.name, 5))
                drained = asyncio.create_task(drain())
                await asyncio.wait([drained], timeout=0.5)
                assert not drained.done()
                go_on.set()
                await drained
            assert 1 <= len(done) <= 5
            assert [r.position for r in await committed_rest(log, consumer, 10 - len(done))][-5:] == positions

    async def test_a_held_part_gives_up_without_a_commit(self) -> None:
        topic, tries = a_topic(partitions=1), list[int]()

        async def handle(records: Sequence[Stored]) -> None:
            tries.append(len(records))
            raise PLATFORM_UNAVAILABLE.problem()

        consumer = Consumer(a_group(), [topic.name], handle, backoff=lambda _: 60.0)
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            await append(log, *numbered(topic.name, 5))
            async with consuming(log, consumer):
                await until(lambda: tries != [])
            assert len(await committed_rest(log, consumer, 5)) == 5

    async def test_all_that_was_handled_is_committed_when_another_member_joins(self) -> None:
        topic, name, done = a_topic(partitions=4), a_group(), list[Stored]()

        async def handle(records: Sequence[Stored]) -> None:
            done.extend(records)

        consumer = Consumer(name, [topic.name], handle, commit_seconds=3600.0)
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            positions = await append(log, *numbered(topic.name, 40, keys=20))
            async with consuming(log, consumer):
                await until(lambda: len(done) == 40)
                async with consuming(log, consumer):
                    positions += await append(log, *numbered(topic.name, 40, keys=20))
                    await until(lambda: len(done) >= 80)
        assert sorted(record.position for record in done) == sorted(positions)

    async def test_hooks_checkpoint_after_the_last_slice_and_before_the_commit(self) -> None:
        topic, order = a_topic(partitions=1), list[str]()

        class Checkpoint(Hooking):
            async def revoked(self, parts: frozenset[Part]) -> None:
                order.append("checkpoint")

        async def handle(records: Sequence[Stored]) -> None:
            order.extend("handled" for _ in records)

        consumer = Consumer(a_group(), [topic.name], handle, Checkpoint(), commit_seconds=3600.0)
        async with self.make_log() as log:
            await log.ensure([topic, DEAD])
            await append(log, *numbered(topic.name, 3))
            async with consuming(log, consumer):
                await until(lambda: len(order) == 3)
        assert order == ["handled"] * 3 + ["checkpoint"]
