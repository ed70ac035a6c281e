"""What a group promises: who owns what, where reading begins, what is committed, what is left to do."""

# ruff: noqa: S101, ARG002 - a contract is made of tests

import asyncio
from collections.abc import Mapping

import pytest
from didymos_contracts.errors import Problem
from didymos_kit.eventlog import Earliest, Part, StaleCommitError, Start

from didymos_testing.eventlog.builders import (
    Hooking,
    LogContract,
    a_group,
    a_member,
    a_record,
    a_topic,
    all_parts,
    append,
    nothing_more,
    numbered,
    own,
    poll_for,
    until,
    values,
)


class GroupContract(LogContract):
    async def test_a_lone_member_owns_every_part(self) -> None:
        topics = [a_topic(partitions=3), a_topic(partitions=5)]
        async with self.make_log() as log:
            await log.ensure(topics)
            async with a_member(log, a_group(), *[topic.name for topic in topics]) as alone:
                await until(lambda: alone.parts == all_parts(*topics))

    async def test_members_share_in_ranges_alike_for_topics_of_equal_counts(self) -> None:
        topics, name = [a_topic(partitions=5), a_topic(partitions=5)], a_group()
        names = [topic.name for topic in topics]
        async with self.make_log() as log:
            await log.ensure(topics)
            async with a_member(log, name, *names) as first, a_member(log, name, *names) as second:
                await until(lambda: sorted(map(len, (first.parts, second.parts))) == [4, 6])
                assert first.parts | second.parts == all_parts(*topics)
                for member in (first, second):
                    held = [{part.partition for part in member.parts if part.topic == name} for name in names]
                    assert held[0] == held[1]
                    assert held[0] in ({0, 1, 2}, {3, 4})

    async def test_a_join_revokes_before_it_assigns_and_a_leave_gives_back(self) -> None:
        topic, name = a_topic(partitions=4), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with a_member(log, name, topic.name) as first:
                await until(lambda: len(first.parts) == 4)
                before = first.group.generation
                async with a_member(log, name, topic.name) as second:
                    await until(lambda: len(first.parts) == 2 and len(second.parts) == 2)
                    assert first.group.generation == second.group.generation > before
                await until(lambda: len(first.parts) == 4)
                assert [what for what, _ in first.told] == ["assigned", "revoked", "assigned", "revoked", "assigned"]
                assert [what for what, _ in second.told] == ["assigned", "revoked"]
                assert first.told[1][1] == all_parts(topic)
                assert second.told[0][1] == second.told[1][1]

    async def test_what_is_committed_is_not_read_again_and_all_else_is(self) -> None:
        topic, name = a_topic(partitions=1), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 10))
            async with log.group(name, [topic.name], Hooking()) as group:
                read = await poll_for(group, 10)
                await group.commit({read[0].part: read[4].offset})
            async with log.group(name, [topic.name], Hooking()) as group:
                assert values(await poll_for(group, 6)) == [b"4", b"5", b"6", b"7", b"8", b"9"]
            async with log.group(a_group(), [topic.name], Hooking()) as group:
                assert len(await poll_for(group, 10)) == 10

    async def test_nothing_is_lost_or_read_by_two_while_members_come_and_go(self) -> None:
        topic, name = a_topic(partitions=6), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 60, keys=20))
            async with a_member(log, name, topic.name) as first:
                await until(lambda: len(first.seen) == 60)
                async with a_member(log, name, topic.name) as second:
                    await until(lambda: len(second.parts) == 3 and len(first.parts) == 3)
                    await append(log, *numbered(topic.name, 60, keys=20))
                    await until(lambda: len(first.seen) + len(second.seen) == 120)
                    assert second.seen
                await append(log, *numbered(topic.name, 60, keys=20))
                await until(lambda: len(first.seen) + len(second.seen) == 180)
        positions = [record.position for record in first.seen + second.seen]
        assert len(set(positions)) == 180

    async def test_a_commit_of_parts_that_were_given_up_is_refused(self) -> None:
        topic, name = a_topic(partitions=2), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            async with a_member(log, name, topic.name) as first:
                await until(lambda: len(first.parts) == 2)
                async with a_member(log, name, topic.name) as second:
                    await until(lambda: len(first.parts) == 1 and len(second.parts) == 1)
                    (moved,) = second.parts
                    with pytest.raises(StaleCommitError):
                        await first.group.commit({moved: 0})
                    await second.group.commit({moved: 0})

    async def test_every_group_gets_every_record(self) -> None:
        topic = a_topic()
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 20))
            for _ in range(2):
                async with log.group(a_group(), [topic.name], Hooking()) as group:
                    assert len(await poll_for(group, 20)) == 20

    async def test_poll_returns_nothing_while_a_hook_is_pending(self) -> None:
        topic = a_topic(partitions=1)
        may_start = asyncio.Event()

        class Slow(Hooking):
            async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
                await may_start.wait()
                return await super().assigned(parts)

        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 3))
            async with log.group(a_group(), [topic.name], Slow(Earliest())) as group:
                polled = asyncio.create_task(poll_for(group, 3))
                done, _ = await asyncio.wait([polled], timeout=0.5)
                assert not done
                may_start.set()
                assert len(await polled) == 3

    async def test_what_a_hook_raises_comes_out_of_poll(self) -> None:
        topic = a_topic(partitions=1)

        class Broken(Hooking):
            async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
                raise LookupError("no checkpoint")

        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.group(a_group(), [topic.name], Broken()) as group:
                with pytest.raises(LookupError, match="no checkpoint"):
                    await poll_for(group, 1)

    async def test_poll_takes_no_more_than_asked_and_goes_on_from_there(self) -> None:
        topic = a_topic(partitions=1)
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 10))
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                sizes, found = list[int](), 0
                while found < 10:
                    taken = sum(map(len, (await group.poll(max_records=4)).values()))
                    sizes, found = [*sizes, taken], found + taken
                assert max(sizes) <= 4


