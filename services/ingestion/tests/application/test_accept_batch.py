"""Each row of the table of refusals, and what is kept of whom. data-path.md 7."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_readings import (
    Column,
    Envelope,
    Op,
    ReadingError,
    encode_batch,
    encode_block,
    parse_batch,
    sign_batch,
)
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, OTHER_DEVICE, TWIN, AnEnrolment, IntakeWorld, a_signed_batch
from didymos_testing.readings import GLUCOSE, NOON_US, a_column

OTHER = TwinId(a_signer("other twin").did)


async def taken(world: IntakeWorld, envelope: Envelope) -> Taken:
    return await accept_batch(parse_batch(encode_batch(envelope)), world.ports, world.clock)


async def refused(world: IntakeWorld, envelope: Envelope) -> Problem:
    with pytest.raises(Problem) as raised:
        await taken(world, envelope)
    return raised.value


def listed(problem: Problem) -> list[tuple[int, int, str]]:
    return [(each["index"], each["count"], each["code"]) for each in problem.values["refused"]]


def glucose(*values: float, **changes: Any) -> Column:
    return replace(a_column(list(values), twin=TWIN), **changes)


async def test_accepted_readings_are_in_the_log_sealed_before_the_answer() -> None:
    world = IntakeWorld()
    found = await taken(world, a_signed_batch(glucose(100, 101), glucose(5.5, unit="mmol/L")))
    assert (found.accepted, found.refused) == (3, [])
    (event,) = world.writer.accepted()
    assert b"mg/dL" not in event.SerializeToString()
    (opened,) = world.writer.opened()
    assert [column.value.tolist() for column in opened.columns] == [[100, 101], [pytest.approx(99.0858)]]
    assert found.token == "".join(f"{part}:0" for topic, part in world.writer.ends if "readings" in topic)


async def test_the_same_bytes_give_the_same_digest_and_event_id() -> None:
    world, envelope = IntakeWorld(), a_signed_batch(glucose(100, 1e6))
    first = await taken(world, envelope)
    world.clock.advance(3600)
    again = await taken(world, envelope)
    assert (first.digest, first.refused) == (again.digest, again.refused)
    ids = [record.headers["ce_id"] for record in world.writer.records]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


async def test_parcels_of_a_partition_share_a_record_and_lie_where_their_twin_does() -> None:
    twins = [TwinId(a_signer(f"twin {n}").did) for n in range(40)]
    world = IntakeWorld().enrol(*[AnEnrolment(twin=twin) for twin in twins])
    found = await taken(world, a_signed_batch(*[a_column([100.0], twin=twin) for twin in twins]))
    parts = [part for topic, part in world.writer.ends if "readings" in topic]
    assert len(world.writer.accepted()) == len(parts) < 40
    assert sorted(parcel.twin for event in world.writer.accepted() for parcel in event.parcels) == sorted(twins)
    assert found.token.count(":") == len(parts)


@pytest.mark.parametrize(
    ("envelope", "code", "status"),
    [
        (a_signed_batch(audience=a_signer("elsewhere").did), "batch.audience_wrong", 401),
        (a_signed_batch()._replace(kid=a_signed_batch(device=OTHER_DEVICE).kid), "batch.key_unknown", 401),
        (a_signed_batch()._replace(kid="did:key:znonsense#znonsense"), "batch.key_unknown", 401),
        (a_signed_batch()._replace(signature=bytes(64)), "batch.signature_invalid", 401),
        (a_signed_batch()._replace(signature=b""), "batch.signature_invalid", 401),
        (a_signed_batch()._replace(blocks=(encode_block(glucose(1)),)), "batch.root_mismatch", 400),
        (sign_batch(a_signed_batch().header, (b"\xff",), DEVICE), "batch.malformed", 400),
        (a_signed_batch(device=OTHER_DEVICE), "batch.device_unknown", 403),
    ],
)
async def test_what_a_stranger_could_send_is_refused_whole_and_not_kept(
    envelope: Envelope, code: str, status: int
) -> None:
    world = IntakeWorld()
    problem = await refused(world, envelope)
    assert (problem.row.code, problem.row.http, problem.row.retry) == (code, status, "never")
    assert not world.writer.records


def test_bytes_that_are_no_batch_never_reach_the_use_case() -> None:
    for body, code in ((b"\xff\xff", "batch.malformed"), (bytes(1 << 21), "batch.too_large"), (b"", "batch.")):
        with pytest.raises(ReadingError) as raised:
            parse_batch(body)
        assert raised.value.code.startswith(code)


async def test_a_batch_of_too_many_readings_or_twins_is_too_large() -> None:
    block = encode_block(glucose(*[100.0] * 1000))
    many = sign_batch(a_signed_batch().header, [block] * 11, DEVICE)
    assert (await refused(IntakeWorld(), many)).row.code == "batch.too_large"
    twins = [encode_block(a_column([100.0], twin=f"did:key:z{n}")) for n in range(257)]
    assert (await refused(IntakeWorld(), sign_batch(many.header, twins, DEVICE))).row.code == "batch.too_large"


async def test_a_suspended_device_is_as_unknown() -> None:
    world = IntakeWorld()
    world.identity.out.add(DEVICE.did)
    assert (await refused(world, a_signed_batch())).row.code == "batch.device_unknown"


async def test_what_no_owner_allowed_is_listed_and_not_kept() -> None:
    world = IntakeWorld()
    found = await taken(world, a_signed_batch(a_column([100.0], twin=OTHER), glucose(100)))
    assert [(each.index, each.code) for each in found.refused] == [(0, "reading.not_enrolled")]
    assert not world.writer.quarantined()
    problem = await refused(world, a_signed_batch(a_column([100.0], twin=OTHER)))
    assert (problem.row.code, problem.row.http, listed(problem)) == (
        "reading.not_enrolled", 403, [(0, 1, "reading.not_enrolled")],
    )  # fmt: skip


async def test_a_lost_device_is_refused_and_what_it_sent_is_kept_for_the_owner() -> None:
    world = IntakeWorld().enrol(AnEnrolment(lost_since_us=NOON_US - 1))
    problem = await refused(world, a_signed_batch())
    assert (problem.row.code, problem.row.http) == ("batch.device_lost", 403)
    (kept,) = world.writer.quarantined()
    assert kept.parcel.refused[0].code == "batch.device_lost"
    assert not world.writer.accepted()


async def test_a_suspended_twin_takes_no_readings() -> None:
    world = IntakeWorld()
    world.lifecycles.closed.add(TWIN)
    problem = await refused(world, a_signed_batch())
    assert (problem.row.code, problem.row.http, problem.row.retry) == ("twin.suspended", 409, "refresh")
    assert not world.writer.records


@pytest.mark.parametrize("how", ["vault", "tail"])
async def test_nothing_is_stored_for_an_erased_twin(how: str) -> None:
    world = IntakeWorld()
    (world.keys.gone if how == "vault" else world.identity.gone).add(TWIN)
    problem = await refused(world, a_signed_batch(glucose(1e6, np.nan)))
    assert (problem.row.code, problem.row.http) == ("key.destroyed", 410)
    assert not world.writer.records


@pytest.mark.parametrize(
    ("column", "code"),
    [
        (a_column([1.0], twin=TWIN, prop="glucose/other"), "reading.property_unknown"),
        (replace(glucose(100), values=np.array([True])), "reading.kind_mismatch"),
        (glucose(np.nan), "reading.not_finite"),
        (glucose(np.inf), "reading.not_finite"),
        (glucose(100, unit="mg/DL"), "reading.unit_unknown"),
        (glucose(100, unit="mmol"), "reading.unit_incommensurable"),
        (glucose(1e6), "reading.out_of_bounds"),
        (a_column([100.0], twin=TWIN, last_us=NOON_US + 121_000_000), "reading.time_ahead"),
        (a_column([100.0], twin=TWIN, last_us=-1), "reading.time_invalid"),
    ],
)
async def test_a_reading_that_breaks_a_rule_is_listed_and_kept_sealed(column: Column, code: str) -> None:
    world = IntakeWorld()
    found = await taken(world, a_signed_batch(glucose(100), column))
    assert [(each.index, each.count, each.code) for each in found.refused] == [(1, 1, code)]
    (kept,) = world.writer.quarantined()
    assert [(each.index, each.code) for each in kept.parcel.refused] == [(1, code)]
    assert (kept.parcel.twin, kept.profile) == (TWIN, "glucose@1")
    alone = await refused(IntakeWorld(), a_signed_batch(column))
    assert (alone.row.code, alone.row.http) == (code, 422)


@pytest.mark.parametrize("profile", ["nobody-knows@1", "generic@1"])
async def test_a_profile_that_is_unknown_or_not_the_enrolled_one_refuses_all(profile: str) -> None:
    world = IntakeWorld()
    problem = await refused(world, a_signed_batch(glucose(100, 101), profile=profile))
    assert (problem.row.code, listed(problem)) == ("profile.unknown", [(0, 2, "profile.unknown")])
    assert len(world.writer.quarantined()) == 1


async def test_a_retraction_is_taken() -> None:
    found = await taken(IntakeWorld(), a_signed_batch(glucose(100, op=Op.RETRACTION)))
    assert found.accepted == 1


async def test_nothing_is_acknowledged_when_the_log_refuses() -> None:
    world = IntakeWorld()
    world.writer.full = True
    problem = await refused(world, a_signed_batch(glucose(100, 1e6)))
    assert (problem.row.code, problem.row.http, problem.row.retry) == ("platform.unavailable", 503, "later")
    world.writer.full = False
    assert (await taken(world, a_signed_batch(glucose(100, 1e6)))).accepted == 1
    assert len(world.writer.records) == 2


async def test_nothing_is_acknowledged_while_the_vault_is_away() -> None:
    world = IntakeWorld()
    world.keys.away = True
    assert (await refused(world, a_signed_batch())).row.code == "platform.unavailable"
    assert not world.writer.records


async def test_a_device_over_its_rate_is_told_when_to_come_again() -> None:
    world = IntakeWorld().enrol(AnEnrolment(max_rate=1))
    for number in range(1, 4):
        await taken(world, a_signed_batch(number=number))
    problem = await refused(world, a_signed_batch(number=4))
    assert (problem.row.code, problem.row.http) == ("quota.exceeded", 429)
    assert problem.values["retry_after_seconds"] == 2
    world.clock.advance(2)
    assert (await taken(world, a_signed_batch(number=4))).accepted == 3


async def test_a_stranger_cannot_use_up_the_quota_of_a_device() -> None:
    world = IntakeWorld().enrol(AnEnrolment(max_rate=1))
    for _ in range(20):
        await refused(world, a_signed_batch()._replace(signature=bytes(64)))
    assert (await taken(world, a_signed_batch())).accepted == 3


async def test_a_device_in_debt_is_shed_before_its_signature_is_checked() -> None:
    world = IntakeWorld().enrol(AnEnrolment(max_rate=1))
    await taken(world, a_signed_batch(glucose(*[100.0] * 100)))
    forged = a_signed_batch(number=2)._replace(signature=bytes(64))
    assert (await refused(world, forged)).row.code == "quota.exceeded"


async def test_unknown_fields_of_the_wire_pass_and_change_nothing() -> None:
    world = IntakeWorld()
    body = encode_batch(a_signed_batch()) + b"\xfa\x3f\x03abc"  # field 1023, three bytes
    found = await accept_batch(parse_batch(body), world.ports, world.clock)
    assert found.accepted == 3


async def test_what_one_twin_has_of_a_batch_fits_a_record_or_the_batch_is_split() -> None:
    texts = tuple("x" * 1000 for _ in range(980))
    world = IntakeWorld().enrol(AnEnrolment(paths=("features/**",)))
    column = replace(a_column(texts, twin=TWIN, prop=GLUCOSE), unit="")
    assert (await refused(world, a_signed_batch(column))).row.code == "batch.too_large"
    assert not world.writer.records
