"""What the SQLite log does beyond the contract: one process, one file, crashes, full disks, upkeep."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.topics import DAY_MS, HOUR_MS, Topic
from didymos_kit.eventlog import Earliest, Part, Stored
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.eventlog.sqlite_file import LogCorruptError
from didymos_testing.clock import FixedClock
from didymos_testing.eventlog import Hooking, a_record, a_topic, append, numbered, poll_for, values

APPENDER = """
import asyncio, resource, signal, sys
from pathlib import Path
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_testing.eventlog import a_record, a_topic
from dataclasses import replace
async def main(path, limit):
    async with SqliteLog(Path(path)) as log:
        topic = replace(a_topic(partitions=3), name="didymos.test.killed.v1")
        await log.ensure([topic])
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        count = 0
        async with log.writer("killed") as writer:
            while True:
                records = [a_record(topic.name, f"k{n % 7}", b"%d" % n + b" " * 900) for n in range(count, count + 20)]
                await writer.append(records)
                count += 20
                print(count, flush=True)
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@asynccontextmanager
async def opened(path: Path, clock: FixedClock | None = None) -> AsyncIterator[SqliteLog]:
    async with SqliteLog(path, clock=clock) as log:
        yield log


async def everything(log: SqliteLog, topic: Topic) -> list[Stored]:
    read: list[Stored] = []
    async with log.tail(topic, read.append) as tail:
        await tail.ready()
    return read


async def test_a_log_that_is_opened_again_goes_on_where_it_was(tmp_path: Path) -> None:
    topic = a_topic(partitions=1)
    async with opened(tmp_path / "log.db") as log:
        await log.ensure([topic])
        first = await append(log, *numbered(topic.name, 3))
        async with log.group("g", [topic.name], Hooking()) as group:
            await poll_for(group, 3)
            await group.commit({first[0].part: 2})
            generation = group.generation
    async with opened(tmp_path / "log.db") as log:
        await log.ensure([topic])
        (position,) = await append(log, a_record(topic.name, value=b"next"))
        assert position.offset == 3
        async with log.group("g", [topic.name], Hooking()) as group:
            assert values(await poll_for(group, 2)) == [b"2", b"next"]
            assert group.generation == generation + 1


async def test_a_folder_serves_one_log_at_a_time(tmp_path: Path) -> None:
    async with opened(tmp_path / "log.db"):
        with pytest.raises(Problem, match=r"platform\.folder_locked"):
            async with opened(tmp_path / "log.db"):
                pass
    async with opened(tmp_path / "log.db"):
        pass


async def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("create table t(x)")
    other.close()
    (tmp_path / "noise.db").write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    for name in ("other.db", "noise.db"):
        with pytest.raises(LogCorruptError):
            async with opened(tmp_path / name):
                pass


@pytest.mark.parametrize("damage", ["update part set next = 1", "update part set start = 2", "pragma user_version = 2"])
async def test_a_log_that_contradicts_itself_is_refused(tmp_path: Path, damage: str) -> None:
    topic = a_topic(partitions=1)
    async with opened(tmp_path / "log.db") as log:
        await log.ensure([topic])
        await append(log, *numbered(topic.name, 3))
    file = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    file.execute(damage)
    file.close()
    with pytest.raises(LogCorruptError):
        async with opened(tmp_path / "log.db"):
            pass


def appending(path: Path, limit: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", APPENDER, str(path), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


async def survivors(path: Path) -> list[int]:
    """Numbers of the stored records; asserts that each part holds an unbroken prefix of what belongs to it."""
    async with opened(path) as log:
        records = await everything(log, Topic("didymos.test.killed.v1"))
    numbers = sorted(int(record.value or b"") for record in records)
    for part in {record.part for record in records}:
        mine = [record for record in records if record.part == part]
        assert [record.offset for record in mine] == list(range(len(mine)))
        assert [int(r.value or b"") for r in mine] == sorted(int(r.value or b"") for r in mine)
    assert numbers == list(range(len(numbers)))
    return numbers


@pytest.mark.parametrize("lines", [1, 40])
async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, lines: int) -> None:
    child = appending(tmp_path / "log.db")
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(lines)][-1]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait()
    assert len(await survivors(tmp_path / "log.db")) >= (int(rest[-1]) if rest else acknowledged)


async def test_a_write_that_fails_ends_the_process_and_keeps_what_it_promised(tmp_path: Path) -> None:
    child = appending(tmp_path / "log.db", limit=1 << 20)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 1
    acknowledged = [int(line) for line in said.splitlines() if line.isdigit()][-1]
    assert acknowledged > 100
    assert len(await survivors(tmp_path / "log.db")) >= acknowledged


