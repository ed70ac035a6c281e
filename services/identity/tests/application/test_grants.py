"""Grants: who registers, who ends them, and what a stranger learns."""

from datetime import timedelta
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Did, GrantState, Revocation, TwinId, parse_grant, verify_revocation
from didymos_identity.application.expire_grants import expire_grants
from didymos_identity.application.ports import GrantQuery
from didymos_identity.application.read_grant import read_grant
from didymos_identity.application.register_grant import register_grant
from didymos_identity.application.revoke_grant import revoke_grant
from didymos_identity.domain.events import ConsentChanged
from didymos_testing.did import INSTITUTE, NOON, OWNER, STRANGER, TWIN, a_grant_id, a_terms
from didymos_testing.identity import a_grant_credential, a_revocation, a_window, refusal

CREDENTIAL = a_grant_credential()
GRANT = parse_grant(CREDENTIAL)


async def register(bench: Any, credential: bytes = CREDENTIAL, caller: Did = OWNER.did) -> Any:
    grant = parse_grant(credential)
    return await bench.do(lambda work: register_grant(grant, credential, caller, work, bench.clock))


async def revoke(bench: Any, revocation: Revocation, caller: Did = OWNER.did) -> Any:
    return await bench.do(lambda work: revoke_grant(revocation, caller, work, bench.clock))


async def test_a_registered_grant_is_published_once_however_often_it_comes(bench: Any) -> None:
    await bench.with_twin()
    assert await register(bench) == await register(bench) == GRANT
    assert bench.published == [ConsentChanged(GRANT, effective_at=NOON)]


async def test_another_credential_under_the_same_id_is_a_conflict(bench: Any) -> None:
    await bench.with_twin()
    await register(bench)
    other = a_grant_credential(grantee=STRANGER.did)
    assert await refusal(register(bench, other)) == "grant.id_conflict"


async def test_only_the_owner_of_the_twin_grants_and_an_unknown_twin_looks_like_anothers(bench: Any) -> None:
    unknown = await refusal(register(bench))
    await bench.with_twin(owner=STRANGER.did)
    assert (unknown, await refusal(register(bench))) == ("grant.not_owner", "grant.not_owner")
    assert await refusal(register(bench, caller=STRANGER.did)) == "platform.forbidden"
    assert bench.published == []


async def test_a_window_that_is_over_is_refused(bench: Any) -> None:
    await bench.with_twin()
    bench.clock.advance(31 * 86_400)
    assert await refusal(register(bench)) == "grant.window_invalid"


async def test_a_revoked_grant_is_published_with_its_next_revision(bench: Any) -> None:
    await bench.with_twin()
    await register(bench)
    ended = await revoke(bench, verify_revocation(a_revocation(CREDENTIAL)))
    assert (ended.state, ended.revision) == (GrantState.REVOKED, 2)
    assert bench.published[-1] == ConsentChanged(ended, effective_at=NOON)
    assert await revoke(bench, verify_revocation(a_revocation(CREDENTIAL))) == ended
    assert await register(bench) == ended, "a registration that is repeated does not bring it back"
    assert len(bench.published) == 2


async def test_a_stranger_cannot_tell_a_grant_from_no_grant(bench: Any) -> None:
    by_stranger = verify_revocation(a_revocation(CREDENTIAL, signer=STRANGER))
    seen = []
    for known in (False, True):
        if known:
            await bench.with_twin()
            await register(bench)
        for awaited in (
            revoke(bench, by_stranger, STRANGER.did),
            revoke(bench, verify_revocation(a_revocation(CREDENTIAL)), STRANGER.did),
            bench.do(lambda work: read_grant(GRANT.id, STRANGER.did, work.grants)),
        ):
            with pytest.raises(Problem) as raised:
                await awaited
            seen.append((raised.value.row.code, raised.value.values))
    assert set(map(str, seen)) == {str(("platform.not_found", {"grant": GRANT.id}))}


async def test_a_statement_for_another_credential_ends_nothing(bench: Any) -> None:
    await bench.with_twin()
    await register(bench)
    other = a_grant_credential(grantee=STRANGER.did)
    assert await refusal(revoke(bench, verify_revocation(a_revocation(other)))) == "grant.other_credential"


async def test_owner_and_grantee_read_a_grant_with_its_credential(bench: Any) -> None:
    await bench.with_twin()
    await register(bench)
    for party in (OWNER.did, INSTITUTE.did):
        found = await bench.do(lambda work, party=party: read_grant(GRANT.id, party, work.grants))
        assert (found.grant, found.credential) == (GRANT, CREDENTIAL)


async def test_a_page_holds_what_the_caller_gave_or_got_in_order(bench: Any) -> None:
    await bench.with_twin()
    for number in (3, 1, 2):
        await register(bench, a_grant_credential(number=number))

    async def page(party: Did, **changes: Any) -> list[str]:
        query = GrantQuery(**{"party": party, "twin": None, "after": None, "limit": 10, **changes})
        return [grant.id for grant in await bench.do(lambda work: work.grants.page(query))]

    everything = [a_grant_id(1), a_grant_id(2), a_grant_id(3)]
    assert await page(OWNER.did) == await page(INSTITUTE.did, twin=TwinId(TWIN.did)) == everything
    assert await page(OWNER.did, after=a_grant_id(1)) == everything[1:]
    assert await page(OWNER.did, limit=1) == everything[:2], "one more than asked for says that there are more"
    assert await page(STRANGER.did, twin=TwinId(TWIN.did)) == await page(OWNER.did, twin=TwinId(OWNER.did)) == []


async def test_a_grant_whose_window_is_over_ends(bench: Any) -> None:
    await bench.with_twin()
    begins = a_window()[0]
    await register(bench, a_grant_credential(terms=a_terms(window=(begins, NOON + timedelta(hours=1)))))
    await register(bench, a_grant_credential(number=2))
    assert await bench.do(lambda work: expire_grants(work, bench.clock)) == 0
    bench.clock.advance(3600)
    assert await bench.do(lambda work: expire_grants(work, bench.clock)) == 1
    assert await bench.do(lambda work: expire_grants(work, bench.clock)) == 0
    ended = bench.published[-1]
    assert (ended.grant.id, ended.grant.state, ended.grant.revision) == (a_grant_id(), GrantState.EXPIRED, 2)
    assert ended.effective_at == NOON + timedelta(hours=1)
