"""Proofs that were seen, shared by all processes of a house: `didymos_kit.access.Replays`."""

from typing import Final

from didymos_contracts.errors import Problem

from didymos_kit.hot.port import Hot, Script

KEPT_MS: Final = 90_000
_ONCE: Final = Script("return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0")


class HotReplays:
    def __init__(self, hot: Hot) -> None:
        self._hot = hot

    async def first(self, proof: bytes, now: int) -> bool:
        """False if `proof` was seen. Raises ConnectionError while the store is away."""
        del now  # the store measures the 90 s itself
        try:
            return bool(await self._hot.run(_ONCE, [f"dpop:{proof.hex()}"], [KEPT_MS]))
        except Problem as problem:
            raise ConnectionError("hot store") from problem
