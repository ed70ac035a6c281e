"""Data keys, for the few services that seal and open. identity.md section 11."""

from collections.abc import Container, Sequence
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND, PLATFORM_TOO_LARGE
from didymos_did import DataKey, Did, TwinId, epoch_of
from didymos_kit.clock import Clock

from didymos_identity.application.ports import Twins, Vault

MOST: Final = 1000
AHEAD: Final = 2  # days: keys are fetched a day ahead, by clocks that may be off


async def epoch_keys(
    wanted: Sequence[tuple[TwinId, int]], caller: Did, readers: Container[Did], twins: Twins, vault: Vault, clock: Clock
) -> Sequence[DataKey | None]:
    """In the order asked; None where the twin is erased.

    Raises PLATFORM_NOT_FOUND (no reader of the vault, or a twin that nobody registered), PLATFORM_TOO_LARGE,
    PLATFORM_INVALID_FIELD.
    """
    if caller not in readers:
        raise PLATFORM_NOT_FOUND.problem()
    if len(wanted) > MOST:
        raise PLATFORM_TOO_LARGE.problem(limit=MOST)
    latest = epoch_of(clock.now_us()) + AHEAD
    for index, (_, epoch) in enumerate(wanted):
        if epoch > latest:
            raise PLATFORM_INVALID_FIELD.problem(
                pointer=f"/wanted/{index}/epoch", detail="too far ahead", latest=latest
            )
    known = await twins.find(*{twin for twin, _ in wanted})
    for twin, _ in wanted:
        if twin not in known:
            raise PLATFORM_NOT_FOUND.problem(twin=twin)
    given = iter(await vault.keys([name for name in wanted if known[name[0]].alive]))
    return [next(given) if known[twin].alive else None for twin, _ in wanted]
