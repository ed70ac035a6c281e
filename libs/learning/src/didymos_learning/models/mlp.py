"""Two layers over all rows of a window at once."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import relu

from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import TaskSpec


class Mlp(ForecastModule):
    def __init__(self, sizes: Mapping[str, int], task: TaskSpec) -> None:
        width = sizes["width"]
        super().__init__(width, sizes["skip"], task)
        self.first = nn.Linear(task.input * task.channels, width)
        self.second = nn.Linear(width, width)

    def embed(self, inputs: Tensor) -> Tensor:
        return relu(self.second(relu(self.first(inputs.flatten(1)))))
