"""What each adapter of ingestion's list of refusals promises. A binding has the fixture `store`."""

# ruff: noqa: S101 - a contract is made of tests

from dataclasses import replace
from datetime import timedelta

from didymos_did import TwinId
from didymos_ingestion.application.keep_refusals import Refusals, keep_refusals
from didymos_ingestion.domain.refusal import KEPT, KeptRefusal
from didymos_kit.clock import from_us

from didymos_testing.did import STRANGER, TWIN
from didymos_testing.ingestion import DEVICE
from didymos_testing.readings import NOON_US

NOON = from_us(NOON_US)
NAME = TwinId(TWIN.did)


def a_refusal(**changes: object) -> KeptRefusal:
    said = KeptRefusal(
        NAME, DEVICE.did, bytes(32), 3, 7, 0, 1, "reading.not_finite", "no finite number", "glucose@1", NOON
    )
    return replace(said, **changes)  # type: ignore[arg-type] # fields by name


async def all_of(store: Refusals) -> list[tuple[int, int, int]]:
    return [(each.partition, each.offset, each.index) for each in await store.of_twin(NAME, None, 1_000)]


class RefusalsContract:
    async def test_a_repeat_of_a_record_or_of_a_batch_is_listed_once(self, store: Refusals) -> None:
        await keep_refusals([a_refusal(), a_refusal(index=5)], store, NOON)
        await keep_refusals([a_refusal(), a_refusal(offset=8), a_refusal(offset=8, index=5)], store, NOON)
        await keep_refusals([], store, NOON)
        assert await all_of(store) == [(3, 7, 0), (3, 7, 5)]
        (first, _) = await store.of_twin(NAME, None, 100)
        assert first == a_refusal()

    async def test_what_the_log_no_longer_holds_is_not_listed(self, store: Refusals) -> None:
        old = a_refusal(received_at=NOON - KEPT - timedelta(seconds=1), batch=b"old")
        await keep_refusals([old, a_refusal(offset=9)], store, NOON)
        assert await all_of(store) == [(3, 9, 0)]

    async def test_erasure_empties_the_list_of_a_twin(self, store: Refusals) -> None:
        other = a_refusal(twin=STRANGER.did, offset=8)
        await keep_refusals([a_refusal(), other], store, NOON)
        await store.drop_twin(NAME)
        assert await all_of(store) == []
        assert len(await store.of_twin(TwinId(STRANGER.did), None, 9)) == 1

    async def test_pages_go_on_after_a_place(self, store: Refusals) -> None:
        await keep_refusals([a_refusal(offset=1 << 40 | n, batch=bytes([n])) for n in range(10)], store, NOON)
        found = await store.of_twin(NAME, (3, 1 << 40 | 4, 0), 3)
        assert [each.offset & 15 for each in found] == [5, 6, 7]

    async def test_a_slice_of_many_is_kept_whole(self, store: Refusals) -> None:
        await keep_refusals([a_refusal(index=n) for n in range(1_000)], store, NOON)
        assert len(await all_of(store)) == 1_000

    async def test_what_is_released_stays_listed_as_released(self, store: Refusals) -> None:
        await keep_refusals([a_refusal(), a_refusal(index=5)], store, NOON)
        for _ in range(2):
            await store.release([a_refusal(index=5)])
        await keep_refusals([a_refusal(index=5)], store, NOON)
        found = await store.of_batch(NAME, bytes(32))
        assert [(each.index, each.released) for each in found] == [(0, False), (5, True)]
        assert await store.of_batch(NAME, b"another") == []
