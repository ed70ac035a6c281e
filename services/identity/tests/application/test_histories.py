"""Random histories: whatever owners do in whatever order, what was published is what is stored, and an end is final."""

from random import Random
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import ENDED, Grant, GrantId, TwinId, TwinRegistration, parse_grant, verify_erasure, verify_revocation
from didymos_identity.application.erase_twin import erase_twin
from didymos_identity.application.expire_grants import expire_grants
from didymos_identity.application.register_grant import register_grant
from didymos_identity.application.register_twin import register_twin
from didymos_identity.application.revoke_grant import revoke_grant
from didymos_identity.domain.events import ConsentChanged, TwinKeyDestroyed
from didymos_identity.domain.twin import TwinState
from didymos_testing.did import OWNER, STRANGER, TWIN, a_grant_id
from didymos_testing.identity import a_grant_credential, a_revocation, an_erasure

STEPS, GRANTS = 40, 5
CREDENTIALS = [a_grant_credential(number=number) for number in range(GRANTS)]
FOREIGN = a_grant_credential(owner=STRANGER, number=GRANTS)


class History:
    """Steps that an owner, a stranger and time may take, refused or not."""

    def __init__(self, bench: Any, random: Random) -> None:
        self._bench, self._random = bench, random
        self.refused = 0

    async def step(self) -> None:
        steps = [self.register, self.revoke, self.foreign, self.twin, self.time] * 6 + [self.erase]
        try:
            await self._random.choice(steps)()
        except Problem:
            self.refused += 1

    async def twin(self) -> None:
        said = TwinRegistration(TwinId(TWIN.did), self._random.choice([OWNER.did, STRANGER.did]))
        caller = said.owner
        await self._bench.do(lambda work: register_twin(said, caller, work, self._bench.clock))

    async def register(self) -> None:
        credential = self._random.choice(CREDENTIALS)
        grant = parse_grant(credential)
        await self._bench.do(lambda work: register_grant(grant, credential, OWNER.did, work, self._bench.clock))

    async def foreign(self) -> None:
        grant = parse_grant(FOREIGN)
        await self._bench.do(lambda work: register_grant(grant, FOREIGN, STRANGER.did, work, self._bench.clock))

    async def revoke(self) -> None:
        signer = self._random.choice([OWNER, OWNER, STRANGER])
        said = verify_revocation(a_revocation(self._random.choice(CREDENTIALS), signer=signer))
        await self._bench.do(lambda work: revoke_grant(said, signer.did, work, self._bench.clock))

    async def time(self) -> None:
        self._bench.clock.advance(self._random.randrange(3 * 86_400))
        await self._bench.do(lambda work: expire_grants(work, self._bench.clock))

    async def erase(self) -> None:
        said = verify_erasure(an_erasure())
        await erase_twin(said, OWNER.did, self._bench, self._bench.vault, self._bench.clock)


@pytest.mark.parametrize("seed", range(12))
async def test_what_was_published_is_what_is_stored_and_an_end_is_final(bench: Any, seed: int) -> None:
    history = History(bench, Random(seed))
    for _ in range(STEPS):
        await history.step()
    told: dict[GrantId, Grant] = {}
    for event in bench.published:
        if isinstance(event, ConsentChanged):
            before = told.get(event.grant.id)
            assert event.grant.revision == (1 if before is None else before.revision + 1)
            assert before is None or before.state not in ENDED, "an end is final"
            told[event.grant.id] = event.grant
    for name in (a_grant_id(number) for number in range(GRANTS + 1)):
        stored = await bench.do(lambda work, name=name: work.grants.find(name))
        assert told.get(name) == (None if stored is None else stored.grant)
    known = await bench.do(lambda work: work.twins.find(TwinId(TWIN.did)))
    erased = [event for event in bench.published if isinstance(event, TwinKeyDestroyed)]
    assert len(erased) == sum(twin.state is TwinState.ERASED for twin in known.values())
    if erased:
        assert all(grant.state in ENDED for grant in told.values() if grant.owner == OWNER.did)
    owners = {grant.owner for grant in told.values()}
    assert owners <= {twin.owner for twin in known.values()}, "only the owner of the twin ever granted"
    assert history.refused > 0
