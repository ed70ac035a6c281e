"""What the use cases need of the world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from didymos_did import Bounds, Did, GrantId, TwinId

from didymos_steward.domain.choice import Past, View
from didymos_steward.domain.steward import Act, ActState, Steward


class Stewards(Protocol):
    async def find(self, twin: TwinId) -> Steward | None: ...

    async def put(self, steward: Steward) -> None:
        """In place of the one that the twin had."""

    async def remove(self, twin: TwinId) -> None: ...


class Acts(Protocol):
    async def add(self, act: Act) -> bool:
        """False, and no effect, when an act of this id is there: the same signal came again."""

    async def lock(self, act_id: bytes) -> Act | None:
        """The act, which nobody else changes until this unit of work ends."""

    async def save(self, act: Act) -> None:
        """Its state, detail and undo."""

    async def past(self, grant: GrantId, now: datetime) -> Past: ...

    async def newest(self, twin: TwinId, limit: int) -> Sequence[Act]: ...

    async def in_state(self, twin: TwinId, state: ActState) -> Sequence[Act]: ...


class Owners(Protocol):
    def owner_of(self, twin: TwinId) -> Did | None: ...


class Grants(Protocol):
    """The grants of owners to this steward, from the tail of consent."""

    def bounds(self, twin: TwinId, grant: GrantId, now: datetime) -> Bounds | None:
        """The bounds in force under a grant; None when it is unknown, ended, not for us, or no bounds."""


class Twins(Protocol):
    """twin-state, asked as the steward's own DID: what its grants do not show, it does not see."""

    async def view(self, steward: Steward) -> View | None:
        """None when the twin does not exist for us. Raises Problem for what passes by itself."""


@dataclass(frozen=True, slots=True)
class Command:
    """A desired value that this steward asks for. `value` None takes the desired value away."""

    id: bytes
    twin: TwinId
    property: str
    value: float | None
    unit: str
    grant: GrantId
    expires_at: datetime
    undoes: bytes = b""


@dataclass(frozen=True, slots=True)
class Work:
    """Ports bound to one transaction."""

    stewards: Stewards
    acts: Acts
    propose: Callable[[Command], None]
