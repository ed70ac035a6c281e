"""What must be refused, tried for real: a read under a revoked grant, and a request that was seen before."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from didymos_contracts.errors import Problem

from didymos_cli.client import problem_in
from didymos_cli.demo.onboarding import HEALTH, Grants
from didymos_cli.demo.stage import Stage
from didymos_cli.owner import revoke_grant

WAIT_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02


async def read_after_revocation(stage: Stage, grants: Mapping[str, Grants]) -> str:
    """A clinician reads, the owner revokes, the clinician is denied as for a twin that is not there."""
    person = stage.cast.people[-1]
    owner, clinician = stage.client(person.owner), stage.client(stage.cast.clinician)
    clinician.seen.join(owner.seen, "ic")
    path = f"/twin-state/v1/twins/{person.twin}"
    await clinician.get(path, purpose=HEALTH)
    await revoke_grant(owner, grants[person.twin].care)
    begun = time.monotonic()
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                await clinician.get(path, purpose=HEALTH)
            except Problem as problem:
                stage.say(f"a revoked grant denied after {time.monotonic() - begun:.2f} s")
                return problem.row.code
            await asyncio.sleep(POLL_SECONDS)


async def replayed_request(stage: Stage) -> str:
    """The very same request again: token and proof are good, and used up."""
    person = stage.cast.people[0]
    client = stage.client(person.owner)
    path = f"/twin-state/v1/twins/{person.twin}"
    await client.get(path)  # so that the nonce is fresh
    token = await client.token("twin-state")
    headers = {"authorization": f"DPoP {token}", "dpop": client.proof("twin-state", "GET", path, token)}
    first, second = [await stage.http.get(stage.card.origin + path, headers=headers) for _ in range(2)]
    if first.status_code != 200:
        raise problem_in(first)
    if second.status_code == 200:
        raise RuntimeError("a replayed request was answered")
    return problem_in(second).row.code