async def test_a_full_disk_refuses_appends_until_there_is_room(tmp_path: Path) -> None:
    topic = a_topic(partitions=1)
    async with opened(tmp_path / "log.db") as log:
        await log.ensure([topic])
        await append(log, a_record(topic.name))
        pages = await log._writer.call(lambda file: file.execute("pragma page_count").fetchone()[0])
        await log._writer.call(lambda file: file.execute(f"pragma max_page_count = {pages + 4}").fetchone())
        with pytest.raises(Problem, match=r"platform\.unavailable"):
            await append(log, a_record(topic.name, "k", b"x" * 100_000))
        await log._writer.call(lambda file: file.execute("pragma max_page_count = 1000000").fetchone())
        (position,) = await append(log, a_record(topic.name, "k", b"x" * 100_000))
        assert position.offset == 1


async def test_a_tombstone_stays_for_its_retention_and_then_leaves_no_trace(tmp_path: Path) -> None:
    clock, topic = FixedClock(), a_topic(partitions=1, cleanup="compact", retention_ms=7 * DAY_MS)
    at_ms = clock.now_us() // 1000
    async with opened(tmp_path / "log.db", clock) as log:
        await log.ensure([topic])
        ended = [a_record(topic.name, "a", value, at_ms=at_ms) for value in (b"1", None)]
        await append(log, *ended, a_record(topic.name, "b", b"1", at_ms=at_ms))
        clock.advance(6.9 * 86_400)
        await log.tidy()
        assert values(await everything(log, topic.name)) == [None, b"1"]
        clock.advance(0.2 * 86_400)
        await log.tidy()
        assert values(await everything(log, topic.name)) == [b"1"]
        kept = await log._writer.call(lambda file: file.execute("select key from latest").fetchall())
        assert kept == [(b"b",)]


async def test_a_key_that_lives_on_after_its_tombstone_is_kept(tmp_path: Path) -> None:
    clock, topic = FixedClock(), a_topic(partitions=1, cleanup="compact", retention_ms=7 * DAY_MS)
    at_ms = clock.now_us() // 1000
    async with opened(tmp_path / "log.db", clock) as log:
        await log.ensure([topic])
        await append(log, *[a_record(topic.name, "a", value, at_ms=at_ms) for value in (b"1", None, b"2")])
        clock.advance(30 * 86_400)
        await log.tidy()
        assert values(await everything(log, topic.name)) == [b"2"]


async def test_what_was_superseded_within_the_hour_stays(tmp_path: Path) -> None:
    clock, topic = FixedClock(), a_topic(partitions=1, cleanup="compact")
    at_ms = clock.now_us() // 1000
    async with opened(tmp_path / "log.db", clock) as log:
        await log.ensure([topic])
        ages = {b"1": 3 * HOUR_MS, b"2": 2 * HOUR_MS, b"3": HOUR_MS // 2}
        await append(log, *[a_record(topic.name, "a", value, at_ms=at_ms - age) for value, age in ages.items()])
        await log.tidy()
        assert values(await everything(log, topic.name)) == [b"2", b"3"]


async def test_upkeep_deletes_more_than_one_step_holds(tmp_path: Path) -> None:
    clock = FixedClock()
    kept, gone = a_topic(partitions=1, cleanup="compact"), a_topic(partitions=1, retention_ms=HOUR_MS)
    at_ms = clock.now_us() // 1000 - 5 * HOUR_MS
    async with opened(tmp_path / "log.db", clock) as log:
        await log.ensure([kept, gone])
        for topic in (kept, gone):
            await append(log, *[a_record(topic.name, "a", b"%d" % n, at_ms=at_ms) for n in range(2_500)])
        await log.tidy()
        assert values(await everything(log, kept.name)) == [b"2499"]
        assert await everything(log, gone.name) == []
        assert set((await log.ends([gone.name])).values()) == {2_500}


async def test_a_silent_member_loses_its_parts_and_gets_them_back_when_it_speaks(tmp_path: Path) -> None:
    topic, first_hooks, second_hooks = a_topic(partitions=2), Hooking(Earliest()), Hooking(Earliest())
    async with SqliteLog(tmp_path / "log.db", session_seconds=0.2) as log:
        await log.ensure([topic])
        async with log.group("g", [topic.name], first_hooks) as first:
            await first.poll()
            async with log.group("g", [topic.name], second_hooks) as second:
                async with asyncio.timeout(10):
                    while len(second.parts) != 2:
                        await second.poll()
                    while len(first.parts) != 1 or len(second.parts) != 1:
                        await asyncio.gather(first.poll(), second.poll())
        assert [what for what, _ in first_hooks.told] == ["assigned", "revoked", "assigned", "revoked"]


async def test_an_append_whose_caller_left_is_stored_all_the_same(tmp_path: Path) -> None:
    topic = a_topic(partitions=1)
    async with opened(tmp_path / "log.db") as log:
        await log.ensure([topic])
        async with log.writer("w") as writer:
            left = asyncio.create_task(writer.append([a_record(topic.name)]))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait([left])
            await writer.append([a_record(topic.name)])
        assert await log.ends([topic.name]) == {Part(topic.name, 0): 2}
