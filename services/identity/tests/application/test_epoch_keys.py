"""Who gets data keys, and what is left of them after an erasure."""

from typing import Any

from didymos_did import Did, TwinId, epoch_of, verify_erasure
from didymos_identity.application.epoch_keys import MOST, epoch_keys
from didymos_identity.application.erase_twin import begin_erasure
from didymos_testing.did import OWNER, STRANGER, TWIN, a_signer
from didymos_testing.identity import an_erasure, refusal

READER = a_signer("ingestion").did
TWIN_ID = TwinId(TWIN.did)


async def ask(bench: Any, wanted: list[tuple[TwinId, int]], caller: Did = READER) -> Any:
    return await bench.do(lambda work: epoch_keys(wanted, caller, {READER}, work.twins, bench.vault, bench.clock))


async def test_a_reader_of_the_vault_gets_the_same_keys_again_in_the_order_asked(bench: Any) -> None:
    await bench.with_twin()
    first = await ask(bench, [(TWIN_ID, 7), (TWIN_ID, 3), (TWIN_ID, 7)])
    assert [key.epoch for key in first] == [7, 3, 7]
    assert await ask(bench, [(TWIN_ID, 3), (TWIN_ID, 7)]) == [first[1], first[0]]
    assert first[0].secret != first[1].secret


async def test_whoever_is_no_reader_is_told_that_there_is_nothing(bench: Any) -> None:
    await bench.with_twin()
    for caller in (OWNER.did, STRANGER.did):
        assert await refusal(ask(bench, [(TWIN_ID, 1)], caller)) == "platform.not_found"


async def test_a_twin_that_nobody_registered_has_no_keys(bench: Any) -> None:
    assert await refusal(ask(bench, [(TWIN_ID, 1)])) == "platform.not_found"


async def test_keys_are_asked_for_in_bounds_and_not_far_ahead(bench: Any) -> None:
    await bench.with_twin()
    today = epoch_of(bench.clock.now_us())
    assert await refusal(ask(bench, [(TWIN_ID, today + 3)])) == "platform.invalid_field"
    assert await refusal(ask(bench, [(TWIN_ID, 1)] * (MOST + 1))) == "platform.too_large"


async def test_no_key_is_given_out_once_an_erasure_began(bench: Any) -> None:
    await bench.with_twin()
    await bench.do(lambda work: begin_erasure(verify_erasure(an_erasure()), OWNER.did, work, bench.clock))
    assert await ask(bench, [(TWIN_ID, 1)]) == [None]
