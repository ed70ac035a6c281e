"""The keys of twins, from identity's vault: asked for in bulk, kept for five minutes, gone when destroyed."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from os import urandom
from typing import Final, TypeAlias

from didymos.identity.v1.identity_service_pb2 import EpochKeyName, EpochKeysRequest
from didymos.identity.v1.identity_service_pb2_grpc import VaultStub
from didymos_did import DataKey, Did, TwinId, epoch_of
from didymos_did.sealing import SALT_BYTES
from didymos_kit.clock import Clock
from didymos_kit.rpc.client import Peer

from didymos_twin_state.application.ports import SealedBlob

KEPT_SECONDS: Final = 300.0
KEPT: Final = 50_000
ASKED: Final = 1_000
Name: TypeAlias = tuple[str, int]
"""Twin and key epoch (UTC day)."""
Ask: TypeAlias = Callable[[Sequence[Name]], Awaitable[Sequence[DataKey | None]]]


@dataclass(frozen=True, slots=True)
class _Kept:
    key: DataKey | None  # None: destroyed, for ever
    until: float


class VaultSeals:
    """`Seals`. `destroyed` is what the tail of identity says: it holds at once, whatever is kept here."""

    def __init__(self, ask: Ask, clock: Clock, destroyed: Callable[[TwinId], bool]) -> None:
        self._ask, self._clock, self._destroyed = ask, clock, destroyed
        self._kept: dict[Name, _Kept] = {}

    async def warm(self, names: Iterable[Name]) -> None:
        """Fetch what is missing, together. Raises what the vault raises while it is away."""
        now = self._clock.monotonic()
        missing = [name for name in dict.fromkeys(names) if not self._known(name, now)]
        for first in range(0, len(missing), ASKED):
            asked = missing[first : first + ASKED]
            for name, key in zip(asked, await self._ask(asked), strict=True):
                self._kept[name] = _Kept(key, now + KEPT_SECONDS)
        if len(self._kept) > KEPT:
            self._kept = {name: kept for name, kept in self._kept.items() if kept.until > now and kept.key is not None}

    def _known(self, name: Name, now: float) -> bool:
        kept = self._kept.get(name)
        return kept is not None and (kept.key is None or kept.until > now)

    async def key(self, twin: str, epoch: int) -> DataKey | None:
        """None: destroyed."""
        if self._destroyed(TwinId(Did(twin))):
            return None
        kept = self._kept.get((twin, epoch))
        if kept is None or (kept.key is not None and kept.until <= self._clock.monotonic()):
            await self.warm([(twin, epoch)])
            kept = self._kept.get((twin, epoch))
        return None if kept is None else kept.key

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
