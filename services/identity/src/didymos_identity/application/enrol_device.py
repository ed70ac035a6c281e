"""The owner of a twin lets a device send for it."""

from didymos_contracts.errors.identity import ENROLMENT_INVALID, ENROLMENT_WINDOW_INVALID, GRANT_NOT_OWNER
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_did import DeviceEnrolment, Did
from didymos_kit.clock import Clock

from didymos_identity.application.owned_twin import owned_twin
from didymos_identity.application.ports import Work
from didymos_identity.domain.device import Device, enrolled
from didymos_identity.domain.events import DeviceEnrolled


async def enrol_device(enrolment: DeviceEnrolment, caller: Did, work: Work, clock: Clock) -> Device:
    """Idempotent; a newer credential replaces the older one.

    Raises PLATFORM_FORBIDDEN, ENROLMENT_WINDOW_INVALID, ENROLMENT_INVALID, GRANT_NOT_OWNER, KEY_DESTROYED.
    """
    if caller != enrolment.owner:
        raise PLATFORM_FORBIDDEN.problem(detail="only the owner that signed it registers an enrolment")
    if enrolment.valid_until <= clock.now():
        raise ENROLMENT_WINDOW_INVALID.problem(pointer="/validUntil", detail="the window is over")
    await owned_twin(enrolment.twin, enrolment.owner, work, GRANT_NOT_OWNER)
    known = await work.devices.lock(enrolment.device, enrolment.twin)
    device = enrolled(known, enrolment)
    if device == known:
        if device.lost_since is not None:
            raise ENROLMENT_INVALID.problem(detail="this enrolment was revoked: sign a new one")
        return device
    await work.devices.save(device)
    work.publish(DeviceEnrolled(device))
    return device
