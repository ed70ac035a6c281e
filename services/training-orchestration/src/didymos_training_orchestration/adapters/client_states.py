"""What simulated clients keep between rounds, one file a chunk: a round that fails leaves what was kept before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from didymos_did import Did
from didymos_kit.files import Files
from didymos_learning import Flat, flat_bytes, flat_view

from didymos_training_orchestration.domain.run import RunId


@dataclass(frozen=True, slots=True)
class StateName:
    """Whose states: the clients of one chunk of one run."""

    run: RunId
    chunk: Did

    @property
    def key(self) -> str:
        return f"training/states/{self.run}/{self.chunk.replace(':', '-')}"


class ClientStates:
    """`offer` writes beside what is kept, `settle` makes it what is kept. Both may be repeated after a restart."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def kept(self, name: StateName) -> Mapping[str, Flat]:
        """What clients kept from the last committed round, by subject; nothing before the first."""
        raw = await self._files.get(f"{name.key}/kept")
        return {} if raw is None else parsed(raw)

    async def offer(self, name: StateName, round_: int, states: Mapping[str, Flat]) -> None:
        """What they would keep, if this round is committed. Durable when it returns."""
        await self._files.put(f"{name.key}/{round_}", printed(states))

    async def settle(self, name: StateName, round_: int, *, committed: bool) -> None:
        """The round is over. Of no effect for one that offered nothing, or was settled before the one before it."""
        offered = await self._files.get(f"{name.key}/{round_}")
        if offered is None:
            return
        if committed:
            await self._files.put(f"{name.key}/kept", offered)
        else:
            await self._files.delete(f"{name.key}/{round_}")
        await self._files.delete(f"{name.key}/{round_ - 1}")


def printed(states: Mapping[str, Flat]) -> bytes:
    """4 bytes of length, JSON of the sizes in order, then all floats, little-endian."""
    head = json.dumps([[subject, flat.size] for subject, flat in states.items()]).encode()
    return len(head).to_bytes(4, "little") + head + b"".join(flat_bytes(flat) for flat in states.values())


def parsed(raw: bytes) -> dict[str, Flat]:
    """Raises LearningError `training.layout_mismatched` for a file that is cut short."""
    begin = 4 + int.from_bytes(raw[:4], "little")
    sizes: list[tuple[str, int]] = json.loads(raw[4:begin])
    floats = flat_view(raw[begin:], sum(size for _, size in sizes))
    ends = np.cumsum([size for _, size in sizes])
    return {subject: floats[end - size : end] for (subject, size), end in zip(sizes, ends, strict=True)}
