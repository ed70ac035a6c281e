"""Two convolutions over time with GroupNorm, then the mean over time."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import gelu

from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import TaskSpec


class Cnn1d(ForecastModule):
    def __init__(self, sizes: Mapping[str, int], task: TaskSpec) -> None:
        width, groups = sizes["width"], sizes["groups"]
        super().__init__(width, sizes["skip"], task)
        self.first = nn.Conv1d(task.channels, width, 5, padding=2)
        self.first_norm = nn.GroupNorm(groups, width)
        self.second = nn.Conv1d(width, width, 5, padding=2)
        self.second_norm = nn.GroupNorm(groups, width)

    def embed(self, inputs: Tensor) -> Tensor:
        hidden = gelu(self.first_norm(self.first(inputs.transpose(1, 2))))
        return gelu(self.second_norm(self.second(hidden))).mean(dim=2)
