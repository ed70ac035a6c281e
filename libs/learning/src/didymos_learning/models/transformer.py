"""A small pre-norm encoder over patches of readings (arXiv 2211.14730): learned positions, mean over patches."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from didymos_learning.models.forecaster import ForecastModule
from didymos_learning.spec import TaskSpec


class Transformer(ForecastModule):
    def __init__(self, sizes: Mapping[str, int], task: TaskSpec) -> None:
        width, patch = sizes["width"], sizes["patch"]
        super().__init__(width, sizes["skip"], task)
        self.patch = patch
        self.position = nn.Parameter(torch.randn(task.input // patch, width) * 0.02)
        self.embed_patch = nn.Linear(patch * task.channels, width)
        layer = nn.TransformerEncoderLayer(
            width, sizes["heads"], 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, sizes["layers"], enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def embed(self, inputs: Tensor) -> Tensor:
        patches = inputs.reshape(len(inputs), -1, self.patch * inputs.shape[2])
        out: Tensor = self.norm(self.body(self.embed_patch(patches) + self.position))
        return out.mean(dim=1)
