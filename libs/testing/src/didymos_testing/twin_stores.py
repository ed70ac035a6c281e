"""What each adapter of twin-state's stores promises. Subclasses give the fixtures `hot` and `history`."""

# ruff: noqa: S101 - a contract is made of tests
import asyncio

import numpy as np
import pytest
from didymos_twin_state.application.ports import (
    Dirty,
    Fenced,
    HotCommit,
    HotTwins,
    Marks,
    Moved,
    ParcelRow,
    SealedBlob,
    TwinHistory,
    TwinRow,
)
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Lifecycle, Relation

PART = 7001  # no partition of a real house


def a_commit(reached: Marks, expected: Marks | None = None, epoch: int = 1, **blobs: bytes) -> HotCommit:
    return HotCommit(PART, epoch, expected, reached, Marks(), blobs, {})


def a_row(twin: str, offset: int, begin: int, *, size: int = 2, digest: bytes = b"") -> ParcelRow:
    times = np.arange(begin, begin + size, dtype=np.int64)
    column = Column("p", "u", times, times.astype(float), np.full(size, 90, np.uint8), np.zeros(size, np.uint8), times)
    parcel = OpenParcel(twin, "did:key:d", 1, offset + 1, digest or offset.to_bytes(32, "big"), (column,), offset)
    return ParcelRow(parcel, 0, 20_000, b"s" * 16, b"sealed %d" % offset, begin, begin + size - 1)


def a_twin(name: str, lifecycle: Lifecycle = Lifecycle.ACTIVE, *relations: Relation) -> TwinRow:
    return TwinRow(name, PART, "did:key:o", "glucose@1", int(lifecycle), 1, relations)


