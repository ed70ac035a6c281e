"""The newest agreed checkpoint of a process, for all who wait for a later one."""

import asyncio
from collections.abc import AsyncIterator

from didymos_ledger.application.ports import Agreed


class Newest:
    """One writer, many readers, one event loop."""

    def __init__(self, agreed: Agreed | None = None) -> None:
        self._agreed = agreed
        self._grew = asyncio.Condition()

    @property
    def agreed(self) -> Agreed | None:
        return self._agreed

    @property
    def size(self) -> int:
        return 0 if self._agreed is None else self._agreed.checkpoint.size

    async def advance(self, agreed: Agreed) -> None:
        async with self._grew:
            self._agreed = agreed
            self._grew.notify_all()

    async def covering(self, index: int, seconds: float) -> Agreed | None:
        """The newest, as soon as it covers entry `index`; after `seconds` the newest there is."""
        try:
            async with asyncio.timeout(seconds), self._grew:
                await self._grew.wait_for(lambda: self.size > index)
        except TimeoutError:
            return self._agreed
        return self._agreed

    async def after(self, size: int) -> AsyncIterator[Agreed]:
        """Each one above `size`; who is slow sees the newest only."""
        told = size
        while True:
            async with self._grew:
                while self.size <= told:
                    await self._grew.wait()
            if self._agreed is not None:
                told = self.size
                yield self._agreed
