"""Windows of many simulated clients in three arrays, mapped into memory: a client costs what it reads, no more.

A folder with `inputs.npy` (N, input, channels) float32, `targets.npy` (N,) float32 and `offsets.npy` (clients + 1,):
client i has the windows from offset i up to, not with, offset i + 1. It trains on all of them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, overload

import numpy as np
from didymos_learning import ClientData, ClientFacts, TaskSpec, Windows
from didymos_learning.windows import Scale
from numpy.typing import NDArray

OFFSETS: Final = "offsets.npy"
KEPT: Final = 4096  # clients whose records are kept from one round to the next; their windows are in the files
_PLAIN: Final = Scale(0.0, 1.0, 1.0, 1.0)


def write_shards(
    folder: Path, inputs: NDArray[np.float32], targets: NDArray[np.float32], offsets: NDArray[np.int64]
) -> Path:
    """The three files; answers the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("inputs", inputs), ("targets", targets), ("offsets", offsets)):
        np.save(folder / f"{name}.npy", array)
    return folder


def is_shards(folder: Path) -> bool:
    return (folder / OFFSETS).exists()


class ShardClients(Sequence[ClientData]):
    """The clients of such a folder, in its order; records are made when they are asked for."""

    def __init__(self, folder: Path, task: TaskSpec) -> None:
        self._task = task
        self._offsets = np.load(folder / OFFSETS)
        self._inputs = np.load(folder / "inputs.npy", mmap_mode="r")
        self._targets = np.load(folder / "targets.npy", mmap_mode="r")
        self._made: OrderedDict[tuple[int, int], list[ClientData]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, at: int) -> ClientData: ...
    @overload
    def __getitem__(self, at: slice) -> list[ClientData]: ...
    def __getitem__(self, at: int | slice) -> ClientData | list[ClientData]:
        if isinstance(at, int):
            return self._client(range(len(self))[at])
        first, last, _ = at.indices(len(self))
        if (first, last) not in self._made:
            self._made[first, last] = [self._client(number) for number in range(first, last)]
            while sum(map(len, self._made.values())) > KEPT and len(self._made) > 1:
                self._made.popitem(last=False)
        return self._made[first, last]

    def _client(self, number: int) -> ClientData:
        rows = slice(int(self._offsets[number]), int(self._offsets[number + 1]))
        fit, none = self._windows(rows), self._windows(slice(0, 0))
        facts = ClientFacts(len(fit), 0, 0, 0)
        return ClientData(f"client {number:07d}", self._task, _PLAIN, fit, none, none, none, facts)

    def _windows(self, rows: slice) -> Windows:
        inputs, targets = np.array(self._inputs[rows]), np.array(self._targets[rows])
        return Windows(inputs, targets, np.zeros(len(targets)), targets.astype(np.float64), np.arange(len(targets)))
