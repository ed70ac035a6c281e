"""Forecasts by models of libs/learning, in one thread of their own. torch is imported at the first of them."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from didymos_learning import (
    Flat,
    LearningError,
    ModelSpec,
    RunSpec,
    Scale,
    Series,
    Windows,
    client_data,
    flat_view,
    recent_inputs,
    series_of,
)
from didymos_privacy import PrivacyError, Recipient, model_info, unpack_model

from didymos_twin_state.adapters.models import ModelFiles
from didymos_twin_state.application.make_forecast import NoForecastError
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Served

if TYPE_CHECKING:
    from didymos_learning.engine import Engine

KEPT: Final = 64  # loaded models
KEPT_ENGINES: Final = 4


@dataclass(frozen=True, slots=True)
class _Loaded:
    """`scale`: level, spread, step and move that the site scaled by. None: the model is shared, the past has to say."""

    spec: ModelSpec
    params: Flat
    scale: tuple[float, float, float, float] | None


class TorchPredictor:
    """`Predictor`. Personal parameters are sealed to `recipient`, bound to their run and twin."""

    def __init__(self, files: ModelFiles, recipient: Recipient) -> None:
        self._files, self._recipient = files, recipient
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._engines: OrderedDict[bytes, Engine] = OrderedDict()
        self._one = asyncio.Lock()  # an engine is not for two threads, and one core is enough

    async def predict(self, model: Served, readings: Readings) -> float:
        loaded = self._loaded.get(model.model_id) or await self._load(model)
        numbers = readings.numbers
        if numbers is None:
            raise NoForecastError("no_numbers")
        series = series_of(readings.times_us, numbers)
        async with self._one:
            return await asyncio.to_thread(self._predicted, loaded, series)

    async def _load(self, model: Served) -> _Loaded:
        """Raises NoForecastError `model_unreadable` for what is not there or does not fit."""
        spec_raw, raw = await self._files.get(model.spec), await self._files.get(model.params)
        if spec_raw is None or raw is None:
            raise NoForecastError("model_missing")
        try:
            spec = RunSpec.from_json(spec_raw).model
            scale = None
            if model.personal:
                scale, raw = unpack_model(self._recipient.open(raw, model_info(model.run, model.twin)))
            loaded = _Loaded(spec, flat_view(raw, spec.layout.size), scale)
        except (LearningError, PrivacyError, ValueError) as error:
            raise NoForecastError("model_unreadable") from error
        self._loaded[model.model_id] = loaded
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return loaded

    def _predicted(self, loaded: _Loaded, series: Series) -> float:
        """In the thread. Raises NoForecastError for a gap, or a past too short to scale by."""
        task = loaded.spec.task
        try:
            scale = _scale(loaded, series)
            inputs = recent_inputs(series, task, scale)
            if inputs is None:
                raise NoForecastError("gap")
            last = series.values[-1:]
            window = Windows(inputs, np.zeros(1, np.float32), last, last, series.times[-1:])  # only its inputs are read
            change = self._engine(loaded.spec).predict(loaded.params, window)
        except LearningError as error:
            raise NoForecastError("past_too_short") from error
        mean = float(series.values[-1]) + float(change[0]) * scale.move
        if not np.isfinite(mean):
            raise NoForecastError("not_finite")
        return mean

    def _engine(self, spec: ModelSpec) -> "Engine":
        import torch
        from didymos_learning.engine import Engine

        torch.set_num_threads(1)
        name = spec.layout.digest + spec.arch.encode()
        engine = self._engines.get(name)
        if engine is None or engine.model != spec:
            engine = self._engines[name] = Engine(spec)
            while len(self._engines) > KEPT_ENGINES:
                self._engines.popitem(last=False)
        return engine


def _scale(loaded: _Loaded, series: Series) -> Scale:
    """How the twin's readings are scaled. Raises LearningError for a past too short to say."""
    return client_data("", series, loaded.spec.task).scale if loaded.scale is None else Scale(*loaded.scale)
