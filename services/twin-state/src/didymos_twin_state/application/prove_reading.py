"""The evidence behind a reading: the block as its device signed it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Action, TwinId

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import StoredParcel, TwinHistory


class Prover(Protocol):
    @property
    def history(self) -> TwinHistory: ...

    async def evidence(self, stored: StoredParcel, name: str, at_us: int) -> Sequence[Mapping[str, Any]]:
        """Header, signature, block and audit path of each reading of `name` at that time in a stored parcel."""


async def prove_reading(
    twin: TwinId, name: str, at_us: int, reader: Reader, permits: Permits, prover: Prover
) -> list[Mapping[str, Any]]:
    """One piece of evidence for each signed block that holds a reading of that time. Raises PLATFORM_NOT_FOUND."""
    permits.require(reader, Action.HISTORY, twin, feature(name))
    found: list[Mapping[str, Any]] = []
    async for stored in prover.history.parcels(twin, at_us, at_us + 1):
        found.extend(await prover.evidence(stored, name, at_us))
    if not found:
        raise PLATFORM_NOT_FOUND.problem(twin=twin, property=name)
    return found
