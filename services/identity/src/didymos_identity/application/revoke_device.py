"""A device is lost, or done: what it sends with later times is quarantined."""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import DeviceRevocation, Did

from didymos_identity.application.ports import Work
from didymos_identity.domain.device import Device, lost
from didymos_identity.domain.events import DeviceRevoked


async def revoke_device(revocation: DeviceRevocation, caller: Did, work: Work) -> Device:
    """Idempotent. Raises PLATFORM_NOT_FOUND, the same for what is unknown and what is not the signer's."""
    twin = await work.twins.lock(revocation.twin)
    known = await work.devices.lock(revocation.device, revocation.twin)
    if caller != revocation.signer or twin is None or twin.owner != revocation.signer or known is None:
        raise PLATFORM_NOT_FOUND.problem(device=revocation.device)
    device = lost(known, revocation)
    if device != known:
        await work.devices.save(device)
        work.publish(DeviceRevoked(device, device.lost_since or revocation.lost_since))
    return device
