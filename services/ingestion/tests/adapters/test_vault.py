"""Keys of the vault: asked for once, kept for 300 s, and never for a twin that is gone."""

import asyncio

import pytest
from didymos.identity.v1.identity_service_pb2 import EpochKey, EpochKeysRequest, EpochKeysResponse
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_DEADLINE
from didymos_did import TwinId
from didymos_ingestion.adapters import vault
from didymos_ingestion.adapters.vault import CachedKeys
from didymos_testing.clock import FixedClock
from didymos_testing.did import a_signer
from didymos_testing.ingestion import TWIN, a_key

GONE = TwinId(a_signer("gone").did)


class AVault:
    """Answers as the vault does. `silent`: it leaves keys out."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.away = self.silent = False

    async def keys(self, request: EpochKeysRequest) -> EpochKeysResponse:
        self.asked.append(len(request.wanted))
        await asyncio.sleep(0)
        if self.away:
            raise PLATFORM_DEADLINE.problem()
        found = [] if self.silent else [self._key(TwinId(each.twin), each.epoch) for each in request.wanted]
        return EpochKeysResponse(keys=found)

    def _key(self, twin: TwinId, epoch: int) -> EpochKey:
        if twin == GONE:
            return EpochKey(twin=twin, epoch=epoch, destroyed=True)
        return EpochKey(twin=twin, epoch=epoch, key=a_key(twin, epoch).secret)


def a_cache() -> tuple[CachedKeys, AVault, FixedClock]:
    clock, asked = FixedClock(), AVault()
    return CachedKeys(asked.keys, clock.monotonic), asked, clock


async def test_a_key_is_asked_for_once_and_then_at_hand_for_300_seconds() -> None:
    keys, asked, clock = a_cache()
    assert keys.at_hand([TWIN], 5) is None
    found = await keys.fetch([TWIN], 5)
    assert found == keys.at_hand([TWIN], 5) == {TWIN: a_key(TWIN, 5)}
    assert keys.at_hand([TWIN], 6) is None
    clock.advance(300)
    assert keys.at_hand([TWIN], 5) is None
    await keys.fetch([TWIN], 5)
    assert asked.asked == [1, 1]


async def test_a_destroyed_key_is_a_fact_not_an_error() -> None:
    keys, _, _ = a_cache()
    assert await keys.fetch([TWIN, GONE], 5) == {TWIN: a_key(TWIN, 5), GONE: None}


async def test_who_misses_the_same_key_at_once_asks_once() -> None:
    keys, asked, _ = a_cache()
    found = await asyncio.gather(*(keys.fetch([TWIN], 5) for _ in range(20)))
    assert found == [{TWIN: a_key(TWIN, 5)}] * 20
    assert asked.asked == [1]


async def test_many_keys_are_asked_for_a_thousand_at_a_time() -> None:
    keys, asked, _ = a_cache()
    await keys.fetch([TwinId(TWIN + str(n)) for n in range(2_001)], 5)
    assert asked.asked == [1_000, 1_000, 1]


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_a_vault_that_does_not_answer_is_unavailable_for_all_who_wait(how: str) -> None:
    keys, asked, _ = a_cache()
    setattr(asked, how, True)
    found = await asyncio.gather(*(keys.fetch([TWIN], 5) for _ in range(3)), return_exceptions=True)
    assert [each.row.code for each in found if isinstance(each, Problem)] == ["platform.unavailable"] * 3
    setattr(asked, how, False)
    assert await keys.fetch([TWIN], 5) == {TWIN: a_key(TWIN, 5)}


async def test_one_who_stops_waiting_takes_the_key_from_nobody() -> None:
    keys, asked, _ = a_cache()
    first = asyncio.create_task(keys.fetch([TWIN], 5))
    second = asyncio.create_task(keys.fetch([TWIN], 5))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {TWIN: a_key(TWIN, 5)}
    assert asked.asked == [1]


async def test_expired_keys_leave_memory() -> None:
    keys, _, clock = a_cache()
    await keys.fetch([TWIN], 5)
    clock.advance(301)
    await keys.fetch([GONE], 5)
    assert len(keys._held) == 1


async def test_more_keys_than_there_is_room_for_are_given_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "HELD", 1)
    keys, asked, _ = a_cache()
    both = {TWIN: a_key(TWIN, 5), GONE: None}
    assert await keys.fetch([TWIN, GONE], 5) == both
    assert await keys.fetch([GONE, TWIN], 5) == both
    assert asked.asked == [2, 1]