class HotContract:
    """Blobs and marks are one step, fenced by epoch; a store that fell back is noticed."""

    async def test_a_commit_is_seen_as_a_whole(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        await hot.commit(a_commit(Marks(3, 1), a=b"\x00\xff binary", b=b"B"))
        assert await hot.look(PART, "a") == (Marks(3, 1), b"\x00\xff binary")
        assert await hot.look(PART, "b") == (Marks(3, 1), b"B")
        assert await hot.look(PART, "c") == (Marks(3, 1), None)
        assert await hot.look(PART + 1, "a") == (None, None)

    async def test_a_commit_from_another_place_is_refused_whole(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        await hot.commit(a_commit(Marks(3, 1), a=b"A"))
        for expected in (None, Marks(2, 1), Marks(3, 0)):
            with pytest.raises(Moved):
                await hot.commit(a_commit(Marks(9, 9), expected, a=b"other"))
        assert await hot.look(PART, "a") == (Marks(3, 1), b"A")
        await hot.commit(a_commit(Marks(4, 1), Marks(3, 1), a=b"A2"))
        assert await hot.look(PART, "a") == (Marks(4, 1), b"A2")

    async def test_a_zombie_writes_nothing(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        await hot.commit(a_commit(Marks(1, 0), a=b"A"))
        claimed = await hot.claim(PART, 2)
        assert (claimed.epoch, claimed.marks) == (2, Marks(1, 0))
        with pytest.raises(Fenced):
            await hot.claim(PART, 1)
        with pytest.raises(Fenced):
            await hot.commit(a_commit(Marks(2, 0), Marks(1, 0), a=b"late"))
        with pytest.raises(Fenced):
            await hot.fill(PART, 1, {"a": b"late"})
        with pytest.raises(Fenced):
            await hot.wipe(PART, 1)
        assert await hot.look(PART, "a") == (Marks(1, 0), b"A")

    async def test_a_wipe_takes_marks_and_blobs_and_leaves_the_epoch(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        await hot.commit(a_commit(Marks(1, 0), a=b"A"))
        await hot.fill(PART, 1, {f"t{number}": b"x" for number in range(1500)})
        await hot.wipe(PART, 1)
        assert await hot.look(PART, "a") == (None, None)
        assert await hot.look(PART, "t1499") == (None, None)
        with pytest.raises(Fenced):
            await hot.claim(PART, 0)
        await hot.commit(a_commit(Marks(7, 0), None, a=b"again"))
        assert await hot.look(PART, "a") == (Marks(7, 0), b"again")

    async def test_announced_marks_and_results_come_back(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        await hot.commit(HotCommit(PART, 1, None, Marks(5, 6), Marks(3, 4), {}, {b"c" * 16: b"APPLIED"}))
        assert (await hot.claim(PART, 2)).announced == Marks(3, 4)
        assert await hot.result(PART, b"c" * 16) == b"APPLIED"
        assert await hot.result(PART, b"d" * 16) is None

    async def test_seven_hundred_twins_go_in_one_step(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        blobs = {f"t{number}": b"%d" % number for number in range(700)}
        await hot.commit(HotCommit(PART, 1, None, Marks(1, 0), Marks(), blobs, {}))
        assert await hot.look(PART, "t699") == (Marks(1, 0), b"699")

    async def test_who_waits_is_woken_when_both_marks_are_reached(self, hot: HotTwins) -> None:
        await hot.claim(PART, 1)
        assert not await hot.wait(PART, Marks(1, 0), 0.05)
        waiting = asyncio.create_task(hot.wait(PART, Marks(2, 1), 5.0))
        await asyncio.sleep(0)
        await hot.commit(a_commit(Marks(2, 0)))
        await hot.commit(a_commit(Marks(2, 1), Marks(2, 0)))
        assert await waiting


class HistoryContract:
    """Marks, parcels, snapshots and projections are one transaction, fenced by epoch."""

    async def test_each_claim_raises_the_epoch_and_keeps_the_marks(self, history: TwinHistory) -> None:
        first = await history.claim(PART, "a")
        await history.checkpoint(PART, first.epoch, Marks(), Marks(4, 2), Dirty())
        second = await history.claim(PART, "b")
        assert (second.epoch, second.marks) == (first.epoch + 1, Marks(4, 2))
        assert await history.marks(PART) == Marks(4, 2)
        assert await history.marks(PART + 1) == Marks()

    async def test_a_fenced_or_moved_checkpoint_stores_nothing(self, history: TwinHistory) -> None:
        old = await history.claim(PART, "a")
        new = await history.claim(PART, "b")
        dirty = Dirty(parcels=[a_row("t", 0, 10)], blobs={"t": SealedBlob(1, b"s", b"x")})
        with pytest.raises(Fenced):
            await history.checkpoint(PART, old.epoch, Marks(), Marks(1, 0), dirty)
        with pytest.raises(Moved):
            await history.checkpoint(PART, new.epoch, Marks(9, 9), Marks(10, 9), dirty)
        assert await history.snapshot(PART, "t") is None
        assert await history.holds("t", (0).to_bytes(32, "big"), 10) is None

    async def test_parcels_are_found_by_span_and_digest(self, history: TwinHistory) -> None:
        claimed = await history.claim(PART, "a")
        rows = [a_row("t", at, begin, size=size) for at, (begin, size) in enumerate([(0, 100), (50, 2), (90, 2)])]
        dirty = Dirty(parcels=[*rows, a_row("other", 3, 50)], twins={"t": a_twin("t"), "other": a_twin("other")})
        await history.checkpoint(PART, claimed.epoch, Marks(), Marks(4, 0), dirty)
        found = [stored.offset async for stored in history.parcels("t", 60, 95)]
        assert found == [0, 2]
        assert [stored.offset async for stored in history.parcels("t", 200, 300)] == []
        assert await history.holds("t", (1).to_bytes(32, "big"), 50) == 1
        assert await history.holds("t", (1).to_bytes(32, "big"), 51) is None
        (first, *_) = [stored async for stored in history.parcels("t", 0, 1)]
        assert (first.device, first.number, first.blob) == ("did:key:d", 1, SealedBlob(20_000, b"s" * 16, b"sealed 0"))

    async def test_many_parcels_come_in_order_and_once(self, history: TwinHistory) -> None:
        claimed = await history.claim(PART, "a")
        rows = [a_row("t", at, 1000 - at // 3) for at in range(450)]
        await history.checkpoint(
            PART, claimed.epoch, Marks(), Marks(450, 0), Dirty(parcels=rows, twins={"t": a_twin("t")})
        )
        found = [stored.offset async for stored in history.parcels("t", 0, 2000)]
        assert sorted(found) == list(range(450))
        assert found == sorted(found, key=lambda at: (1000 - at // 3, at))

    async def test_a_snapshot_is_replaced(self, history: TwinHistory) -> None:
        claimed = await history.claim(PART, "a")
        for number in (1, 2):
            blob = SealedBlob(number, b"s" * 16, b"%d" % number)
            await history.checkpoint(
                PART, claimed.epoch, Marks(number - 1, 0), Marks(number, 0), Dirty(blobs={"t": blob})
            )
        assert await history.snapshot(PART, "t") == SealedBlob(2, b"s" * 16, b"2")
        assert await history.snapshots(PART, ["t", "other"]) == {"t": SealedBlob(2, b"s" * 16, b"2")}

    async def test_accepted_relations_are_listed_backwards(self, history: TwinHistory) -> None:
        claimed = await history.claim(PART, "a")
        edges = (Relation("near", "x", accepted=True), Relation("near", "y", accepted=False))
        twins = {"t": a_twin("t", Lifecycle.ACTIVE, *edges)}
        await history.checkpoint(PART, claimed.epoch, Marks(), Marks(0, 1), Dirty(twins=twins))
        assert list(await history.incoming("x")) == [("t", "near")]
        assert list(await history.incoming("y")) == []
        await history.checkpoint(PART, claimed.epoch, Marks(0, 1), Marks(0, 2), Dirty(twins={"t": a_twin("t")}))
        assert list(await history.incoming("x")) == []

    async def test_what_was_stored_of_an_erased_twin_goes(self, history: TwinHistory) -> None:
        claimed = await history.claim(PART, "a")
        blob = SealedBlob(1, b"s" * 16, b"x")
        both = Dirty(parcels=[a_row("t", 0, 10), a_row("u", 1, 10)], blobs={"t": blob, "u": blob})
        both.twins = {"t": a_twin("t"), "u": a_twin("u")}
        await history.checkpoint(PART, claimed.epoch, Marks(), Marks(2, 0), both)
        erased = Dirty(twins={"t": a_twin("t", Lifecycle.ERASED)})
        await history.checkpoint(PART, claimed.epoch, Marks(2, 0), Marks(2, 1), erased)
        assert [stored.offset async for stored in history.parcels("t", 0, 99)] == []
        assert [stored.offset async for stored in history.parcels("u", 0, 99)] == [1]
        assert await history.snapshot(PART, "t") is None