class SeekContract(LogContract):
    async def test_each_part_begins_where_assigned_says(self) -> None:
        topic, name = a_topic(partitions=3), a_group()
        async with self.make_log() as log:
            await log.ensure([topic])
            records = [a_record(topic.name, f"k{n % 30}", b"%d" % n) for n in range(90)]
            positions = await append(log, *records)
            by_part = {part: [p.offset for p in positions if p.part == part] for part in all_parts(topic)}
            zero, one, two = sorted(by_part)
            async with log.group(name, [topic.name], Hooking(Earliest())) as group:
                await poll_for(group, 90)
                await group.commit({part: offsets[5] for part, offsets in by_part.items()})
            starts: dict[Part, Start] = {zero: by_part[zero][7], one: Earliest()}
            expected = {zero: by_part[zero][7:], one: by_part[one], two: by_part[two][5:]}
            async with log.group(name, [topic.name], Hooking(starts)) as group:
                read = await poll_for(group, sum(map(len, expected.values())))
                assert {part: [r.offset for r in read if r.part == part] for part in expected} == expected
                assert await nothing_more(group)

    async def test_a_seek_reads_again_or_leaps_over(self) -> None:
        topic = a_topic(partitions=1)
        async with self.make_log() as log:
            await log.ensure([topic])
            positions = await append(log, *numbered(topic.name, 10))
            part = positions[0].part
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                await poll_for(group, 10)
                group.seek({part: positions[3].offset})
                assert values(await poll_for(group, 7)) == [b"%d" % n for n in range(3, 10)]
                group.seek({part: positions[0].offset})
                group.seek({part: positions[8].offset})
                assert values(await poll_for(group, 2)) == [b"8", b"9"]
                with pytest.raises(ValueError, match="not of this member"):
                    group.seek({Part(topic.name, 7): 0})

    async def test_a_paused_part_waits_and_the_others_go_on(self) -> None:
        topic = a_topic(partitions=2)
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                await own(group, 2)
                positions = await append(log, *numbered(topic.name, 40, keys=20))
                held = positions[0].part
                group.pause([held])
                others = [position for position in positions if position.part != held]
                assert {r.position for r in await poll_for(group, len(others))} == set(others)
                assert await nothing_more(group)
                group.resume([held])
                assert {r.part for r in await poll_for(group, 40 - len(others))} == {held}

    async def test_an_offset_that_the_log_does_not_hold_stops_the_reader(self) -> None:
        topic = a_topic(partitions=1)
        async with self.make_log() as log:
            await log.ensure([topic])
            await append(log, *numbered(topic.name, 3))
            async with log.group(a_group(), [topic.name], Hooking({Part(topic.name, 0): 1000})) as group:
                with pytest.raises(Problem, match=r"platform\.offset_lost"):
                    await poll_for(group, 1)


class LagContract(LogContract):
    async def test_lag_is_what_is_not_committed(self) -> None:
        topic = a_topic(partitions=1)
        async with self.make_log() as log:
            await log.ensure([topic])
            positions = await append(log, *numbered(topic.name, 10))
            part = positions[0].part
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                await poll_for(group, 10)
                assert await group.lag() == {part: 10}
                await group.commit({part: positions[6].offset})
                assert await group.lag() == {part: 4}
                await group.commit({part: positions[9].offset + 1})
                assert await group.lag() == {part: 0}
                await append(log, *numbered(topic.name, 2))
                assert await group.lag() == {part: 2}

    async def test_records_of_a_fenced_writer_leave_no_lag_behind(self) -> None:
        topic = a_topic(partitions=1)
        async with self.make_log() as log:
            await log.ensure([topic])
            async with log.writer(a_group(), fenced=True) as writer:
                await writer.append(numbered(topic.name, 3))
                await writer.append(numbered(topic.name, 3))
            async with log.group(a_group(), [topic.name], Hooking(Earliest())) as group:
                read = await poll_for(group, 6)
                await nothing_more(group)
                await group.commit({read[0].part: read[-1].offset + 1})
                assert await group.lag() == {read[0].part: 0}

    async def test_ends_are_where_the_next_records_go(self) -> None:
        topic = a_topic(partitions=2)
        async with self.make_log() as log:
            await log.ensure([topic])
            assert await log.ends([topic.name]) == dict.fromkeys(all_parts(topic), 0)
            positions = await append(log, *numbered(topic.name, 20))
            ends = await log.ends([topic.name])
            assert {part: max(p.offset for p in positions if p.part == part) + 1 for part in ends} == ends
