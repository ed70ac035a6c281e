"""The log in a folder: what only files can do wrong. The contract is in test_entry_log.py."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_ledger.adapters import file_log
from didymos_ledger.adapters.file_log import FileLog, open_file_log
from didymos_ledger.adapters.log_writer import Batch, LogWriter
from didymos_ledger.adapters.wal import decode_frames
from didymos_ledger.application.prove import read_entry
from didymos_ledger.domain.batch import prepare
from didymos_provenance import Bundle, Tile, decode_tile, leaf_hash, parse_checkpoint, parse_note, root_of
from didymos_testing.ledger import a_draft, drafts, published
from didymos_testing.provenance import NOON, ORG, a_log_signer, an_event_id


def opening(folder: Path, now: int = NOON) -> AbstractAsyncContextManager[FileLog]:
    return open_file_log(folder, ORG, a_log_signer(), lambda: now)


def wal_of(folder: Path) -> Path:
    return next((folder / "wal").iterdir())


async def troubled(log: FileLog) -> Problem:
    async with asyncio.timeout(5):
        while (trouble := log.trouble()) is None:  # noqa: ASYNC110 - readiness is polled, also in production
            await asyncio.sleep(0.01)
    return trouble


async def killed_after(folder: Path, copy: Path, *batches: tuple[int, int]) -> int:
    """The folder as kill -9 right after the last answer leaves it, before any checkpoint. Gives the size before."""
    async with opening(folder) as log:
        *earlier, last = batches
        for first, count in earlier:
            await log.append(drafts(first, count))
        before = sum(count for _, count in earlier)
        await published(log, before)
        await log.append(drafts(*last))
        shutil.copytree(folder, copy)
    return before


async def test_an_answer_given_before_a_kill_is_kept(tmp_path: Path) -> None:
    await killed_after(tmp_path / "log", tmp_path / "copy", (0, 300), (300, 20))
    async with opening(tmp_path / "copy") as log:
        assert await log.find(an_event_id("319")) == 319
        assert (await log.append(drafts(310, 11))).indices == tuple(range(310, 321))
        await published(log, 321)


async def test_a_frame_cut_at_any_byte_is_as_if_never_written(tmp_path: Path) -> None:
    before = await killed_after(tmp_path / "log", tmp_path / "copy", (0, 3), (3, 1))
    raw = wal_of(tmp_path / "copy").read_bytes()
    ends = [end for _, end in decode_frames(raw)]
    assert ends[-1] == len(raw)
    for cut in range(ends[-2], len(raw)):
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(tmp_path / "copy", folder)
        os.truncate(wal_of(folder), cut)
        writer = LogWriter(folder, a_log_signer(), lambda: NOON)
        writer.recover({})
        assert writer.find(an_event_id("3")) is None
        (receipt,) = writer.write([Batch(prepare([a_draft("after the cut")], ORG, NOON))])
        assert not isinstance(receipt, Problem)
        assert receipt.indices == (before,)
        writer.close()
    async with opening(folder) as log:
        await published(log, before + 1)


async def test_a_frame_with_any_byte_changed_is_as_if_never_written(tmp_path: Path) -> None:
    await killed_after(tmp_path / "log", tmp_path / "copy", (0, 3), (3, 1))
    raw = wal_of(tmp_path / "copy").read_bytes()
    start = [end for _, end in decode_frames(raw)][-2]
    for place in range(start, len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 0x40]) + raw[place + 1 :]
        assert len(list(decode_frames(changed))) == 1


@pytest.mark.parametrize("size", [5, 256, 300, 600])
async def test_entries_that_do_not_give_the_signed_root_stop_the_log(tmp_path: Path, size: int) -> None:
    """A changed entry, a changed frame, or a missing file: nothing is signed on top of it."""
    folder = tmp_path / "log"
    async with opening(folder) as log:
        await log.append(drafts(0, size))
    if size % 256:
        wal = wal_of(folder)
        wal.write_bytes(wal.read_bytes()[:-1])
    else:
        (folder / "tile/0/000").write_bytes(bytes(8192))
    with pytest.raises(Problem, match=r"ledger\.root_mismatch"):
        async with opening(folder):
            pass
    with sqlite3.connect(folder / "state.db") as db:
        assert db.execute("select max(size) from signed").fetchone() == (size,)
    db.close()


async def test_a_missing_tile_stops_the_log(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        await log.append(drafts(0, 256))
    (tmp_path / "log/tile/0/000").unlink()
    with pytest.raises(Problem, match=r"ledger\.root_mismatch"):
        async with opening(tmp_path / "log"):
            pass


async def test_one_process_at_a_time_has_the_folder(tmp_path: Path) -> None:
    async with opening(tmp_path / "log"):
        with pytest.raises(Problem, match=r"platform\.folder_locked"):
            async with opening(tmp_path / "log"):
                pass


async def test_a_writer_that_was_replaced_publishes_nothing(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        with sqlite3.connect(tmp_path / "log/state.db") as db:
            db.execute("update epoch set epoch = epoch + 1")
        db.close()
        await log.append([a_draft("a")])
        trouble = await troubled(log)
        assert (trouble.row.code, log.head().checkpoint.size) == ("ledger.fenced", 0)
        with pytest.raises(Problem, match=r"ledger\.fenced"):
            await log.append([a_draft("b")])


async def test_tiles_and_bundles_on_disk_are_those_of_the_specification(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        await log.append(drafts(0, 600))
        await published(log, 600)
        raw = [await log.read(place) for place in (Tile(0, 0), Tile(0, 2, 88), Tile(1, 0, 2), Bundle(2, 88))]
        assert await log.read(Tile(0, 2, 89)) is None
        assert await log.read(Tile(2, 0, 1)) is None
        assert await log.read(Bundle(2)) is None
        narrow = await log.read(Tile(0, 1, 7))
    stored = sorted(
        str(path.relative_to(tmp_path / "log")) for path in (tmp_path / "log/tile").rglob("*") if path.is_file()
    )
    assert stored == ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"]
    assert raw[0] == (tmp_path / "log/tile/0/000").read_bytes()
    assert narrow == (tmp_path / "log/tile/0/001").read_bytes()[: 7 * 32]
    assert all(raw)
    assert decode_tile(raw[2] or b"", 2)[0] == root_of(decode_tile(raw[0] or b"", 256))
    assert [len(part or b"") for part in raw[:3]] == [8192, 88 * 32, 64]


async def test_a_tile_is_never_replaced(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        (tmp_path / "log/tile/0").mkdir(parents=True)
        (tmp_path / "log/tile/0/000").write_bytes(bytes(8192))
        await log.append(drafts(0, 256))
        trouble = await troubled(log)
        assert (trouble.row.code, log.head().checkpoint.size) == ("ledger.tile_conflict", 0)


async def test_a_full_disk_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opening(tmp_path / "log") as log:
        await log.append([a_draft("a")])
        real = os.statvfs(tmp_path)
        full = os.statvfs_result((real.f_bsize, real.f_frsize, real.f_blocks, 0, 0, *list(real)[5:]))
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", lambda _: full)
            with pytest.raises(Problem, match=r"platform\.unavailable"):
                await log.append([a_draft("b")])
        assert (await log.append([a_draft("b")])).indices == (1,)
        await published(log, 2)
        assert leaf_hash(await read_entry(1, 2, log))


async def test_a_full_queue_is_refused_and_what_was_taken_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_log, "QUEUE_ENTRIES", 30)
    async with opening(tmp_path / "log") as log:
        results = await asyncio.gather(
            *(log.append(drafts(number * 10, 10)) for number in range(5)), return_exceptions=True
        )
        refused = [one for one in results if isinstance(one, Problem)]
        assert [one.row.code for one in refused] == ["platform.overloaded"] * 2
        await published(log, 30)


async def test_an_event_may_come_again_as_a_new_one_after_a_day(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        await log.append([a_draft("a")])
    async with opening(tmp_path / "log", NOON + 24 * 3600 + 1) as log:
        assert (await log.append([a_draft("a"), a_draft("b")])).indices == (0, 1)  # forgotten at the next checkpoint
        await published(log, 2)
        assert (await log.append([a_draft("a")])).indices == (2,)


async def test_leaving_publishes_what_was_appended(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        waiting = [asyncio.create_task(log.append(drafts(number, 1))) for number in range(10)]
        await asyncio.sleep(0)
    assert [task.result().indices for task in waiting] == [(number,) for number in range(10)]
    with sqlite3.connect(tmp_path / "log/state.db") as db:
        (note,) = db.execute("select note from signed order by size desc").fetchone()
    db.close()
    assert parse_checkpoint(parse_note(note).text).size == 10


async def test_who_gave_up_waiting_does_not_stop_the_others(tmp_path: Path) -> None:
    async with opening(tmp_path / "log") as log:
        gone = asyncio.create_task(log.append([a_draft("a")]))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await log.append([a_draft("b")])).indices == (1,)


async def test_segments_that_are_bundled_go_and_two_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from didymos_ledger.adapters import log_writer, wal

    small: Callable[[Path], wal.Wal] = lambda folder: wal.Wal(folder, segment_bytes=10_000)  # noqa: E731
    monkeypatch.setattr(log_writer, "Wal", small)
    async with opening(tmp_path / "log") as log:
        for number in range(12):
            await log.append(drafts(number * 100, 100))
            await published(log, (number + 1) * 100)
        names = sorted(path.stem for path in (tmp_path / "log/wal").iterdir())
        assert 2 <= len(names) <= 5
        assert int(names[0]) <= 1024
    async with opening(tmp_path / "log") as log:
        assert (await log.append(drafts(1199, 2))).indices == (1199, 1200)
