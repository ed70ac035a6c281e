"""The whole service in an embedded house: a twin changes, the steward looks, proposes, notes, and can be undone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos.steward.v1 import steward_service_pb2 as acts_pb
from didymos.steward.v1.steward_service_pb2_grpc import StewardsStub
from didymos.twin.v1 import twin_events_pb2 as events
from didymos.twin.v1 import twin_service_pb2 as pb
from didymos.twin.v1 import twin_types_pb2 as types
from didymos.twin.v1.twin_service_pb2_grpc import (
    ForecastsServicer,
    TwinStateServicer,
    add_ForecastsServicer_to_server,
    add_TwinStateServicer_to_server,
)
from didymos_contracts.topics import TWIN_CHANGED, TWIN_COMMAND
from didymos_did import Grant, TwinId, bounds_terms
from didymos_kit.eventlog import Record, envelope
from didymos_kit.eventlog.port import Stored
from didymos_kit.house import House
from didymos_kit.rpc import caller
from didymos_kit.service import Service
from didymos_steward.bootstrap import bootstrap
from didymos_steward.settings import StewardSettings
from didymos_testing.did import OWNER, PERSONAL, STRANGER, TWIN, a_grant, a_grant_id
from didymos_testing.house import World, a_house, served
from google.protobuf.message import Message

ALARM = "glucose/alarm"
ALARM_PATH, LEVEL = "features/glucose/alarm", "features/glucose/level"


@dataclass
class TwinState(ForecastsServicer, TwinStateServicer):
    """What the steward sees, as a test says; and who asked."""

    mean: float = 100.0
    desired: float | None = None
    asked_by: set[str] = field(default_factory=set)
    looks: int = 0

    async def Forecast(self, request: pb.ForecastRequest, context: object) -> pb.ForecastResponse:  # noqa: N802
        self.asked_by.add(caller().did)
        mean = self.mean
        return pb.ForecastResponse(mean=mean, low=mean - 9, high=mean + 9, unit="mg/dL", model_id="m1")

    async def GetTwin(self, request: pb.GetTwinRequest, context: object) -> pb.GetTwinResponse:  # noqa: N802
        wishes = [] if self.desired is None else [types.Desired(property=ALARM, value=types.Value(number=self.desired))]
        self.looks += 1
        return pb.GetTwinResponse(twin=request.twin, desired=wishes)

    @property
    def service(self) -> Service:
        def register(server: Any) -> None:
            add_ForecastsServicer_to_server(self, server)
            add_TwinStateServicer_to_server(self, server)

        return Service("twin-state", servicers=(register,))


@dataclass
class Scene:
    world: World
    twins: TwinState
    proposed: list[events.CommandProposed]
    offset: int = 0

    @property
    def owner(self) -> httpx.AsyncClient:
        return self.world.rest(OWNER, "steward")

    async def change(self, *properties: str) -> None:
        """Tell that the twin changed."""
        self.offset += 1
        await self.tell(
            events.TwinChanged(twin=TWIN.did, source_topic="t", source_offset=self.offset, properties=properties)
        )

    async def tell(self, event: Message) -> None:
        house = self.world.house
        said = envelope.Envelope(
            f"e{house.ids.uuid7()}", "didymos://t/twin-state", event.DESCRIPTOR.full_name, house.clock.now()
        )
        record = Record(TWIN_CHANGED.name, TWIN.did.encode(), event.SerializeToString(), envelope.build(said), 1)
        async with house.event_log.writer("twin-state.test") as writer:
            await writer.append([record])

    async def acts(self) -> list[dict[str, Any]]:
        async with self.owner as client:
            found: list[dict[str, Any]] = (await client.get(f"/v1/twins/{TWIN.did}/acts")).json()["acts"]
            return found

    async def until_act_is(self, state: str) -> None:
        async with asyncio.timeout(10):
            while (await self.acts())[0]["state"] != state:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)


def some_bounds(house: House, **changes: Any) -> Grant:
    now = datetime.now(UTC)
    terms = bounds_terms(
        ["features/glucose/alarm"], (60, 100), 2, 5, PERSONAL, (now - timedelta(1), now + timedelta(1))
    )
    return a_grant(**{"grantee": house.keys.did("steward"), "terms": terms, **changes})


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    proposed: list[events.CommandProposed] = []

    def into(record: Stored) -> None:
        proposed.append(events.CommandProposed.FromString(record.value or b""))

    twins = TwinState()  # type: ignore[abstract] # these two methods are all that a steward calls
    async with (
        a_house(folder) as house,
        bootstrap(StewardSettings(), house) as service,
        house.event_log.tail(TWIN_COMMAND.name, into),
        served(house, service, twins.service) as world,
    ):
        scene = Scene(world, twins, proposed)
        yield scene


async def appointed(scene: Scene) -> None:
    box, house = scene.world.identity, scene.world.house
    tokens = [await box.register(TwinId(TWIN.did), OWNER.did), await box.grant(some_bounds(house))]
    body = {"twin": TWIN.did, "grant": a_grant_id(), "band": {"low": 70, "high": 180}}
    async with scene.owner as client:
        answer = await client.post("/v1/stewards", json=body, headers={"consistency-token": ",".join(tokens)})
    assert answer.status_code == 201, answer.text


async def until(done: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - what is waited for is in another service
            await asyncio.sleep(0.01)


async def test_a_steward_acts_once_inside_its_bounds_and_notes_it(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        scene.twins.mean = 52.0
        await scene.change(LEVEL)
        await until(lambda: scene.proposed)
        (command,) = scene.proposed
        steward = scene.world.house.keys.did("steward")
        assert (command.actor, command.property, command.value.number) == (steward, ALARM, 60.0)
        assert scene.twins.asked_by == {steward}
        scene.twins.desired = 60.0
        await scene.change(ALARM_PATH)
        await scene.until_act_is("applied")
        await scene.change(LEVEL)
        (act,) = await scene.acts()
        assert act["reason"] == "forecast 52 mg/dL is below 70"
        async with scene.world.peer(OWNER, "steward") as peer:
            listed = await StewardsStub(peer.channel).ListActs(acts_pb.ListActsRequest(twin=TWIN.did))
        assert [one.command_id for one in listed.acts] == [command.command_id]


async def test_a_refused_steward_keeps_quiet(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        scene.twins.mean = 52.0
        await scene.change(LEVEL)
        await until(lambda: scene.proposed)
        refusal = events.CommandRefused(
            twin=TWIN.did, command_id=scene.proposed[0].command_id, code="platform.forbidden"
        )
        await scene.tell(refusal)
        await scene.change(LEVEL)
        await scene.until_act_is("refused")
        for look in range(scene.twins.looks + 1, scene.twins.looks + 3):  # the second look: the first was thought over
            await scene.change(LEVEL)
            await until(lambda: scene.twins.looks >= look)  # noqa: B023 - waited for at once
        assert len(await scene.acts()) == 1


async def test_the_same_change_told_twice_makes_one_act(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        scene.twins.mean = 52.0
        for look in (1, 2, 3):
            scene.offset = 0
            await scene.change(LEVEL)
            await until(lambda: scene.twins.looks >= look)  # noqa: B023 - waited for at once
        assert len(await scene.acts()) == 1
        assert len(scene.proposed) <= 1


async def test_a_refused_act_had_no_effect_to_take_back(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        scene.twins.mean = 52.0
        await scene.change(LEVEL)
        await until(lambda: scene.proposed)
        act = scene.proposed[0].command_id
        await scene.tell(events.CommandRefused(twin=TWIN.did, command_id=act, code="platform.forbidden"))
        await scene.until_act_is("refused")
        async with scene.owner as client:
            answer = await client.post(f"/v1/acts/{act.hex()}/undo")
        assert (answer.status_code, answer.json()["code"]) == (409, "steward.not_undoable")


async def test_an_owner_takes_an_act_back_and_a_repeat_is_safe(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        scene.twins.mean, scene.twins.desired = 52.0, 80.0
        await scene.change(LEVEL)
        await until(lambda: scene.proposed)
        act = scene.proposed[0].command_id.hex()
        async with scene.owner as client:
            answers = [await client.post(f"/v1/acts/{act}/undo") for _ in range(2)]
        assert [answer.json()["state"] for answer in answers] == ["undone", "undone"]
        await until(lambda: len(scene.proposed) == 2)
        undo = scene.proposed[1]
        assert (undo.undoes, undo.value.number, len(scene.proposed)) == (bytes.fromhex(act), 80.0, 2)


async def test_a_stranger_cannot_tell_a_twin_from_no_twin(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        body = {"twin": TWIN.did, "grant": a_grant_id(), "band": {"low": 70, "high": 180}}
        async with scene.world.rest(STRANGER, "steward") as client:
            answers = [
                await client.post("/v1/stewards", json=body),
                await client.get(f"/v1/stewards/{TWIN.did}"),
                await client.get(f"/v1/twins/{TWIN.did}/acts"),
                await client.delete(f"/v1/stewards/{TWIN.did}"),
                await client.post(f"/v1/acts/{sha256(b'x').hexdigest()[:32]}/undo"),
            ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "platform.not_found")] * 5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"band": {"low": 180, "high": 70}}, "steward.band_empty"),
        ({"grant": "urn:uuid:unknown"}, "steward.bounds_unusable"),
        ({"command": "insulin/bolus"}, "steward.bounds_unusable"),
        ({"purpose": "everything"}, "grant.purpose_unknown"),
        ({"more": 1}, "platform.unknown_field"),
    ],
)
async def test_what_bounds_nothing_is_refused(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        body = {"twin": TWIN.did, "grant": a_grant_id(), "band": {"low": 70, "high": 180}, **changes}
        async with scene.owner as client:
            answer = await client.post("/v1/stewards", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_dismissed_steward_does_nothing(tmp_path: Path) -> None:
    async with a_scene(tmp_path) as scene:
        await appointed(scene)
        async with scene.owner as client:
            assert (await client.get(f"/v1/stewards/{TWIN.did}")).json()["command"] == ALARM
            assert (await client.delete(f"/v1/stewards/{TWIN.did}")).status_code == 204
            assert (await client.get(f"/v1/stewards/{TWIN.did}")).status_code == 404
        scene.twins.mean = 52.0
        await scene.change(LEVEL)
        assert await scene.acts() == []
        assert scene.twins.asked_by == set()
