"""Devices: in by the owner's credential, out by the owner's statement."""

from datetime import timedelta
from typing import Any

from didymos_did import DeviceRevocation, Did, SubjectStatus, parse_device_enrolment, verify_device_revocation
from didymos_identity.application.change_subject import change_subject
from didymos_identity.application.enrol_device import enrol_device
from didymos_identity.application.revoke_device import revoke_device
from didymos_identity.domain.events import DeviceEnrolled, DeviceRevoked, SubjectChanged
from didymos_testing.did import INSTITUTE, NOON, OWNER, STRANGER
from didymos_testing.identity import DEVICE, a_device_revocation, an_enrolment, refusal

ENROLMENT = parse_device_enrolment(an_enrolment())


async def enrol(bench: Any, enrolment: Any = ENROLMENT, caller: Did = OWNER.did) -> Any:
    return await bench.do(lambda work: enrol_device(enrolment, caller, work, bench.clock))


async def revoke(bench: Any, revocation: DeviceRevocation, caller: Did = OWNER.did) -> Any:
    return await bench.do(lambda work: revoke_device(revocation, caller, work))


async def test_an_enrolled_device_is_published_once_and_a_newer_credential_replaces_it(bench: Any) -> None:
    await bench.with_twin()
    first = await enrol(bench)
    assert await enrol(bench) == first
    newer = parse_device_enrolment(an_enrolment(max_rate=20, aliases=("Patient/17",)))
    second = await enrol(bench, newer)
    assert (second.enrolment, second.revision) == (newer, 2)
    assert bench.published == [DeviceEnrolled(first), DeviceEnrolled(second)]


async def test_only_the_owner_enrols_and_an_unknown_twin_looks_like_anothers(bench: Any) -> None:
    unknown = await refusal(enrol(bench))
    await bench.with_twin(owner=STRANGER.did)
    assert (unknown, await refusal(enrol(bench))) == ("grant.not_owner", "grant.not_owner")
    assert await refusal(enrol(bench, caller=STRANGER.did)) == "platform.forbidden"


async def test_an_enrolment_that_is_over_is_refused(bench: Any) -> None:
    await bench.with_twin()
    bench.clock.advance(31 * 86_400)
    assert await refusal(enrol(bench)) == "enrolment.window_invalid"


async def test_of_two_losses_the_earlier_holds_and_the_old_credential_brings_nothing_back(bench: Any) -> None:
    await bench.with_twin()
    await enrol(bench)
    late = verify_device_revocation(a_device_revocation(NOON))
    early = verify_device_revocation(a_device_revocation(NOON - timedelta(hours=1)))
    assert (await revoke(bench, late)).lost_since == NOON
    lost = await revoke(bench, early)
    assert await revoke(bench, late) == lost
    assert (lost.lost_since, lost.revision) == (NOON - timedelta(hours=1), 3)
    assert [type(event) for event in bench.published] == [DeviceEnrolled, DeviceRevoked, DeviceRevoked]
    assert await refusal(enrol(bench)) == "enrolment.invalid"
    again = await enrol(bench, parse_device_enrolment(an_enrolment(max_rate=11)))
    assert (again.lost_since, again.revision) == (None, 4)


async def test_a_stranger_cannot_tell_a_device_from_no_device(bench: Any) -> None:
    by_stranger = verify_device_revocation(a_device_revocation(NOON, owner=STRANGER))
    by_owner = verify_device_revocation(a_device_revocation(NOON))
    said = {await refusal(revoke(bench, by_stranger, STRANGER.did)), await refusal(revoke(bench, by_owner))}
    await bench.with_twin()
    await enrol(bench)
    said |= {
        await refusal(revoke(bench, by_stranger, STRANGER.did)),
        await refusal(revoke(bench, by_owner, STRANGER.did)),
    }
    assert said == {"platform.not_found"}


ADMIN = INSTITUTE.did


async def change(bench: Any, did: Did, status: SubjectStatus, caller: Did = ADMIN) -> Any:
    return await bench.do(lambda work: change_subject(did, status, caller, {ADMIN}, work))


async def test_a_subject_is_suspended_and_restored_each_told_once(bench: Any) -> None:
    await bench.with_twin()
    for _ in range(2):
        out = await change(bench, OWNER.did, SubjectStatus.SUSPENDED)
    for _ in range(2):
        back = await change(bench, OWNER.did, SubjectStatus.ACTIVE)
    assert bench.published == [SubjectChanged(out), SubjectChanged(back)]
    assert [(each.kind, each.status, each.revision) for each in (out, back)] == [
        ("owner", SubjectStatus.SUSPENDED, 1), ("owner", SubjectStatus.ACTIVE, 2),
    ]  # fmt: skip


async def test_restoring_whoever_is_not_suspended_tells_nothing(bench: Any) -> None:
    assert (await change(bench, STRANGER.did, SubjectStatus.ACTIVE)).revision == 0
    assert bench.published == []
    await bench.with_twin()
    await enrol(bench)
    assert (await change(bench, DEVICE.did, SubjectStatus.SUSPENDED)).kind == "device"


async def test_only_administrators_change_subjects_and_none_of_their_own(bench: Any) -> None:
    assert await refusal(change(bench, OWNER.did, SubjectStatus.SUSPENDED, OWNER.did)) == "platform.not_found"
    assert await refusal(change(bench, ADMIN, SubjectStatus.SUSPENDED)) == "platform.invalid_field"
