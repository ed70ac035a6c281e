"""An embedded house: tails, tokens between services, and what a restart finds."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from didymos_contracts.errors import Problem
from didymos_did import AccessRequest, Action, Budget, Did, Reason, TwinId, decide, make_terms, parse_grant, sign_grant
from didymos_did.jcs import jcs
from didymos_kit.house import House, parse_token
from didymos_kit.http.principal import Caller
from didymos_kit.service import Service
from didymos_testing.did import RESEARCH, a_signer
from didymos_testing.house import a_house, served
from fastapi import APIRouter

OWNER, TWIN, READER = a_signer("owner"), a_signer("twin"), a_signer("reader")
THE_TWIN = TwinId(TWIN.did)


def whoami() -> Service:
    router = APIRouter()

    @router.get("/v1/me")
    async def me(caller: Caller) -> dict[str, str]:
        return {"did": caller.did, "purpose": caller.purpose or ""}

    return Service("steward", (router,))


def a_grant(house: House) -> bytes:
    now = house.clock.now()
    window = (now - timedelta(minutes=1), now + timedelta(days=1))
    terms = make_terms([Action.READ], ["features/**"], [RESEARCH], window, budget=Budget(reads=10))
    grant_id = f"urn:uuid:{house.ids.uuid7()}"
    return jcs(sign_grant(grant_id, READER.did, THE_TWIN, terms, OWNER, now))  # type: ignore[arg-type]


def may_read(house: House, actor: Did = READER.did) -> Reason:
    request = AccessRequest(actor, Action.READ, THE_TWIN, ("features/glucose/level",), RESEARCH)
    return decide(request, house.facts(THE_TWIN), house.clock.now()).reason


async def test_a_caller_is_known_by_a_token_that_was_exchanged(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, served(house, whoami()) as world:
        async with world.rest(READER, "steward", RESEARCH) as client:
            for _ in range(2):
                answer = await client.get("/v1/me")
                assert answer.json() == {"did": READER.did, "purpose": RESEARCH}
        async with world.rest(None, "steward") as nobody:
            assert (await nobody.get("/v1/me")).status_code == 401


async def test_a_grant_opens_what_its_token_waited_for_and_its_end_closes_it(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, served(house, whoami()) as world:
        assert may_read(house) is Reason.TWIN_UNKNOWN
        await house.wait(await world.identity.register(THE_TWIN, OWNER.did))
        async with house.consent.changes(THE_TWIN) as changes:
            grant = parse_grant(a_grant(house))
            await house.wait(await world.identity.grant(grant))
            async with asyncio.timeout(5):
                await changes.wait()
                await house.consent.until_fresh()
            assert may_read(house) is Reason.GRANT
            await house.wait(await world.identity.revoke(grant))
            async with asyncio.timeout(5):
                await changes.wait()
        assert may_read(house) is Reason.GRANT_REVOKED


async def test_without_heartbeats_only_the_owner_is_let_in(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, served(house, whoami()) as world:
        await house.wait(await world.identity.register(THE_TWIN, OWNER.did))
        await house.wait(await world.identity.grant(parse_grant(a_grant(house))))
    async with a_house(tmp_path) as house:  # a restart, and identity does not come back
        assert house.identity.owner_of(THE_TWIN) == OWNER.did
        assert not house.consent.fresh or house.consent.staleness_seconds() < 5
        if not house.consent.fresh:
            assert may_read(house) is Reason.STALE_CONSENT
        assert may_read(house, OWNER.did) is Reason.OWNER


async def test_a_second_process_on_the_folder_is_refused(tmp_path: Path) -> None:
    async with a_house(tmp_path):
        with pytest.raises(Problem) as raised:
            async with a_house(tmp_path):
                pass
        assert raised.value.row.code == "platform.folder_locked"


@pytest.mark.parametrize(
    "token", ["", "3", "3:", ":3", "x:1", "i3:-1", "3:1;4:2", "i" * 5000, "3:99999999999999999999"]
)
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(Problem) as raised:
        parse_token(token)
    assert raised.value.row.code == "platform.malformed"


def test_a_token_names_places_by_topic() -> None:
    assert parse_token("3:91822,w3:771, i3:88,c3:91,3:9") == {
        "": ((3, 91822), (3, 9)), "w": ((3, 771),), "i": ((3, 88),), "c": ((3, 91),),
    }  # fmt: skip
