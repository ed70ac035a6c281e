"""Forecasts by models of libs/learning, in one thread of their own. torch is imported at the first of them."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

from didymos_learning import LearningError, ModelSpec, RunSpec, Series, client_data, flat_view, series_of
from didymos_privacy import PrivacyError, Recipient, model_info

from didymos_twin_state.adapters.models import ModelFiles
from didymos_twin_state.application.make_forecast import NoForecastError, Prediction
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Served

if TYPE_CHECKING:
    from didymos_learning.engine import Engine
    from didymos_learning.serving import ServedModel

KEPT: Final = 64  # loaded models
KEPT_ENGINES: Final = 4


@dataclass(frozen=True, slots=True)
class _Loaded:
    """`raw`: the bytes of a served model if it is personal, else the parameters alone."""

    spec: ModelSpec
    raw: bytes
    personal: bool


class TorchPredictor:
    """`Predictor`. Personal models are sealed to `recipient`, bound to their run and twin."""

    def __init__(self, files: ModelFiles, recipient: Recipient) -> None:
        self._files, self._recipient = files, recipient
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self._engines: OrderedDict[bytes, Engine] = OrderedDict()
        self._one = asyncio.Lock()  # an engine is not for two threads, and one core is enough

    async def predict(self, model: Served, readings: Readings) -> Prediction:
        loaded = self._loaded.get(model.model_id) or await self._load(model)
        numbers = readings.numbers
        if numbers is None:
            raise NoForecastError("no_numbers")
        series = series_of(readings.times_us, numbers)
        async with self._one:
            return await asyncio.to_thread(self._predicted, loaded, series)

    async def _load(self, model: Served) -> _Loaded:
        """Raises NoForecastError: `model_missing` for what is not there, `model_unreadable` for what does not open."""
        spec_raw, raw = await self._files.get(model.spec), await self._files.get(model.params)
        if spec_raw is None or raw is None:
            raise NoForecastError("model_missing")
        try:
            spec = RunSpec.from_json(spec_raw).model
            opened = self._recipient.open(raw, model_info(model.run, model.twin)) if model.personal else raw
        except (LearningError, PrivacyError) as error:
            raise NoForecastError("model_unreadable") from error
        loaded = self._loaded[model.model_id] = _Loaded(spec, opened, model.personal)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return loaded

    def _predicted(self, loaded: _Loaded, series: Series) -> Prediction:
        """In the thread. Raises NoForecastError for a gap, or a past too short to scale by."""
        from didymos_learning.serving import forecast

        found = forecast(self._engine(loaded.spec), _served(loaded, series), series)
        if found.fallback != "none":
            raise NoForecastError(found.fallback)
        if not isfinite(found.value):
            raise NoForecastError("not_finite")
        return Prediction(found.value, None if found.high is None else found.high - found.value)

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


def _served(loaded: _Loaded, series: Series) -> "ServedModel":
    """With the scale of its site, or, for a shared model, that of the past which is here. Raises NoForecastError."""
    from didymos_learning.serving import ServedModel

    layout = loaded.spec.layout
    try:
        if loaded.personal:
            return ServedModel.from_bytes(loaded.raw, layout)
        params = flat_view(loaded.raw, layout.size)
    except LearningError as error:
        raise NoForecastError("model_unreadable") from error
    try:
        return ServedModel(params, client_data("", series, loaded.spec.task).scale, None)
    except LearningError as error:
        raise NoForecastError("past_too_short") from error
