"""The list of what is in quarantine: filled from its topic, shown to owners, emptied with time and by erasure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import AccessRequest, Action, Did, Facts, Purpose, Reason, TwinId, decide

from didymos_ingestion.domain.refusal import KEPT, KeptRefusal

PATH: Final = "quarantine"
Place = tuple[int, int, int]  # partition, offset, index: the key of a refusal


class Refusals(Protocol):
    async def add(self, refusals: Sequence[KeptRefusal]) -> None:
        """Those that are not there yet: a batch that was sent again is listed once."""

    async def drop_before(self, at: datetime) -> None: ...

    async def drop_twin(self, twin: TwinId) -> None: ...

    async def of_twin(self, twin: TwinId, after: Place | None, limit: int) -> Sequence[KeptRefusal]:
        """In the order of their places."""

    async def of_batch(self, twin: TwinId, batch: bytes) -> Sequence[KeptRefusal]:
        """What a batch had refused for this twin, by index."""

    async def release(self, refusals: Sequence[KeptRefusal]) -> None:
        """Mark them; a repeat changes nothing."""


async def keep_refusals(refusals: Sequence[KeptRefusal], store: Refusals, now: datetime) -> None:
    """Idempotent by place, and by (twin, device, batch, index). What the log no longer holds is not listed."""
    await store.add(refusals)
    await store.drop_before(now - KEPT)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who calls, for whom, and what for."""

    actor: Did
    principal: Did | None
    purpose: Purpose | None


def check_access(asker: Asker, action: Action, twin: TwinId, facts: Facts, now: datetime) -> None:
    """Whether `decide()` lets the caller at the quarantine of this twin: its owner, until an owner grants it.

    Raises CONSENT_STALE; PLATFORM_NOT_FOUND for what is unknown and what is denied alike.
    """
    request = AccessRequest(asker.actor, action, twin, (PATH,), asker.purpose, principal=asker.principal)
    decision = decide(request, facts, now)
    if decision.reason is Reason.STALE_CONSENT:
        raise CONSENT_STALE.problem(twin=twin)
    if not decision.allowed:
        raise PLATFORM_NOT_FOUND.problem(twin=twin)


@dataclass(frozen=True, slots=True)
class ListRefusals:
    """Who asks for the quarantine of which twin; the page after a place."""

    asker: Asker
    twin: TwinId
    after: Place | None
    limit: int


async def list_refusals(query: ListRefusals, facts: Facts, store: Refusals, now: datetime) -> Sequence[KeptRefusal]:
    """Raises CONSENT_STALE, PLATFORM_NOT_FOUND."""
    check_access(query.asker, Action.READ, query.twin, facts, now)
    return await store.of_twin(query.twin, query.after, query.limit)
