"""The contract of `EntryLog`, and each adapter under it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_ledger.adapters.file_log import open_file_log
from didymos_ledger.application.ports import EntryLog
from didymos_ledger.application.prove import prove_consistency, prove_inclusion, read_entry
from didymos_ledger.domain.batch import EntryDraft, SourceCursor
from didymos_provenance import leaf_hash, open_promise, parse_entry, root_of, verify_consistency
from didymos_testing.ledger import a_draft, drafts, published
from didymos_testing.provenance import NOON, ORG, a_log_signer, a_thread, an_event_id


class EntryLogContract:
    """What each adapter of `EntryLog` promises. `opening()` enters one log, again and again."""

    opening: Callable[[], AbstractAsyncContextManager[EntryLog]]

    async def test_an_empty_log_has_a_signed_checkpoint_of_size_0(self) -> None:
        async with self.opening() as log:
            assert log.head().checkpoint.size == 0

    async def test_entries_get_indices_in_order_and_a_promise_that_the_checkpoint_keeps(self) -> None:
        async with self.opening() as log:
            first = await log.append(drafts(0, 3))
            second = await log.append(drafts(3, 300))
            assert first.indices + second.indices == tuple(range(303))
            await published(log, 303)
            for receipt in (first, second):
                promise = open_promise(receipt.promises[0], a_log_signer().key)
                span = range(promise.first, promise.first + promise.count)
                assert tuple(span) == receipt.indices
                texts = [await read_entry(index, log.head().checkpoint.size, log) for index in span]
                assert root_of([leaf_hash(text) for text in texts]) == promise.root
            assert parse_entry(texts[-1]).thread == a_thread("302")

    async def test_every_entry_has_a_proof_under_the_newest_checkpoint(self) -> None:
        async with self.opening() as log:
            await log.append(drafts(0, 700))
            await published(log, 700)
            head = log.head()
            for index in (0, 1, 255, 256, 511, 512, 698, 699):
                proof = await prove_inclusion(index, 700, head.note, log)
                proof.verify(leaf_hash(await read_entry(index, 700, log)), head.checkpoint)

    async def test_each_checkpoint_extends_all_before(self) -> None:
        async with self.opening() as log:
            heads = [log.head()]
            for number in range(5):
                await log.append(drafts(number * 150, 150))
                await published(log, (number + 1) * 150)
                heads.append(log.head())
            last = heads[-1].checkpoint
            for head in heads[1:]:
                old = head.checkpoint
                path = await prove_consistency(old.size, last.size, log)
                verify_consistency(old.size, last.size, old.root, last.root, path)

    async def test_a_repeated_event_gets_its_first_index_and_a_promise_again(self) -> None:
        async with self.opening() as log:
            await log.append(drafts(0, 5))
            again = await log.append([*drafts(3, 2), *drafts(9, 1), *drafts(0, 1)])
            assert again.indices == (3, 4, 5, 0)
            spans = [(p.first, p.count) for p in (open_promise(one, a_log_signer().key) for one in again.promises)]
            assert spans == [(3, 3), (0, 1)]
            await published(log, 6)
            assert (await log.append(drafts(4, 1))).indices == (4,)
            assert await log.find(an_event_id("9")) == 5
            assert await log.find(an_event_id("never")) is None

    async def test_repeats_within_one_group_are_one_entry(self) -> None:
        async with self.opening() as log:
            receipts = await asyncio.gather(*(log.append(drafts(0, 2)) for _ in range(20)))
            assert {receipt.indices for receipt in receipts} == {(0, 1)}
            await published(log, 2)
            assert log.head().checkpoint.size == 2

    async def test_an_event_id_with_other_content_is_refused_whole(self) -> None:
        async with self.opening() as log:
            await log.append([a_draft("a")])
            other = EntryDraft(an_event_id("a"), "grant.revoked", a_thread("a"), bytes(32))
            with pytest.raises(Problem) as raised:
                await log.append([a_draft("b"), other])
            assert raised.value.row.code == "platform.idempotency_mismatch"
            assert (await log.append([a_draft("c")])).indices == (1,)
            assert await log.find(an_event_id("b")) is None

    async def test_fifty_appenders_at_once_lose_nothing_and_share_no_index(self) -> None:
        async with self.opening() as log:
            receipts = await asyncio.gather(*(log.append(drafts(number * 7, 7)) for number in range(50)))
            indices = [index for receipt in receipts for index in receipt.indices]
            assert sorted(indices) == list(range(350))
            await published(log, 350)
            for receipt, number in zip(receipts, range(50), strict=True):
                entry = parse_entry(await read_entry(receipt.indices[6], 350, log))
                assert entry.thread == a_thread(str(number * 7 + 6))

    async def test_a_batch_at_or_before_its_cursor_is_in_the_log_already(self) -> None:
        async with self.opening() as log:
            cursor = SourceCursor("didymos.consent.v1", 3, 10)
            assert (await log.append(drafts(0, 2), cursor)).indices == (0, 1)
            assert (await log.append(drafts(7, 2), cursor)).indices == ()
            assert (await log.append(drafts(7, 2), SourceCursor("didymos.consent.v1", 4, 10))).indices == (2, 3)
            assert await log.cursors() == {("didymos.consent.v1", 3): 10, ("didymos.consent.v1", 4): 10}

    async def test_what_was_acknowledged_is_there_after_a_restart(self) -> None:
        async with self.opening() as log:
            await log.append(drafts(0, 600), SourceCursor("t", 0, 5))
        async with self.opening() as log:
            assert log.head().checkpoint.size == 600
            receipt = await log.append([*drafts(599, 1), *drafts(600, 1)])
            assert receipt.indices == (599, 600)
            assert await log.cursors() == {("t", 0): 5}
            await published(log, 601)
            proof = await prove_inclusion(42, 601, log.head().note, log)
            proof.verify(leaf_hash(await read_entry(42, 601, log)), log.head().checkpoint)

    async def test_nothing_above_the_published_size_can_be_read(self) -> None:
        async with self.opening() as log:
            await log.append(drafts(0, 3))
            await published(log, 3)
            with pytest.raises(Problem, match=r"ledger\.not_yet_published"):
                await read_entry(3, 4, log)
            with pytest.raises(Problem, match=r"ledger\.not_yet_published"):
                await prove_inclusion(3, 3, log.head().note, log)

    @pytest.mark.parametrize(
        ("batch", "code"),
        [
            ([], "platform.invalid_field"),
            ([a_draft("a"), a_draft("a")], "platform.invalid_field"),
            (drafts(0, 1025), "platform.too_large"),
            ([a_draft("a"), EntryDraft(b"short", "grant.issued", bytes(16), bytes(32))], "ledger.entry_invalid"),
            ([a_draft("a", "grant.invented")], "ledger.entry_invalid"),
            ([EntryDraft(bytes(16), "grant.issued", bytes(15), bytes(32))], "ledger.entry_invalid"),
            ([EntryDraft(bytes(16), "grant.issued", bytes(16), bytes(31))], "ledger.entry_invalid"),
            ([EntryDraft(bytes(16), "grant.issued", bytes(16), bytes(32), {"name": "Ann"})], "ledger.entry_invalid"),
        ],
    )
    async def test_a_batch_with_one_bad_draft_leaves_nothing(self, batch: Sequence[EntryDraft], code: str) -> None:
        async with self.opening() as log:
            with pytest.raises(Problem) as raised:
                await log.append(batch)
            assert raised.value.row.code == code
            assert (await log.append([a_draft("z")])).indices == (0,)


class TestFileLog(EntryLogContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.opening = lambda: open_file_log(tmp_path / "log", ORG, a_log_signer(), lambda: NOON)
