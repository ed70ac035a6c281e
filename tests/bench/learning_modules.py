"""LeNet (61,706 parameters) and a CNN of 1.2 million, on images of 28 x 28."""

from collections.abc import Mapping

from didymos_learning import TaskSpec
from didymos_learning.models import ForecastModule
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu


class Lenet(ForecastModule):
    def __init__(self, _sizes: Mapping[str, int], task: TaskSpec) -> None:
        super().__init__(84, 0, task)
        self.first, self.second = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.third, self.fourth = nn.Linear(400, 120), nn.Linear(120, 84)

    def embed(self, inputs: Tensor) -> Tensor:
        seen = max_pool2d(relu(self.first(inputs[:, None])), 2)
        seen = max_pool2d(relu(self.second(seen)), 2).flatten(1)
        return relu(self.fourth(relu(self.third(seen))))


class Cnn(ForecastModule):
    def __init__(self, _sizes: Mapping[str, int], task: TaskSpec) -> None:
        super().__init__(128, 0, task)
        self.first, self.second = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.third = nn.Linear(9216, 128)

    def embed(self, inputs: Tensor) -> Tensor:
        seen = max_pool2d(relu(self.second(relu(self.first(inputs[:, None])))), 2)
        return relu(self.third(seen.flatten(1)))
