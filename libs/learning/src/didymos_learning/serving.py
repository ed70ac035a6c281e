"""A model that forecasts for one twin: its bytes at rest, and one forecast. The bytes are personal: seal them."""

from dataclasses import dataclass
from math import isfinite, nan
from struct import Struct
from typing import Final, Literal, TypeAlias

from didymos_learning.engine import Engine
from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout
from didymos_learning.series import Series
from didymos_learning.vector import Flat, flat_bytes, flat_view
from didymos_learning.windows import Scale, recent_inputs

Fallback: TypeAlias = Literal["none", "no_model", "gap"]
_HEAD: Final = Struct("<5d")  # level, spread, step, move, width (NaN: none)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Parameters (d,), the client's scale, and half of the 80 % interval in the unit of the readings, if known."""

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


def forecast(engine: Engine, model: ServedModel | None, recent: Series) -> Forecast:
    """One forecast from the newest readings. Without a model, or with a gap in its inputs: "it stays as it is".

    Raises LearningError `training.series_short` for a series without a reading.
    """
    if not len(recent):
        raise LearningError("training.series_short", readings=0)
    last, at = float(recent.values[-1]), int(recent.times[-1])
    if model is None:
        return Forecast(last, None, None, at, "no_model")
    inputs = recent_inputs(recent, engine.model.task, model.scale)
    if inputs is None:
        return Forecast(last, None, None, at, "gap")
    value = last + float(engine.change(model.params, inputs)[0]) * model.scale.move
    if model.width is None:
        return Forecast(value, None, None, at, "none")
    return Forecast(value, value - model.width, value + model.width, at, "none")
