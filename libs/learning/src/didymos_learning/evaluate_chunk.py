"""How far off the shared model is on what some subjects hold out for the gate: their part of a joint histogram."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from didymos_learning.error_histogram import BOUND, shares, width
from didymos_learning.vector import Flat, clipped
from didymos_learning.windows import ClientData

if TYPE_CHECKING:
    from didymos_learning.engine import Engine


@dataclass(frozen=True, slots=True)
class ChunkErrors:
    """`total` (width,): the sum of what `subjects` give, each clipped to `BOUND`, in their order and in float32."""

    total: Flat
    subjects: tuple[str, ...]


def evaluate_chunk(
    engine: "Engine", clients: Sequence[ClientData], params: Flat, edges: Sequence[float]
) -> ChunkErrors:
    """Of forecasts with `params` (d,) on gate-a and gate-b, never on test, against "it stays as it is".

    Errors are in units of each subject's own root mean square change over the horizon, so that subjects compare and
    nothing of anybody's scale is told. Who has no window there is left out. Raises LearningError
    `training.layout_mismatched`, `training.update_not_finite`.
    """
    total, counted = np.zeros(width(edges), dtype=np.float32), []
    for client in clients:
        parts = [part for part in (client.gate_a, client.gate_b) if len(part)]
        if not parts:
            continue
        targets = np.concatenate([part.targets for part in parts]).astype(np.float64)
        found = np.concatenate([engine.predict(params, part) for part in parts]) - targets
        total += clipped(shares(found, targets, edges), BOUND)
        counted.append(client.subject)
    return ChunkErrors(total, tuple(counted))
