"""Models that forecast for twins: forecasts of many at once, and their bytes at rest, which are personal: seal them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from struct import Struct
from typing import Final, Literal, TypeAlias

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.forecasting import Together
from didymos_learning.layout import Layout
from didymos_learning.series import Series
from didymos_learning.vector import Flat, flat_bytes, flat_view
from didymos_learning.windows import Inputs, Scale, recent_inputs

Fallback: TypeAlias = Literal["none", "no_model", "gap"]
_HEAD: Final = Struct("<5d")  # level, spread, step, move, width (NaN: none)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Parameters (d,), or as `Together.pack` gives them; the client's scale; half of the 80 % interval in the unit of
    the readings, if known."""

    params: Flat
    scale: Scale
    width: float | None

    def to_bytes(self) -> bytes:
        scale, width = self.scale, nan if self.width is None else self.width
        return _HEAD.pack(scale.level, scale.spread, scale.step, scale.move, width) + flat_bytes(self.params)

    @classmethod
    def from_bytes(cls, raw: bytes, layout: Layout) -> "ServedModel":
        """Raises LearningError `training.layout_mismatched`, `training.update_not_finite`."""
        params = flat_view(raw[_HEAD.size :], layout.size)
        level, spread, step, move, width = _HEAD.unpack_from(raw)
        if not all(map(isfinite, (level, spread, step, move))) or min(spread, step, move) <= 0.0:
            raise LearningError("training.update_not_finite", detail="scale")
        return cls(params, Scale(level, spread, step, move), width if isfinite(width) else None)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the property will be `horizon` steps after the last reading; `low`, `high`: the 80 % interval, if known."""

    value: float
    low: float | None
    high: float | None
    made_at_us: int
    fallback: Fallback


def forecasts(together: Together, models: Sequence[ServedModel | None], recents: Sequence[Series]) -> list[Forecast]:
    """One forecast a twin from its newest readings. Without a model, or with a gap in its inputs: "it stays as it is".

    The parameters of each model as `together.pack` gives them.
    Raises LearningError `training.series_short` for a series without a reading.
    """
    if not all(map(len, recents)):
        raise LearningError("training.series_short", readings=0)
    task, found = together.model.task, list[tuple[int, ServedModel, Inputs]]()
    out = [
        Forecast(float(recent.values[-1]), None, None, int(recent.times[-1]), "gap" if model else "no_model")
        for model, recent in zip(models, recents, strict=True)
    ]
    for at, (model, recent) in enumerate(zip(models, recents, strict=True)):
        inputs = None if model is None else recent_inputs(recent, task, model.scale)
        if model is not None and inputs is not None:
            found.append((at, model, inputs))
    if not found:
        return out
    changes = together.change_each(
        [model.params for _, model, _ in found], np.concatenate([each for *_, each in found])
    )
    for (at, model, _), change in zip(found, changes.tolist(), strict=True):
        value, width = out[at].value + change * model.scale.move, model.width
        low, high = (None, None) if width is None else (value - width, value + width)
        out[at] = Forecast(value, low, high, out[at].made_at_us, "none")
    return out
