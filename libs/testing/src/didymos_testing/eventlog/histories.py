"""Random histories of a group, checked against one list per part."""

# ruff: noqa: S101, ARG002 - a contract is made of tests

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import ClassVar

import pytest
from didymos_contracts.topics import Topic
from didymos_kit.eventlog import EventLog, Group, Part, StaleCommitError, Start, Stored

from didymos_testing.eventlog.builders import SECONDS, LogContract, a_group, a_record, a_topic, own


class Walker:
    """A member whose every step is told to it. It commits when revoked, as services do, unless it is dead."""

    group: Group

    def __init__(self, world: "World") -> None:
        self._world = world
        self.following: dict[Part, int] = {}
        self.leave = AsyncExitStack()

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        self.following = {}
        return {}

    async def revoked(self, parts: frozenset[Part]) -> None:
        await self.commit()

    async def poll(self) -> None:
        for part, records in (await self.group.poll(max_records=7, timeout_seconds=self._world.poll_seconds)).items():
            self._world.see(self.group.generation, id(self), part, records, self.following.get(part))
            self.following[part] = records[-1].offset + 1

    async def commit(self) -> None:
        try:
            await self.group.commit(self.following)
        except StaleCommitError:
            return
        for part, following in self.following.items():
            assert following >= self._world.committed[part], "a commit moved back"
            self._world.committed[part] = following


class World:
    """What was appended, who saw what, what is committed."""

    def __init__(self, log: EventLog, topic: Topic, random: Random, poll_seconds: float) -> None:
        self.log, self.topic, self.name, self.random = log, topic, a_group(), random
        self.poll_seconds = poll_seconds
        self.stored: dict[Part, list[tuple[int, bytes]]] = defaultdict(list)
        self.seen: dict[Part, set[int]] = defaultdict(set)
        self.committed: dict[Part, int] = defaultdict(int)
        self.owners: dict[tuple[int, Part], int] = {}
        self.members: list[Walker] = []
        self.count = 0

    async def append(self) -> None:
        records = []
        for _ in range(self.random.randint(1, 12)):
            self.count += 1
            records.append(a_record(self.topic, f"key-{self.random.randrange(9)}", b"%d" % self.count))
        async with self.log.writer("history") as writer:
            for record, position in zip(records, await writer.append(records), strict=True):
                self.stored[position.part].append((position.offset, record.value or b""))

    def see(self, generation: int, member: int, part: Part, records: Sequence[Stored], following: int | None) -> None:
        """One owner a generation; the records are those of the list, none skipped, in order."""
        assert self.owners.setdefault((generation, part), member) == member, "two owners in one generation"
        begin = self.committed[part] if following is None else following
        expected = [pair for pair in self.stored[part] if pair[0] >= begin][: len(records)]
        assert [(record.offset, record.value) for record in records] == expected
        self.seen[part].update(record.offset for record in records)

    async def join(self) -> None:
        member = Walker(self)
        member.group = await member.leave.enter_async_context(self.log.group(self.name, [self.topic], member))
        self.members.append(member)

    def complete(self) -> bool:
        return all({offset for offset, _ in pairs} == self.seen[part] for part, pairs in self.stored.items())


class HistoryContract(LogContract):
    """`silence_seconds` is how long a member must be silent to be given up; None leaves deaths out."""

    seeds: ClassVar[range] = range(12)
    steps: ClassVar[int] = 60
    poll_seconds: ClassVar[float] = 0.0
    silence_seconds: ClassVar[float | None] = None

    async def test_any_history_of_joins_leaves_deaths_and_commits_loses_and_repeats_nothing_committed(self) -> None:
        for seed in self.seeds:
            async with self.make_log() as log, AsyncExitStack() as dead:
                topic = a_topic(partitions=5)
                await log.ensure([topic])
                world = World(log, topic.name, Random(seed), self.poll_seconds)
                for _ in range(self.steps):
                    await self._step(world, dead)
                await self._finish(world)
                assert world.complete(), f"seed {seed}: an acknowledged record was never delivered"

    async def _step(self, world: World, dead: AsyncExitStack) -> None:
        what = world.random.choices(("append", "poll", "commit", "join", "leave", "die"), (6, 12, 4, 2, 1, 1))[0]
        if what == "append":
            await world.append()
        elif what == "join" and len(world.members) < 4:
            await world.join()
        elif what == "poll":
            for member in world.members:
                await member.poll()
        elif world.members:
            member = world.random.choice(world.members)
            if what == "commit":
                await member.commit()
            elif what == "leave":
                world.members.remove(member)
                await member.leave.aclose()
            elif what == "die" and self.silence_seconds is not None:
                await self._die(world, member, dead)

    async def _die(self, world: World, member: Walker, dead: AsyncExitStack) -> None:
        """Silent for too long; once another member owns what it had, its commits are refused."""
        world.members.remove(member)
        dead.push_async_exit(member.leave)
        await asyncio.sleep(self.silence_seconds or 0.0)
        if not world.members:
            await world.join()
        async with asyncio.timeout(SECONDS):
            while world.members[0].group.generation <= member.group.generation:
                for other in world.members:
                    await other.poll()
        if member.following:
            with pytest.raises(StaleCommitError):
                await member.group.commit(member.following)

    async def _finish(self, world: World) -> None:
        """One member is left and reads what nobody committed."""
        while len(world.members) > 1:
            await world.members.pop().leave.aclose()
        if not world.members:
            await world.join()
        (last,) = world.members
        async with asyncio.timeout(SECONDS):
            while not world.complete():
                await last.poll()
        await own(last.group, 5)
        await last.leave.aclose()
