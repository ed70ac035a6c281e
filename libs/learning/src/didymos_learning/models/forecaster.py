"""What all models share: features of a window, and a linear head that begins at zero."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from didymos_learning.spec import TaskSpec


class ForecastModule(nn.Module):
    """(n, input, channels) to (n,), the scaled change from the naive answer, or to (n, classes), the scores of each.

    No batch statistics, no dropout.
    """

    def __init__(self, features: int, skip: int, task: TaskSpec) -> None:
        super().__init__()
        self.skip = skip
        self.head = nn.Linear(features + skip * task.channels, task.outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """(n, input, channels) to (n, features)."""

    def features(self, inputs: Tensor) -> Tensor:
        """What the head reads: (n, features + skip * channels)."""
        embedded = self.embed(inputs)
        if not self.skip:
            return embedded
        return torch.cat([embedded, inputs[:, -self.skip :].flatten(1)], dim=1)

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(inputs))
        return out[:, 0] if self.head.out_features == 1 else out
