"""Consumer groups of the SQLite log: members, generations, assignment and committed offsets. platform.md section 7.

The shape is Kafka's eager protocol: any join or leave makes every member give up its parts and arrive anew; when all
have arrived the generation rises and the parts are dealt again.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from didymos_contracts.errors.platform import PLATFORM_OFFSET_LOST
from didymos_contracts.topics import Topic

from didymos_kit.eventlog.port import (
    POLL_RECORDS,
    POLL_SECONDS,
    Committed,
    Earliest,
    Hooks,
    Part,
    StaleCommitError,
    Start,
    Stored,
)
from didymos_kit.eventlog.sqlite_reader import Found, Reader, Wanted
from didymos_kit.eventlog.sqlite_writer import WriterThread

LOOKS: Final = 8  # in the time of a session: a member that waits still says that it lives, and looks for silent ones


class Parts(Protocol):
    """What a group needs to know of the log: parts, where they begin and end, and when that changes."""

    def numbers(self, topic: Topic) -> range: ...

    def id_of(self, part: Part) -> int: ...

    def start(self, part: Part) -> int: ...

    def end(self, part: Part) -> int: ...

    def notify(self) -> None: ...

    async def changed(self, seconds: float) -> None:
        """Return on the next append or `notify`, at the latest after `seconds`."""


def assign_range(members: Mapping[int, Sequence[Topic]], parts: Parts) -> dict[int, frozenset[Part]]:
    """Kafka's RangeAssignor: per topic, sorted members take consecutive partitions, the first ones one more.

    Topics of equal counts and members are dealt alike: one member owns a twin in all of them.
    """
    dealt: dict[int, set[Part]] = {member: set() for member in members}
    for topic in sorted({topic for topics in members.values() for topic in topics}):
        takers = sorted(member for member, topics in members.items() if topic in topics)
        numbers = parts.numbers(topic)
        each, extra = divmod(len(numbers), len(takers))
        begin = 0
        for place, member in enumerate(takers):
            end = begin + each + (place < extra)
            dealt[member].update(Part(topic, number) for number in numbers[begin:end])
            begin = end
    return {member: frozenset(found) for member, found in dealt.items()}


class Coordinator:
    """One group. All members live in this process: who is silent for `session_seconds` is given up for dead."""

    def __init__(self, name: str, parts: Parts, writer: WriterThread, session_seconds: float) -> None:
        self.name, self.generation, self.look_seconds = name, -1, session_seconds / LOOKS
        self._parts, self._writer, self._session_seconds = parts, writer, session_seconds
        self._topics: dict[int, Sequence[Topic]] = {}
        self._seen: dict[int, float] = {}
        self._arrived: set[int] = set()
        self._dealt: dict[int, frozenset[Part]] = {}
        self._newest = 0
        self._dealing = asyncio.Lock()

    def join(self, topics: Sequence[Topic]) -> int:
        """A member id, greater than every one before."""
        self._newest += 1
        self._topics[self._newest] = topics
        self.seen(self._newest)
        self._unsettle()
        return self._newest

    def leave(self, member: int) -> None:
        if self._topics.pop(member, None) is not None:
            self._unsettle()

    def seen(self, member: int) -> bool:
        """Note that the member lives and give up the silent ones. False if the member itself was given up."""
        now = asyncio.get_running_loop().time()
        if member in self._topics:
            self._seen[member] = now
        for other in [other for other in self._topics if now - self._seen[other] > self._session_seconds]:
            self.leave(other)
        return member in self._topics

    def dealt(self, member: int) -> frozenset[Part] | None:
        """What the member owns; None while the group rebalances."""
        return self._dealt.get(member)

    async def arrive(self, member: int) -> None:
        """The member has given up its parts. The last one to arrive deals."""
        self._arrived.add(member)
        async with self._dealing:
            while self._topics and not self._dealt and self._arrived >= self._topics.keys():
                members = dict(self._topics)
                generation = await self._writer.call(self._raise_generation)
                if members == self._topics:  # nobody joined or left while the generation was written
                    self.generation = generation
                    self._dealt = assign_range(members, self._parts)
                    self._parts.notify()

    def _unsettle(self) -> None:
        self._arrived.clear()
        self._dealt = {}
        self._parts.notify()

    def _raise_generation(self, connection: sqlite3.Connection) -> int:
        raised = (
            "insert into grp values (?, 1) on conflict(name) do update set generation = generation + 1 "
            "returning generation"
        )
        (generation,) = connection.execute(raised, (self.name,)).fetchone()
        return int(generation)


class SqliteGroup:
    """The `Group` of the port."""

    def __init__(
        self,
        coordinator: Coordinator,
        topics: Sequence[Topic],
        hooks: Hooks,
        parts: Parts,
        writer: WriterThread,
        reader: Reader,
    ) -> None:
        self._coordinator, self._topics, self._hooks = coordinator, topics, hooks
        self._log, self._writer, self._reader = parts, writer, reader
        self._member: int | None = None
        self._generation = -1
        self._next: dict[Part, int] = {}  # owned parts, the part to poll first in front
        self._paused: set[Part] = set()
        self._revoking = asyncio.Lock()

    @property
    def parts(self) -> frozenset[Part]:
        return frozenset(self._next)

    @property
    def generation(self) -> int:
        return self._generation

    async def poll(
        self, max_records: int = POLL_RECORDS, timeout_seconds: float = POLL_SECONDS
    ) -> Mapping[Part, Sequence[Stored]]:
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            if await self._settled():
                wanted = self._wanted()
                taken = self._take(wanted, await self._reader.records(wanted, max_records)) if wanted else {}
                if taken:
                    return taken
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return {}
            await self._log.changed(min(left, self._coordinator.look_seconds))

    def seek(self, offsets: Mapping[Part, int]) -> None:
        for part in offsets:
            if part not in self._next:
                raise ValueError(f"{part} is not of this member")
        self._next.update(offsets)

    def pause(self, parts: Iterable[Part]) -> None:
        self._paused.update(parts)

    def resume(self, parts: Iterable[Part]) -> None:
        self._paused.difference_update(parts)
        self._log.notify()

    async def commit(self, offsets: Mapping[Part, int]) -> None:
        if not offsets:
            return
        if not self.parts.issuperset(offsets):
            raise StaleCommitError(f"{self._coordinator.name}: a part belongs to another member")
        rows = [(self._coordinator.name, self._log.id_of(part), following) for part, following in offsets.items()]
        if not await self._writer.call(lambda connection: _commit(connection, rows, self._generation)):
            raise StaleCommitError(f"{self._coordinator.name}: generation {self._generation} is over")

    async def lag(self) -> Mapping[Part, int]:
        owned = self.parts
        committed = await self._committed()
        return {part: self._log.end(part) - committed.get(part, self._log.start(part)) for part in owned}

    async def close(self) -> None:
        """Revoke, then leave."""
        try:
            await self._give_up()
        finally:
            if self._member is not None:
                self._coordinator.leave(self._member)

    async def _settled(self) -> bool:
        """Take part in whatever rebalance goes on; True if this member owns what it should and may read."""
        coordinator = self._coordinator
        alive = self._member is not None and coordinator.seen(self._member)
        if alive and self._generation == coordinator.generation and coordinator.dealt(self._member or 0) is not None:
            return True
        await self._give_up()
        if not alive or self._member is None:
            self._member = coordinator.join(self._topics)
        await coordinator.arrive(self._member)
        dealt = coordinator.dealt(self._member)
        if dealt is None:
            return False
        await self._start(dealt, coordinator.generation)
        return True

    async def _give_up(self) -> None:
        async with self._revoking:
            if self._next:
                await self._hooks.revoked(self.parts)
            self._next, self._paused = {}, set()

    async def _start(self, dealt: frozenset[Part], generation: int) -> None:
        starts = await self._hooks.assigned(dealt)
        committed = await self._committed()
        self._next = {part: self._begin(part, starts.get(part, Committed()), committed) for part in sorted(dealt)}
        self._generation = generation

    def _begin(self, part: Part, start: Start, committed: Mapping[Part, int]) -> int:
        match start:
            case Committed():
                return committed.get(part, self._log.start(part))
            case Earliest():
                return self._log.start(part)
            case _:
                return start

    def _wanted(self) -> list[Wanted]:
        """Parts that have records to read. Raises `platform.offset_lost`."""
        wanted = []
        for part, begin in self._next.items():
            if part in self._paused:
                continue
            start, end = self._log.start(part), self._log.end(part)
            if not start <= begin <= end:
                raise PLATFORM_OFFSET_LOST.problem(
                    topic=part.topic, partition=part.partition, offset=begin, start=start, end=end
                )
            if begin < end:
                wanted.append(Wanted(part, self._log.id_of(part), begin, end))
        return wanted

    def _take(self, wanted: Sequence[Wanted], found: Sequence[Found]) -> Mapping[Part, Sequence[Stored]]:
        """Move on past what was read; parts that were read go to the end of the line."""
        begun = {part: begin for part, _, begin, _ in wanted}
        taken: dict[Part, Sequence[Stored]] = {}
        for part, records, following in found:
            if self._next.get(part) != begun[part] or part in self._paused:  # seek or pause while it was read
                continue
            del self._next[part]
            self._next[part] = following
            if records:
                taken[part] = records
        return taken

    async def _committed(self) -> dict[Part, int]:
        query, name = "select part_id, next from committed where grp = ?", self._coordinator.name
        rows = await self._reader.run(lambda connection: connection.execute(query, (name,)).fetchall())
        named = {self._log.id_of(part): part for topic in self._topics for part in _all(topic, self._log)}
        return {named[part_id]: following for part_id, following in rows if part_id in named}


def _all(topic: Topic, parts: Parts) -> list[Part]:
    return [Part(topic, number) for number in parts.numbers(topic)]


def _commit(connection: sqlite3.Connection, rows: Sequence[tuple[str, int, int]], generation: int) -> bool:
    """False, and nothing written, unless the group still has this generation."""
    upsert = (
        "insert into committed select ?, ?, ? where exists (select 1 from grp where name = ? and generation = ?) "
        "on conflict(grp, part_id) do update set next = excluded.next"
    )
    written = connection.executemany(upsert, [(*row, row[0], generation) for row in rows])
    return written.rowcount == len(rows)
