"""What the use cases need of the world. `Work` is bound to one transaction; the rest is asked outside of any."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from didymos_did import AccessClaims, DataKey, Did, Grant, GrantId, TwinId

from didymos_identity.domain.device import Device
from didymos_identity.domain.events import Event
from didymos_identity.domain.subject import Subject
from didymos_identity.domain.token_key import TokenKey
from didymos_identity.domain.twin import Twin, TwinState

Value = TypeVar("Value")
Answer_co = TypeVar("Answer_co", covariant=True)


class Twins(Protocol):
    async def add(self, twin: Twin) -> bool:
        """False if it is registered already: whoever comes first owns it."""

    async def lock(self, twin: TwinId) -> Twin | None:
        """The twin, which nobody else changes until this unit of work ends; None if it is not registered here."""

    async def find(self, *twins: TwinId) -> Mapping[TwinId, Twin]:
        """Those of them that are registered."""

    async def save(self, twin: Twin) -> None: ...

    async def owned_by(self, owner: Did) -> bool:
        """Whether it owns any."""

    async def in_state(self, state: TwinState) -> Sequence[TwinId]: ...


class Devices(Protocol):
    async def lock(self, device: Did, twin: TwinId) -> Device | None: ...

    async def save(self, device: Device) -> None: ...

    async def known(self, device: Did) -> bool:
        """Whether any twin ever enrolled it."""


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant with the credential as its owner sent it."""

    grant: Grant
    credential: bytes


@dataclass(frozen=True, slots=True)
class GrantQuery:
    """The grants that `party` gave or got, of one twin or of all, after an id."""

    party: Did
    twin: TwinId | None
    after: GrantId | None
    limit: int


class Grants(Protocol):
    async def add(self, grant: Grant, credential: bytes, at: datetime) -> bool:
        """False if the id is taken."""

    async def lock(self, grant: GrantId) -> Grant | None:
        """The grant, which nobody else changes until this unit of work ends; None if it is not registered here."""

    async def save(self, grant: Grant, at: datetime) -> None:
        """Store the next revision. Raises StaleRevisionError for any other."""

    async def find(self, grant: GrantId) -> StoredGrant | None: ...

    async def page(self, query: GrantQuery) -> Sequence[Grant]:
        """By id, one more than asked for when there are more."""

    async def live_of(self, twin: TwinId) -> Sequence[Grant]:
        """Those that have not ended, locked."""

    async def over(self, now: datetime, limit: int) -> Sequence[Grant]:
        """Some that have not ended though their window has, locked."""


class Subjects(Protocol):
    async def lock(self, did: Did) -> Subject | None: ...

    async def save(self, subject: Subject) -> None: ...


class TokenKeys(Protocol):
    async def add(self, key: TokenKey) -> None: ...

    async def forget(self, ended_before: datetime) -> Sequence[TokenKey]:
        """Drop those that ended before; which they were."""


@dataclass(frozen=True, slots=True)
class Work:
    """Ports bound to one transaction: what they change and what is published commits together, or not at all."""

    twins: Twins
    devices: Devices
    grants: Grants
    subjects: Subjects
    token_keys: TokenKeys
    publish: Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Reads:
    """Ports bound to one snapshot: nothing changes through them."""

    twins: Twins
    grants: Grants


class Committed(Protocol[Answer_co]):
    """What a use case answered, and where its events lie in the log, if that is known."""

    @property
    def value(self) -> Answer_co: ...

    @property
    def token(self) -> str: ...

    @property
    def placed(self) -> bool: ...


class Dispatch(Protocol):
    """Runs one use case in one transaction."""

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]], /) -> Committed[Value]: ...


class Vault(Protocol):
    """One key per twin, and under it one per epoch."""

    async def keys(self, wanted: Sequence[tuple[TwinId, int]]) -> Sequence[DataKey | None]:
        """In the order asked, made where they are missing; None where the key of the twin was destroyed."""

    async def destroy(self, twin: TwinId, at: datetime) -> None:
        """For ever, and remembered by name. Of no effect the second time."""


class Replays(Protocol):
    async def first(self, proof: bytes, now: int) -> bool:
        """False if `proof` was seen. Raises ConnectionError when what all processes share is away."""


class TokenIssuer(Protocol):
    """Signs with the key that this process publishes."""

    async def issue(self, claims: AccessClaims) -> str:
        """Waits until the key is in the log. Raises PLATFORM_UNAVAILABLE when that takes too long."""
