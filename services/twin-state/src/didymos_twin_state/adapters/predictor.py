"""Forecasts by models of libs/learning, in one thread of their own. torch is imported at the first of them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeVar

from didymos_contracts.errors.training import TRAINING_ASSUMPTION_OUT_OF_RANGE
from didymos_learning import LearningError, ModelSpec, RunSpec, Series, client_data, flat_view, series_of
from didymos_learning.whatif import assumed, bounds_of
from didymos_privacy import PrivacyError, Recipient, model_info

from didymos_twin_state.adapters.models import ModelFiles
from didymos_twin_state.application.make_forecast import Assumed, NoForecastError, Prediction
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Served, Strangeness

if TYPE_CHECKING:
    from didymos_learning.engine import Engine
    from didymos_learning.serving import Forecast as LearntForecast
    from didymos_learning.serving import ServedModel

T = TypeVar("T")
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
        return await self._apart(lambda: self._predicted(loaded, _series(readings)))

    async def what_if(self, model: Served, readings: Readings, values: Sequence[float]) -> Assumed:
        loaded = self._loaded.get(model.model_id) or await self._load(model)
        return await self._apart(lambda: self._assumed(loaded, _series(readings), values))

    async def earns(self, own: Served, shared: Served, readings: Readings) -> bool:
        if own.spec != shared.spec:
            return True
        first = self._loaded.get(own.model_id) or await self._load(own)
        second = self._loaded.get(shared.model_id) or await self._load(shared)
        return await self._apart(lambda: self._earns(first, second, _series(readings), own.since_us))

    async def _apart(self, work: Callable[[], T]) -> T:
        async with self._one:
            return await asyncio.to_thread(work)

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
        from didymos_learning.monitor import watch
        from didymos_learning.serving import forecast

        engine, model = self._engine(loaded.spec), _served(loaded, series)
        found = forecast(engine, model, series)
        _check(found)
        seen = watch(engine, model, series)
        strange = None if seen.chance is None else Strangeness(seen.chance, seen.alarm, seen.compared)
        return Prediction(found.value, model.width if seen.width is None else seen.width, strange)

    def _assumed(self, loaded: _Loaded, series: Series, values: Sequence[float]) -> Assumed:
        """In the thread. Raises NoForecastError, TRAINING_ASSUMPTION_OUT_OF_RANGE."""
        from didymos_learning.monitor import answer, watch

        engine, model, bounds = self._engine(loaded.spec), _served(loaded, series), bounds_of(series.values)
        try:
            other = assumed(series, values, bounds, loaded.spec.task)
        except LearningError as error:
            raise TRAINING_ASSUMPTION_OUT_OF_RANGE.problem(
                low=bounds.low, high=bounds.high, most=loaded.spec.task.input
            ) from error
        try:
            found = answer(engine, model, series, other)
        except LearningError as error:
            raise NoForecastError("past_too_short") from error
        _check(found.forecast)
        width = watch(engine, model, series).width
        return Assumed(
            Prediction(found.forecast.value, model.width if width is None else width), found.support, bounds.low,
            bounds.high,
        )  # fmt: skip

    def _earns(self, own: _Loaded, shared: _Loaded, series: Series, since_us: int) -> bool:
        """In the thread."""
        from didymos_learning.monitor import still_earns

        found = still_earns(self._engine(own.spec), _served(own, series), _served(shared, series), series, since_us)
        return found is None or found.withdrawn_at is None

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


def _series(readings: Readings) -> Series:
    if readings.numbers is None:
        raise NoForecastError("no_numbers")
    return series_of(readings.times_us, readings.numbers)


def _check(found: "LearntForecast") -> None:
    """Raises NoForecastError for a gap, and for what is no number."""
    if found.fallback != "none":
        raise NoForecastError(found.fallback)
    if not isfinite(found.value):
        raise NoForecastError("not_finite")


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
