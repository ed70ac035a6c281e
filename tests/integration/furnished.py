"""All services in one process; a twin, and grants over it: one that holds, one that is over, one that has not begun."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from didymos_cli.up import program
from didymos_kit.lifecycle import Listen, Program, running
from didymos_testing.did import OWNER, STRANGER, TWIN, a_grant_id, a_read_terms, a_signer
from didymos_testing.house import World, a_house
from didymos_testing.identity import (
    DEVICE,
    JSON,
    a_grant_credential,
    a_registration,
    a_revocation,
    a_window,
    an_enrolment,
    said,
)

GIVEN = {"training-orchestration": {"simulation": {"engine": "inline"}}}
OTHER_TWIN, EARLY, LATE = (a_signer(name) for name in ("another twin", "early", "late"))
ASKED = {
    "property": "glucose/level", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "step": "PT1H",
    "fn": "mean", "observed_at": "2026-01-01T00:00:00Z", "name": "glucose/level",
}  # fmt: skip
KNOWN = {
    **ASKED, "did": TWIN.did, "twin": TWIN.did, "twin_id": TWIN.did, "grant_id": a_grant_id(), "device": DEVICE.did,
}  # fmt: skip
UNKNOWN = {**ASKED, "did": STRANGER.did, "twin": STRANGER.did, "twin_id": STRANGER.did, "grant_id": a_grant_id(9)}


@asynccontextmanager
async def a_furnished_world(folder: Path) -> AsyncIterator[tuple[World, Program]]:
    """The running services; stopped when this is left."""
    async with a_house(folder) as house, program(house, GIVEN) as made, AsyncExitStack() as stack:
        rest, rpc = (int(address.rpartition(":")[2]) for address in (house.origin, house.where.rpc))
        process = await stack.enter_async_context(running(made, Listen(rest=rest, grpc=rpc, admin=0)))
        world = World(house, process, None, stack)
        await furnish(world)
        yield world, made


async def furnish(world: World) -> None:
    """TWIN, which INSTITUTE may read; EARLY from tomorrow, LATE no more. OTHER_TWIN, which nobody may."""
    now = world.house.clock.now()
    window = a_window(now)
    late = a_grant_credential(now, 2, grantee=LATE.did, terms=a_read_terms(window=window))
    early_terms = a_read_terms(window=(window[0] + timedelta(days=2), window[1]))
    async with world.rest(OWNER, "identity") as owner, world.rest(OWNER, "twin-state") as states:
        for path, body in (
            ("/v1/twins", a_registration()),
            ("/v1/twins", a_registration(twin=OTHER_TWIN)),
            ("/v1/devices", an_enrolment(now)),
            ("/v1/grants", a_grant_credential(now, terms=a_read_terms(window=window))),
            ("/v1/grants", late),
            ("/v1/grants", a_grant_credential(now, 3, grantee=EARLY.did, terms=early_terms)),
            (f"/v1/grants/{a_grant_id(2)}/revoke", said(a_revocation(late, now))),
        ):
            sent: dict[str, Any] = {"content": body, "headers": JSON} if isinstance(body, bytes) else {"json": body}
            answer = await owner.post(path, **sent)
            assert answer.status_code == 200, answer.text
            await world.house.wait(answer.headers["consistency-token"])
        for twin in (TWIN, OTHER_TWIN):
            answer = await states.post("/v1/twins", json={"twin": twin.did, "profile": "glucose@1"})
            assert answer.status_code < 300, answer.text
            seen = {"consistency-token": answer.headers["consistency-token"]}  # waits until the write is applied
            assert (await states.get(f"/v1/twins/{twin.did}", headers=seen)).status_code == 200
