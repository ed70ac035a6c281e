"""The keys of twins, from identity's vault: asked for in bulk, kept for five minutes, gone when destroyed."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from os import urandom
from typing import Final, TypeAlias

from didymos.identity.v1.identity_service_pb2 import EpochKeyName, EpochKeysRequest
from didymos.identity.v1.identity_service_pb2_grpc import VaultStub
from didymos_did import DataKey, Did, TwinId, epoch_of
from didymos_did.sealing import SALT_BYTES
from didymos_kit.clock import Clock
from didymos_kit.expiring import Expiring
from didymos_kit.rpc.client import Peer

from didymos_twin_state.application.ports import SealedBlob

KEPT_SECONDS: Final = 300.0
KEPT: Final = 100_000
ASKED: Final = 1_000
Name: TypeAlias = tuple[str, int]
"""Twin and key epoch (UTC day)."""
Ask: TypeAlias = Callable[[Sequence[Name]], Awaitable[Sequence[DataKey | None]]]


class VaultSeals:
    """`Seals`. `destroyed` is what the tail of identity says: it holds at once, whatever is kept here."""

    def __init__(self, ask: Ask, clock: Clock, destroyed: Callable[[TwinId], bool]) -> None:
        self._ask, self._clock, self._destroyed = ask, clock, destroyed
        self._kept: Expiring[Name, DataKey | None] = Expiring(KEPT, KEPT_SECONDS)

    async def warm(self, names: Iterable[Name]) -> None:
        """Fetch what is missing, together. Raises what the vault raises while it is away."""
        now = self._clock.monotonic()
        await self._fetched([name for name in dict.fromkeys(names) if self._kept.get(name, now) is None], now)

    async def _fetched(self, missing: Sequence[Name], now: float) -> dict[Name, DataKey | None]:
        found: dict[Name, DataKey | None] = {}
        for first in range(0, len(missing), ASKED):
            asked = missing[first : first + ASKED]
            for name, key in zip(asked, await self._ask(asked), strict=True):
                self._kept.put(name, key, now)
                found[name] = key
        return found

    async def key(self, twin: str, epoch: int) -> DataKey | None:
        """None: destroyed."""
        if self._destroyed(TwinId(Did(twin))):
            return None
        name, now = (twin, epoch), self._clock.monotonic()
        kept = self._kept.get(name, now)
        return (await self._fetched([name], now))[name] if kept is None else kept.value

    @property
    def epoch(self) -> int:
        """What is sealed now is sealed under the keys of this day."""
        return epoch_of(self._clock.now_us())

    async def open_blob(self, twin: str, blob: SealedBlob, path: str) -> bytes | None:
        """Raises DidError `seal.invalid`."""
        key = await self.key(twin, blob.key_epoch)
        return None if key is None else key.open(blob.sealed, blob.salt, path)

    async def seal_blob(self, twin: str, plain: bytes, path: str) -> SealedBlob | None:
        epoch = self.epoch
        key = await self.key(twin, epoch)
        if key is None:
            return None
        salt = urandom(SALT_BYTES)
        return SealedBlob(epoch, salt, key.seal(plain, salt, path))


def vault_of(peer: Peer) -> Ask:
    """Asks `Vault.EpochKeys` of identity."""
    stub = VaultStub(peer.channel)

    async def ask(names: Sequence[Name]) -> list[DataKey | None]:
        wanted = [EpochKeyName(twin=twin, epoch=epoch) for twin, epoch in names]
        answer = await stub.EpochKeys(EpochKeysRequest(wanted=wanted))
        return [
            None if each.destroyed else DataKey(TwinId(Did(each.twin)), each.epoch, each.key) for each in answer.keys
        ]

    return ask
