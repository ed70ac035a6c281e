"""An owner reads the note of a twin."""

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, TwinId

from didymos_template_service.application.ports import Owners, Work
from didymos_template_service.domain.note import Note


async def read_note(twin: TwinId, reader: Did, owners: Owners, work: Work) -> Note:
    """Raises PLATFORM_NOT_FOUND for foreign twins and for those without a note."""
    found = await work.notes.find(twin) if owners.owner_of(twin) == reader else None
    if found is None:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return found
