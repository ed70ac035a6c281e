"""Data keys of twins, from the vault of identity, kept for at most 300 s. identity.md section 11."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

from didymos.identity.v1.identity_service_pb2 import EpochKeyName, EpochKeysRequest, EpochKeysResponse
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_did import DataKey, TwinId
from didymos_kit.expiring import Expiring

KEPT_SECONDS: Final = 300.0
ASKED_AT_ONCE: Final = 1_000
HELD: Final = 100_000


Ask: TypeAlias = Callable[[EpochKeysRequest], Awaitable[EpochKeysResponse]]
"""The method `didymos.identity.v1.Vault/EpochKeys`. Raises the problem of the call."""


class CachedKeys:
    """The `EpochKeys` port. Two who miss the same key ask once."""

    def __init__(self, ask: Ask, monotonic: Callable[[], float]) -> None:
        self._ask_vault, self._monotonic = ask, monotonic
        self._held: Expiring[tuple[TwinId, int], DataKey | None] = Expiring(HELD, KEPT_SECONDS)
        self._asked: dict[tuple[TwinId, int], asyncio.Task[Mapping[TwinId, DataKey | None]]] = {}

    def at_hand(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None] | None:
        now = self._monotonic()
        found: dict[TwinId, DataKey | None] = {}
        for twin in twins:
            held = self._held.get((twin, epoch), now)
            if held is None:
                return None
            found[twin] = held.value
        return found

    async def fetch(self, twins: Collection[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None]:
        now = self._monotonic()
        found: dict[TwinId, DataKey | None] = {}
        missing = []
        for twin in twins:
            held = self._held.get((twin, epoch), now)
            if held is None:
                missing.append(twin)
            else:
                found[twin] = held.value
        unasked = [twin for twin in missing if (twin, epoch) not in self._asked]
        for first in range(0, len(unasked), ASKED_AT_ONCE):
            some = unasked[first : first + ASKED_AT_ONCE]
            asking = asyncio.create_task(self._ask(some, epoch))
            asking.add_done_callback(_heard)
            for twin in some:
                self._asked[twin, epoch] = asking
        waited = {self._asked[twin, epoch] for twin in missing}
        for keys in await asyncio.gather(*(asyncio.shield(each) for each in waited)):
            found |= keys
        return {twin: found[twin] for twin in twins}

    async def _ask(self, twins: Sequence[TwinId], epoch: int) -> Mapping[TwinId, DataKey | None]:
        try:
            wanted = [EpochKeyName(twin=twin, epoch=epoch) for twin in twins]
            answer = await self._ask_vault(EpochKeysRequest(wanted=wanted))
            given = {(said.twin, said.epoch): said for said in answer.keys}
            now, found = self._monotonic(), dict[TwinId, DataKey | None]()
            for twin in twins:
                said = given.get((twin, epoch))
                if said is None:
                    raise PLATFORM_UNAVAILABLE.problem(dependency="vault", detail="it left a key out")
                found[twin] = None if said.destroyed else DataKey(twin, epoch, said.key)
                self._held.put((twin, epoch), found[twin], now)
        except Problem as problem:
            raise PLATFORM_UNAVAILABLE.problem(dependency="vault", detail=problem.row.code) from problem
        finally:
            for twin in twins:
                del self._asked[twin, epoch]
        return found


def _heard(asking: "asyncio.Task[Mapping[TwinId, DataKey | None]]") -> None:
    """Whoever waits gets the error; if all of them left, nobody needs it."""
    if not asking.cancelled():
        asking.exception()
