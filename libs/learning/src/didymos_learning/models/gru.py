"""One GRU layer (arXiv 1406.1078); its last hidden state is the feature vector."""

from collections.abc import Mapping

from torch import Tensor, nn

from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import TaskSpec


class Gru(ForecastModule):
    def __init__(self, sizes: Mapping[str, int], task: TaskSpec) -> None:
        super().__init__(sizes["units"], sizes["skip"], task)
        self.body = nn.GRU(task.channels, sizes["units"], batch_first=True)

    def embed(self, inputs: Tensor) -> Tensor:
        states: Tensor = self.body(inputs)[0]
        return states[:, -1]
