"""Who owns a twin, and whether its keys are still there."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from didymos_did import Did, TwinId


class TwinState(Enum):
    """ERASING: its grants ended and its keys are being destroyed; a crash leaves it here, and a start goes on."""

    ACTIVE = "active"
    ERASING = "erasing"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Twin:
    """The first registration of a twin is the one that holds."""

    id: TwinId
    owner: Did
    registered_at: datetime
    state: TwinState = TwinState.ACTIVE
    revision: int = 1

    @property
    def alive(self) -> bool:
        return self.state is TwinState.ACTIVE


def in_state(twin: Twin, state: TwinState) -> Twin:
    return replace(twin, state=state)
