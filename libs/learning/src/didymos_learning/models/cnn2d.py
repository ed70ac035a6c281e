"""Two 3 x 3 convolutions with GroupNorm over an image: rows are time, columns those of one plane; mean over time.

The channels of a task are `planes` images side by side, such as the spectra of several axes.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import gelu

from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import TaskSpec


class Cnn2d(ForecastModule):
    def __init__(self, sizes: Mapping[str, int], task: TaskSpec) -> None:
        width, groups, self.planes = sizes["width"], sizes["groups"], sizes["planes"]
        super().__init__(width * -(-task.channels // (4 * self.planes)), sizes["skip"], task)
        self.first = nn.Conv2d(self.planes, width, 3, stride=(1, 2), padding=1)
        self.first_norm = nn.GroupNorm(groups, width)
        self.second = nn.Conv2d(width, width, 3, stride=(1, 2), padding=1)
        self.second_norm = nn.GroupNorm(groups, width)

    def embed(self, inputs: Tensor) -> Tensor:
        images = inputs.reshape(*inputs.shape[:2], self.planes, -1).transpose(1, 2)
        hidden = gelu(self.first_norm(self.first(images)))
        return gelu(self.second_norm(self.second(hidden))).mean(dim=2).flatten(1)
