"""What the use cases need of the world."""

from dataclasses import dataclass
from typing import Protocol

from didymos_did import Did, TwinId

from didymos_template_service.domain.note import Note


class Owners(Protocol):
    def owner_of(self, twin: TwinId) -> Did | None: ...


class Notes(Protocol):
    async def find(self, twin: TwinId) -> Note | None: ...

    async def put(self, note: Note) -> None:
        """In place of the one that the twin had."""


@dataclass(frozen=True, slots=True)
class Work:
    """Ports bound to one transaction."""

    notes: Notes
