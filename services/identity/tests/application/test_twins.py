"""Who owns a twin, and how it ends."""

from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import GrantState, TwinId, TwinRegistration, parse_grant, verify_erasure
from didymos_identity.application.erase_twin import begin_erasure, end_erasure, erase_twin
from didymos_identity.application.read_twin import read_twin
from didymos_identity.application.register_grant import register_grant
from didymos_identity.application.register_twin import register_twin
from didymos_identity.domain.events import ConsentChanged, TwinKeyDestroyed, TwinRegistered
from didymos_identity.domain.twin import TwinState
from didymos_testing.did import NOON, OWNER, STRANGER, TWIN
from didymos_testing.identity import a_grant_credential, an_erasure, refusal

TWIN_ID = TwinId(TWIN.did)
REGISTRATION = TwinRegistration(TWIN_ID, OWNER.did)
ERASURE = verify_erasure(an_erasure())


async def test_the_first_registration_holds_and_a_repeat_changes_nothing(bench: Any) -> None:
    first = await bench.do(lambda work: register_twin(REGISTRATION, OWNER.did, work, bench.clock))
    again = await bench.do(lambda work: register_twin(REGISTRATION, OWNER.did, work, bench.clock))
    assert first == again
    assert bench.published == [TwinRegistered(first)]
    other = TwinRegistration(TWIN_ID, STRANGER.did)
    said = await refusal(bench.do(lambda work: register_twin(other, STRANGER.did, work, bench.clock)))
    assert said == "identity.twin_owned"


async def test_nobody_registers_a_twin_for_somebody_else(bench: Any) -> None:
    said = await refusal(bench.do(lambda work: register_twin(REGISTRATION, STRANGER.did, work, bench.clock)))
    assert (said, bench.published) == ("platform.forbidden", [])


async def test_only_its_owner_reads_whose_a_twin_is(bench: Any) -> None:
    twin = await bench.with_twin()
    assert await bench.do(lambda work: read_twin(TWIN_ID, OWNER.did, work.twins)) == twin
    nothing = TwinId(STRANGER.did)
    for asked in (TWIN_ID, nothing):
        with pytest.raises(Problem) as raised:
            await bench.do(lambda work, asked=asked: read_twin(asked, STRANGER.did, work.twins))
        assert (raised.value.row.code, raised.value.values) == ("platform.not_found", {"twin": asked})


async def test_an_erased_twin_has_no_grants_no_keys_and_no_second_life(bench: Any) -> None:
    await bench.with_twin()
    credential = a_grant_credential()
    grant = parse_grant(credential)
    await bench.do(lambda work: register_grant(grant, credential, OWNER.did, work, bench.clock))
    (before,) = await bench.vault.keys([(TWIN_ID, 5)])
    assert before is not None
    begun, ended = await erase_twin(ERASURE, OWNER.did, bench, bench.vault, bench.clock)
    assert (begun.value.state, ended.value.state) == (TwinState.ERASING, TwinState.ERASED)
    assert await bench.vault.keys([(TWIN_ID, 5), (TWIN_ID, 6)]) == [None, None]
    revoked, destroyed = bench.published[-2:]
    assert isinstance(revoked, ConsentChanged)
    assert (revoked.grant.state, destroyed) == (GrantState.REVOKED, TwinKeyDestroyed(TWIN_ID, NOON))
    said = await refusal(bench.do(lambda work: register_twin(REGISTRATION, OWNER.did, work, bench.clock)))
    assert said == "key.destroyed"
    later = a_grant_credential(number=2)
    said = await refusal(bench.do(lambda work: register_grant(parse_grant(later), later, OWNER.did, work, bench.clock)))
    assert said == "key.destroyed"


async def test_an_erasure_is_safe_to_repeat_and_told_once(bench: Any) -> None:
    await bench.with_twin()
    for _ in range(2):
        await erase_twin(ERASURE, OWNER.did, bench, bench.vault, bench.clock)
    assert bench.kinds() == ["TwinKeyDestroyed"]


async def test_a_destruction_is_told_only_after_it_happened(bench: Any) -> None:
    await bench.with_twin()
    await bench.do(lambda work: begin_erasure(ERASURE, OWNER.did, work, bench.clock))
    assert (bench.published, (await bench.twin()).state) == ([], TwinState.ERASING)
    await bench.vault.destroy(TWIN_ID, NOON)
    await bench.do(lambda work: end_erasure(TWIN_ID, work, bench.clock))
    assert bench.kinds() == ["TwinKeyDestroyed"]


async def test_a_stranger_erases_nothing_and_learns_nothing(bench: Any) -> None:
    await bench.with_twin()
    by_stranger = verify_erasure(an_erasure(signer=STRANGER))
    for erasure, caller in ((by_stranger, STRANGER.did), (ERASURE, STRANGER.did), (by_stranger, OWNER.did)):
        said = await refusal(erase_twin(erasure, caller, bench, bench.vault, bench.clock))
        assert said == "platform.not_found"
    assert (await bench.twin()).alive
    assert (
        await refusal(bench.do(lambda work: end_erasure(TwinId(STRANGER.did), work, bench.clock)))
        == "platform.not_found"
    )
