"""Which device may send for which twin, until when it was in the owner's hands."""

from dataclasses import dataclass, replace
from datetime import datetime

from didymos_did import DeviceEnrolment, DeviceRevocation


@dataclass(frozen=True, slots=True)
class Device:
    """An enrolment as it stands. `lost_since`: set once it was revoked."""

    enrolment: DeviceEnrolment
    revision: int = 1
    lost_since: datetime | None = None


def enrolled(known: Device | None, enrolment: DeviceEnrolment) -> Device:
    """The device under its newest enrolment. The same one again changes nothing, also after it was revoked."""
    if known is None:
        return Device(enrolment)
    if known.enrolment.digest == enrolment.digest:
        return known
    return Device(enrolment, known.revision + 1)


def lost(device: Device, revocation: DeviceRevocation) -> Device:
    """The device, out for good under this enrolment. Of two statements the earlier loss holds."""
    if device.lost_since is not None and device.lost_since <= revocation.lost_since:
        return device
    return replace(device, lost_since=revocation.lost_since, revision=device.revision + 1)
