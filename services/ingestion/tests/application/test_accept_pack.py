"""SenML packs: what ingestion makes of rows that nobody signed."""

import json
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_readings import Assurance, parse_header, signed_message
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, TWIN, AnEnrolment, IntakeWorld

SENML = "application/senml+json"
HOUSE = a_signer("ingestion service")
OTHER = TwinId(a_signer("other twin").did)
LEVEL: dict[str, Any] = {"n": "glucose/level", "u": "kg/m3", "v": 1.0}


async def sent(world: IntakeWorld, pack: Any, number: int = 0) -> Taken:
    body = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    return await accept_pack(Pack(SENML, body, DEVICE.did, 1, number), HOUSE, world.ports, world.clock)


async def refused(world: IntakeWorld, pack: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        await sent(world, pack)
    return raised.value


async def test_rows_become_a_batch_that_the_house_signed_with_assurance_token() -> None:
    world = IntakeWorld()
    found = await sent(world, [LEVEL, {**LEVEL, "t": -300}], number=9)
    assert found.accepted == 2
    (event,) = world.writer.accepted()
    parcel, (opened,) = event.parcels[0], world.writer.opened()
    assert (parcel.device, parcel.number, int(parcel.assurance)) == (DEVICE.did, 9, Assurance.TOKEN)
    assert parcel.digest == found.digest
    assert opened.kid == HOUSE.kid
    assert HOUSE.public.verify(signed_message(opened.header), opened.signature)
    assert parse_header(opened.header).device == DEVICE.did
    assert opened.columns[0].value.tolist() == [100, 100]


async def test_a_repeat_under_its_number_has_the_same_digest_and_id_another_number_another_id() -> None:
    world = IntakeWorld()
    digests = {(await sent(world, [LEVEL], number)).digest for number in (1, 1, 2)}
    assert len(digests) == 1
    first, again, other = (record.headers["ce_id"] for record in world.writer.records)
    assert first == again != other


async def test_refusals_name_records_of_the_pack() -> None:
    world = IntakeWorld()
    pack = [{"n": "nobody/x", "v": 1}, LEVEL, {**LEVEL, "v": 1e6}, {**LEVEL, "u": "furlong"}, {**LEVEL, "vd": "eA"}]
    del pack[4]["v"]
    world.enrol(AnEnrolment(), AnEnrolment(twin=OTHER))
    pack = [{**each, "n": f"{TWIN}/{each['n']}"} if index else each for index, each in enumerate(pack)]
    found = await sent(world, pack)
    assert [(each.index, each.code) for each in found.refused] == [
        (0, "reading.subject_unknown"),
        (2, "reading.out_of_bounds"),
        (3, "reading.unit_unknown"),
        (4, "reading.kind_mismatch"),
    ]
    (kept,) = world.writer.quarantined()
    assert [each.code for each in kept.parcel.refused] == ["reading.out_of_bounds"]


@pytest.mark.parametrize(
    ("pack", "code"),
    [
        (b"no json", "batch.malformed"),
        ([], "batch.malformed"),
        ([{"bn": "a"}], "batch.malformed"),
        ([{"n": "x", "v": 1, "must_": 1}], "batch.malformed"),
        ([LEVEL] * 10_001, "batch.too_large"),
        ([{**LEVEL, "v": 1e6}], "reading.out_of_bounds"),
        ([{"n": "did:key:zNobody/x", "v": 1}], "reading.subject_unknown"),
        ([{"n": "heart/rate", "v": 1}], "reading.not_enrolled"),
    ],
)
async def test_a_pack_of_which_nothing_is_left_is_a_problem(pack: Any, code: str) -> None:
    assert (await refused(IntakeWorld(), pack)).row.code == code


async def test_a_device_nobody_enrolled_sends_no_packs() -> None:
    world = IntakeWorld()
    world.identity.enrolled.clear()
    assert (await refused(world, [LEVEL])).row.code == "batch.device_unknown"


async def test_several_profiles_leave_open_which_one_a_pack_means() -> None:
    world = IntakeWorld().enrol(AnEnrolment(), AnEnrolment(twin=OTHER, profile="generic@1"))
    assert (await refused(world, [{**LEVEL, "n": f"{TWIN}/glucose/level"}])).row.code == "profile.unknown"
