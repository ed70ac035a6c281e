"""What devices are told: by right of their enrolment, at least once, until it is done or over."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from didymos_did import DeviceEnrolment, TwinId
from didymos_testing.did import STRANGER
from didymos_testing.ingestion import an_enrolment_credential
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world
from didymos_twin_state.application.read_orders import orders_of
from didymos_twin_state.domain.twin import Cell, Lifecycle, TwinState, Wish

MERGE = "application/merge-patch+json"
SECOND_US = 1_000_000


def path(world: TwinWorld) -> str:
    return f"/v1/devices/{world.device.did}/desired"


def an_enrolment(world: TwinWorld, **changes: Any) -> DeviceEnrolment:
    return an_enrolment_credential(world.device.did, world.twin, world.owner.did, world.house.clock.now_us(), **changes)


async def enrolled(world: TwinWorld, **changes: Any) -> str:
    """Created, with its device enrolled; the token of both."""
    created = await world.create()
    return f"{created},{await world.world.identity.enrol(an_enrolment(world, **changes))}"


async def wished(world: TwinWorld, **wishes: Any) -> str:
    body = {name.replace("__", "/"): wish for name, wish in wishes.items()}
    async with world.rest(world.owner) as owner:
        said = await owner.patch(
            f"/v1/twins/{world.twin}/desired", content=json.dumps(body),
            headers={"content-type": MERGE, "if-match": "*"},
        )  # fmt: skip
    assert said.status_code == 200, said.text
    return str(said.json()["token"])


async def asked(client: httpx.AsyncClient, world: TwinWorld, after: str = "", wait: int = 10, token: str = "") -> Any:
    headers = {"consistency-token": token} if token else {}
    return await client.get(path(world), params={"after": after, "wait": wait}, headers=headers)


async def test_a_device_is_told_what_is_desired_of_its_paths_and_nothing_else(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.device) as device:
        token = await enrolled(world)
        nothing = (await asked(device, world, token=token)).json()
        assert nothing["twins"] == {}
        wish = {"value": 95.0, "unit": "mg/dL"}
        await wished(world, **{"glucose__level": wish})
        told = (await asked(device, world, nothing["after"])).json()
        found = told["twins"][world.twin]
        assert set(found["desired"]) == {GLUCOSE}
        assert {name: found["desired"][GLUCOSE][name] for name in wish} == wish
        assert "actor" not in found["desired"][GLUCOSE]
        again = (await asked(device, world, nothing["after"])).json()
        assert again == told
        assert (await asked(device, world, told["after"], wait=0)).status_code == 204


async def test_a_wait_ends_with_the_wish(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.device) as device:
        token = await enrolled(world)
        nothing = (await asked(device, world, token=token)).json()
        waiting = asyncio.create_task(asked(device, world, nothing["after"], wait=60))
        await wished(world, **{"glucose__level": {"value": 95.0, "unit": "mg/dL"}})
        async with asyncio.timeout(20):
            told = (await waiting).json()
        assert told["twins"][world.twin]["desired"][GLUCOSE]["value"] == 95.0
        waiting = asyncio.create_task(asked(device, world, told["after"], wait=60))
        await wished(world, **{"glucose__level": None})
        async with asyncio.timeout(20):
            assert (await waiting).json()["twins"] == {}


async def test_a_wish_outside_the_enrolled_paths_is_not_told(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.device) as device:
        token = await enrolled(world, paths=("features/insulin/**",))
        token = f"{token},{await wished(world, glucose__level={'value': 95.0})}"
        assert (await asked(device, world, token=token)).json()["twins"] == {}


async def test_who_is_not_enrolled_or_asks_for_another_is_told_nothing(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.device) as device, world.rest(STRANGER) as stranger:
        await world.create()
        unknown = await asked(device, world)
        token = await enrolled(TwinWorld(world.world, "other"))
        lost = f"{token},{await world.world.identity.enrol(an_enrolment(world))}"
        others = [await asked(stranger, world, token=lost), await stranger.get(f"/v1/devices/{STRANGER.did}/desired")]
        gone = await world.world.identity.lose(world.device.did, world.twin, datetime.now(UTC))
        others.append(await asked(device, world, token=gone))
    assert problem_codes([unknown, *others]) == [(404, "platform.not_found")] * 4


async def test_a_stream_tells_the_same_and_ends_with_the_enrolment(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.device) as device:
        token = await enrolled(world)
        await wished(world, glucose__level={"value": 95.0})
        headers = {"accept": "text/event-stream", "consistency-token": token}
        async with device.stream("GET", path(world), headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            said = await anext_data(lines)
            while not said["twins"]:
                said = await anext_data(lines)
            assert said["twins"][world.twin]["desired"][GLUCOSE]["value"] == 95.0
            await world.world.identity.lose(world.device.did, world.twin, datetime.now(UTC))
            assert await anext_data(lines) == {"reason": "enrolment.ended"}


async def anext_data(lines: Any) -> dict[str, Any]:
    async with asyncio.timeout(20):
        async for line in lines:
            if line.startswith("data: "):
                said: dict[str, Any] = json.loads(line[6:])
                return said
    raise AssertionError("the stream ended without a word")


NOON_US, LATER_US = 1_800_000_000_000_000, 1_800_000_060_000_000


def a_state(**changes: Any) -> TwinState:
    wishes = {
        "actions/restart": Wish(1.0, "", "did:o", "", NOON_US, NOON_US + 90 * SECOND_US),
        "feed": Wish(25.0, "mm/s", "did:o", "", NOON_US, 0),
    }
    return TwinState(lifecycle=Lifecycle.ACTIVE, desired={**wishes, **changes.pop("desired", {})}, **changes)


def a_report(at_us: int) -> dict[str, Cell]:
    return {"actions/restart": Cell(1.0, at_us, "did:d", 1, 1, 0, 90, 0, "")}


def told(state: TwinState, at_us: int = LATER_US) -> tuple[set[str], set[str]]:
    """Names of desired values and of actions."""
    twin = TwinId("did:key:zTwin")
    found = orders_of({twin: state}, {twin: ("features/**",)}, at_us)
    return set(found.desired.get(twin, ())), set(found.actions.get(twin, ()))


def test_an_action_is_told_until_the_device_reports_on_it_or_it_expires() -> None:
    assert told(a_state()) == ({"feed"}, {"restart"})
    assert told(a_state(cells=a_report(NOON_US - 1))) == ({"feed"}, {"restart"})
    assert told(a_state(cells=a_report(NOON_US + 1))) == ({"feed"}, set())
    assert told(a_state(), NOON_US + 90 * SECOND_US) == ({"feed"}, set())


def test_a_desired_value_is_told_until_it_expires() -> None:
    over = {"feed": Wish(25.0, "mm/s", "did:o", "", NOON_US, LATER_US)}
    assert told(a_state(desired=over), LATER_US - 1) == ({"feed"}, {"restart"})
    assert told(a_state(desired=over)) == (set(), {"restart"})


def test_a_twin_that_is_not_active_wants_nothing() -> None:
    for lifecycle in (Lifecycle.DRAFT, Lifecycle.SUSPENDED, Lifecycle.RETIRED, Lifecycle.ERASED):
        state = TwinState(lifecycle=lifecycle, desired=a_state().desired)
        assert told(state) == (set(), set())
