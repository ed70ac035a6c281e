"""Where an engine computes: the CPU, in one thread, or a CUDA device."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from didymos_learning.errors import LearningError

CPU: Final = "cpu"
CUDA: Final = "cuda"


def device_of(name: str) -> torch.device:
    """`cpu`, or `cuda` where torch finds such a device. Raises LearningError `training.device_missing`."""
    if name == CPU or (name == CUDA and torch.cuda.is_available()):
        return torch.device(name)
    raise LearningError("training.device_missing", device=name[:32])


def one_thread() -> None:
    """What this thread computes, it computes alone: a product in two threads has other bits.

    To be said in each call from a pool: libraries below torch keep their number of threads by calling thread.
    """
    torch.set_num_threads(1)


def fill(block: Tensor, values: NDArray[Any]) -> None:
    """Writes the values, which may be read-only and are broadcast, into a block wherever it lies."""
    if block.is_cpu:
        np.copyto(block.numpy(), values)
    else:
        block.copy_(torch.from_numpy(values.copy()))
