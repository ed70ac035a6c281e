"""Live streams without a service around them: what is delivered is judged at that moment."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from didymos.twin.v1.twin_events_pb2 import ChangeBody, TwinChanged
from didymos_contracts.topics import TWIN_CHANGED
from didymos_did import Facts, Freshness, Grant, GrantId, Ownership, TwinId, Usage
from didymos_kit.eventlog import Record, Stored, envelope
from didymos_kit.http.live import Closing
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.clock import FixedClock
from didymos_testing.did import INSTITUTE, NOON, OWNER, RESEARCH, TWIN, a_grant, a_read_terms
from didymos_testing.house import a_house
from didymos_testing.twin_state import MemoryHistory, MemoryHot, Mortality, PlainSeals
from didymos_twin_state.adapters.changes import CHANGE_PATH, QUEUE, ChangeFeed
from didymos_twin_state.adapters.protobuf import reported_message
from didymos_twin_state.adapters.recent_changes import RecentChanges
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import HotCommit, Marks
from didymos_twin_state.application.read_twin import Twins, part_of
from didymos_twin_state.domain.twin import Cell, Lifecycle, TwinState, pack
from didymos_twin_state.entrypoints.live import Afresh, LiveTwins, Seen, Visible
from didymos_twin_state.entrypoints.live_events import parse_event_id
from hypothesis import given
from hypothesis import strategies as st

TWIN_ID, READER = TwinId(TWIN.did), Reader(INSTITUTE.did, None, RESEARCH)
LEVEL, DOSE = "glucose/level", "insulin/dose"


@dataclass
class Stage:
    """What a test arranges; fills `Consents`, `Uses` and the changes of grants. `feed` reads a real log."""

    house: Any
    grants: tuple[Grant, ...] = ()
    freshness: Freshness = Freshness.FRESH
    hot: MemoryHot = field(default_factory=lambda: MemoryHot(Mortality()))
    begin: int = 0  # offset of the first change of the last call

    def __post_init__(self) -> None:
        self.feed = ChangeFeed(self.house.event_log, PlainSeals(), "test")  # type: ignore[arg-type] # it opens as they do

    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage]) -> Facts:
        return Facts(Ownership(OWNER.did), self.grants, self.freshness, usage=usage)

    def usage(self, twin: TwinId) -> Mapping[GrantId, Usage]:
        return {}

    def last_hour(self, grant: GrantId) -> int:
        return 0

    def read(self, grant: GrantId) -> None:
        """Not counted."""

    @asynccontextmanager
    async def changed(self, twin: TwinId) -> AsyncIterator[Stopping]:
        yield Stopping()

    def live(self, stale_seconds: float = 30.0) -> LiveTwins:
        twins = Twins(self.hot, MemoryHistory(Mortality()), PlainSeals(), 5.0)
        permits = Permits(self, self, FixedClock(NOON))
        return LiveTwins(self.feed, twins, permits, self.changed, Metrics(), stale_seconds=stale_seconds)

    async def change(self, *changes: Mapping[str, float]) -> None:
        """Reported values into the log, as the worker announces them."""
        async with self.house.event_log.writer("twin-state") as writer:
            positions = await writer.append([await self.record(values) for values in changes])
        self.begin = positions[0].offset

    async def record(self, values: Mapping[str, float]) -> Record:
        cells = {name: Cell(value, 1, "d", 1, 1, 0, 90, 0, "") for name, value in values.items()}
        body = ChangeBody(reported=[reported_message(name, cell) for name, cell in cells.items()])
        blob = await PlainSeals().seal_blob(TWIN_ID, body.SerializeToString(), CHANGE_PATH)
        assert blob is not None
        said = TwinChanged(twin=TWIN_ID, key_epoch=blob.key_epoch, salt=blob.salt, sealed=blob.sealed)
        headers = envelope.build(
            envelope.Envelope(str(values), "didymos://test", said.DESCRIPTOR.full_name, self.house.clock.now())
        )
        return Record(TWIN_CHANGED.name, TWIN_ID.encode(), said.SerializeToString(), headers, 1)


@asynccontextmanager
async def a_stage(folder: Path, *paths: str) -> AsyncIterator[Stage]:
    """A twin with two properties, and a grant to watch those of `paths`."""
    async with a_house(folder) as house:
        stage = Stage(house, (a_grant(terms=a_read_terms(paths=list(paths))),))
        cells = {name: Cell(1.0, 1, "d", 1, 1, 0, 90, 0, "") for name in (LEVEL, DOSE)}
        state = TwinState(lifecycle=Lifecycle.ACTIVE, owner=OWNER.did, cells=cells)
        part, at = part_of(TWIN_ID), Marks()
        await stage.hot.claim(part, 1)
        await stage.hot.commit(HotCommit(part, 1, None, at, at, {TWIN_ID: pack(state)}, {}))
        stopping = Stopping()
        running = asyncio.create_task(stage.feed.run(stopping))
        await stage.feed.ready.wait()
        try:
            yield stage
        finally:
            stopping.set()
            await running


async def soon(found: AsyncIterator[Seen]) -> dict[str, float]:
    """What of the next change is seen."""
    async with asyncio.timeout(10):
        seen = await anext(found)
    assert isinstance(seen, Visible)
    return {each.property: each.value.number for each in seen.body.reported}


async def test_while_consent_is_stale_nothing_is_delivered_and_then_the_stream_ends(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "features/**") as stage:
        live, closing = stage.live(stale_seconds=1.0), Closing()
        watch = await live.open((TWIN_ID,), READER)
        async with aclosing(live.changes(watch, closing, None)) as found:  # type: ignore[type-var] # a generator
            upcoming = asyncio.ensure_future(soon(found))
            await asyncio.sleep(0)
            stage.freshness = Freshness.STALE
            await stage.change({LEVEL: 2.0})
            async with asyncio.timeout(10):
                await closing.wait()
            assert closing.reason == "consent.stale"
            assert not upcoming.done()
            upcoming.cancel()
            await asyncio.wait([upcoming])


async def test_what_came_while_consent_was_stale_is_delivered_once_it_is_fresh(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "features/**") as stage:
        live, closing = stage.live(), Closing()
        watch = await live.open((TWIN_ID,), READER)
        async with aclosing(live.changes(watch, closing, None)) as found:  # type: ignore[type-var] # a generator
            upcoming = asyncio.ensure_future(soon(found))
            await asyncio.sleep(0)
            stage.freshness = Freshness.STALE
            await stage.change({LEVEL: 2.0})
            part = part_of(TWIN_ID)
            async with asyncio.timeout(10):
                while stage.feed.recent.end(part) is None:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0.01)
            assert not upcoming.done()
            stage.freshness = Freshness.FRESH
            assert await upcoming == {LEVEL: 2.0}


async def test_a_resumed_event_passes_the_grants_in_force_when_it_is_delivered(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "features/**") as stage:
        live = stage.live()
        watch = await live.open((TWIN_ID,), READER)
        async with aclosing(live.changes(watch, Closing(), None)) as found:  # type: ignore[type-var] # a generator
            upcoming = asyncio.ensure_future(anext(found))
            await asyncio.sleep(0)
            await stage.change({LEVEL: 2.0, DOSE: 7.0})
            seen = await upcoming
        assert isinstance(seen, Visible)
        assert len(seen.body.reported) == 2
        await stage.change({LEVEL: 3.0, DOSE: 8.0})
        stage.grants = (a_grant(terms=a_read_terms(paths=["features/glucose/**"])),)
        again = await live.open((TWIN_ID,), READER)
        async with aclosing(live.changes(again, Closing(), parse_event_id(seen.id))) as found:  # type: ignore[type-var] # a generator
            assert await soon(found) == {LEVEL: 3.0}


async def test_a_reader_that_missed_more_than_may_wait_takes_the_state_afresh(tmp_path: Path) -> None:
    async with a_stage(tmp_path, "features/**") as stage:
        part, live = part_of(TWIN_ID), stage.live()
        await stage.change(*({LEVEL: float(number)} for number in range(QUEUE + 2)))
        async with asyncio.timeout(20):
            while (end := stage.feed.recent.end(part)) is None or end < stage.begin + QUEUE + 1:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        kinds = []
        for seen in (stage.begin, stage.begin + 1, end - 1, None):
            watch = await live.open((TWIN_ID,), READER)
            after = {} if seen is None else {part: seen}
            async with aclosing(live.changes(watch, Closing(), after)) as found:  # type: ignore[type-var] # a generator
                kinds.append(await anext(found))
        assert [type(first) for first in kinds] == [Afresh, Visible, Visible, Afresh]
        assert isinstance(kinds[0], Afresh)
        assert kinds[0].id == f"{part}:{end}"


@pytest.mark.parametrize("coalesce", [False, True])
async def test_a_reader_that_takes_nothing_for_long_is_ended_or_takes_the_state(tmp_path: Path, coalesce: bool) -> None:
    async with a_stage(tmp_path, "features/**") as stage:
        part, live, closing = part_of(TWIN_ID), stage.live(), Closing()
        watch = await live.open((TWIN_ID,), READER)
        found = live.changes(watch, closing, None, coalesce=coalesce)
        async with aclosing(found):  # type: ignore[type-var] # a generator
            upcoming = asyncio.ensure_future(anext(found))
            await asyncio.sleep(0)
            await stage.change({LEVEL: 1.0})
            await upcoming
            await stage.change(*({LEVEL: float(number)} for number in range(QUEUE + 1)))
            async with asyncio.timeout(20):
                while (end := stage.feed.recent.end(part)) is None or end < stage.begin + QUEUE:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            if coalesce:
                seen = await anext(found)
                assert isinstance(seen, Afresh)
                assert seen.id == f"{part}:{end}"
            else:
                assert len([seen async for seen in found]) == QUEUE
    assert closing.reason == ("" if coalesce else "lagged")


def a_record(part: int, offset: int) -> Stored:
    return Stored(TWIN_CHANGED.name, b"did:key:z1", bytes(400), {}, 0, part, offset)


def test_what_is_kept_is_whole_and_the_oldest_go_first() -> None:
    recent = RecentChanges(limit_bytes=10_000)
    assert (recent.begin(3, 100), recent.begin(4, 0)) == (100, 0)
    assert (recent.end(3), recent.end(4), recent.end(5)) == (99, None, None)
    for offset in range(8):
        recent.add(a_record(3, 100 + offset))
        recent.add(a_record(4, offset))
    assert [record.offset for record in recent.after(3, 104)] == [105, 106, 107]
    assert recent.keeps(3, 102)
    assert not recent.keeps(3, 101)
    assert [record.offset for record in recent.after(3, 102)] == [103, 104, 105, 106, 107]
    assert not recent.keeps(5, 0)
    assert recent.begin(3, 500) == 108


@given(st.text(max_size=60) | st.from_regex(r"(\d{1,8}:\d{1,20},?)*", fullmatch=True))
def test_whatever_a_reader_brings_as_an_id_is_read_or_is_none_of_ours(said: str) -> None:
    found = parse_event_id(said)
    assert (found is None) == (said == "")
    assert all(part >= 0 and offset < 10**18 for part, offset in (found or {}).items())


@pytest.mark.parametrize(
    ("said", "found"),
    [("3:7", {3: 7}), ("3:7,17:55", {3: 7, 17: 55}), ("x", {}), ("3:-1", {}), ("3:" + "9" * 19, {}), (None, None)],
)
def test_an_id_names_what_was_seen_of_each_partition(said: str | None, found: Any) -> None:
    assert parse_event_id(said) == found
