"""An administrator suspends a subject, or restores it."""

from collections.abc import Container

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import Did, SubjectStatus

from didymos_identity.application.ports import Work
from didymos_identity.domain.events import SubjectChanged
from didymos_identity.domain.subject import Subject, with_status


async def change_subject(
    did: Did, status: SubjectStatus, caller: Did, administrators: Container[Did], work: Work
) -> Subject:
    """Idempotent. Raises PLATFORM_NOT_FOUND for whoever is no administrator; PLATFORM_INVALID_FIELD for one of them."""
    if caller not in administrators:
        raise PLATFORM_NOT_FOUND.problem(did=did)
    if did in administrators:
        raise PLATFORM_INVALID_FIELD.problem(pointer="{did}", detail="settings decide about administrators")
    known = await work.subjects.lock(did)
    subject = with_status(known or Subject(did, await _kind(did, work)), status)
    if known is None or subject != known:
        await work.subjects.save(subject)
        if subject.revision > 0:
            work.publish(SubjectChanged(subject))
    return subject


async def _kind(did: Did, work: Work) -> str:
    if await work.twins.owned_by(did):
        return "owner"
    return "device" if await work.devices.known(did) else ""
