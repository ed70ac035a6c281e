"""An owner writes a note."""

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import Did, TwinId
from didymos_kit.clock import Clock

from didymos_template_service.application.ports import Owners, Work
from didymos_template_service.domain.note import LONGEST, Note, Refused, write


async def write_note(twin: TwinId, text: str, writer: Did, owners: Owners, work: Work, clock: Clock) -> Note:
    """Idempotent. Raises PLATFORM_NOT_FOUND, PLATFORM_INVALID_FIELD."""
    written = write(twin, text, writer, owners.owner_of(twin), clock.now())
    if written is Refused.NOT_THE_OWNER:  # not 403: a stranger must not learn that the twin exists
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    if written is Refused.TOO_LONG:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/text", detail=f"at most {LONGEST} characters")
    await work.notes.put(written)
    return written
