"""Forecasts by models of libs/learning, in one thread of their own: those that share a model's shapes in one call.

Parameters are kept packed, by model, up to a bound in bytes; those used longest ago go first. torch is imported for
architectures that have no stack in numpy only.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final, TypeVar

from didymos_contracts.errors.training import TRAINING_ASSUMPTION_OUT_OF_RANGE
from didymos_learning import LearningError, ModelSpec, RunSpec, Scale, Series, client_data, flat_view, series_of
from didymos_learning.forecasting import Together
from didymos_learning.jcs import to_json
from didymos_learning.monitor import Watcher, answer, still_earns, watcher
from didymos_learning.serving import ServedModel, forecasts
from didymos_learning.whatif import assumed, bounds_of
from didymos_privacy import PrivacyError, Recipient, model_info

from didymos_twin_state.adapters.models import ModelFiles
from didymos_twin_state.application.predictions import Assumed, Fitted, NoForecastError
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Served, Strangeness

T = TypeVar("T")
PACKED_BYTES: Final = 256 << 20
KEPT_SPECS: Final = 64
KEPT_SHAPES: Final = 8
NOWHERE: Final = Scale(0.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Packed:
    """A model as forecasts read it. `scale` and `width` are those of its site; a shared model has none."""

    spec: "Shape"
    model: ServedModel
    personal: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A specification and its name: models of one name go through one call."""

    name: bytes
    model: ModelSpec


@dataclass(frozen=True, slots=True)
class Watched:
    """`Watching` by a watcher of libs/learning."""

    watcher: Watcher

    @property
    def width(self) -> float | None:
        return self.watcher.watch().width

    @property
    def strangeness(self) -> Strangeness | None:
        seen = self.watcher.watch()
        return None if seen.chance is None else Strangeness(seen.chance, seen.alarm, seen.compared)

    def settle(self, error: float, width: float | None) -> None:
        if isfinite(error):
            self.watcher.settle(error, width)


class PackedPredictor:
    """`Predictor`. Personal models are sealed to `recipient`, bound to their run and twin. `told`: bytes kept now."""

    def __init__(
        self, files: ModelFiles, recipient: Recipient, most_bytes: int = PACKED_BYTES,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._files, self._recipient, self._most, self._told = files, recipient, most_bytes, told
        self._packed: OrderedDict[tuple[str, bytes], Packed] = OrderedDict()
        self._bytes = 0
        self._specs: OrderedDict[bytes, Shape] = OrderedDict()
        self._together: OrderedDict[bytes, Together] = OrderedDict()
        self._one = asyncio.Lock()  # stacks are not for two threads, and one core is enough

    async def fit(self, model: Served, past: Readings) -> Fitted:
        packed = await self._of(model)
        if packed.personal:
            scale = packed.model.scale
            return Fitted(model, (scale.level, scale.spread, scale.step, scale.move), packed.model.width)
        try:
            scale = client_data("", _series(past), packed.spec.model.task).scale
        except LearningError as error:
            raise NoForecastError("past_too_short") from error
        return Fitted(model, (scale.level, scale.spread, scale.step, scale.move), None)

    async def predict(self, asks: Sequence[tuple[Fitted, Readings]]) -> Sequence[float | NoForecastError]:
        said: list[float | NoForecastError] = [NoForecastError("model_missing")] * len(asks)
        groups: dict[bytes, list[tuple[int, Packed, Scale, Series]]] = {}
        for at, (fitted, readings) in enumerate(asks):
            try:
                packed = await self._of(fitted.model)
                asked = (at, packed, Scale(*fitted.scale), _series(readings))
            except NoForecastError as error:
                said[at] = error
                continue
            groups.setdefault(packed.spec.name, []).append(asked)
        for group in groups.values():
            found = await self._apart(lambda group=group: self._said(group))  # type: ignore[misc]
            for (at, *_), each in zip(group, found, strict=True):
                said[at] = each
        return said

    async def watch(self, fitted: Fitted, past: Readings) -> Watched:
        packed, series = await self._of(fitted.model), _series(past)
        return await self._apart(
            lambda: Watched(watcher(self._all_of(packed.spec), _scaled(packed, Scale(*fitted.scale)), series))
        )

    async def earns(self, own: Fitted, shared: Fitted, past: Readings) -> bool:
        first, second, series = await self._of(own.model), await self._of(shared.model), _series(past)
        if first.spec.name != second.spec.name:
            return True
        mine, other = _scaled(first, Scale(*own.scale)), _scaled(second, Scale(*shared.scale))
        found = await self._apart(
            lambda: still_earns(self._all_of(first.spec), mine, other, series, own.model.since_us)
        )
        return found is None or found.withdrawn_at is None

    async def what_if(self, fitted: Fitted, past: Readings, values: Sequence[float]) -> Assumed:
        packed, series = await self._of(fitted.model), _series(past)
        bounds, task = bounds_of(series.values), packed.spec.model.task
        try:
            other = assumed(series, values, bounds, task)
        except LearningError as error:
            raise TRAINING_ASSUMPTION_OUT_OF_RANGE.problem(low=bounds.low, high=bounds.high, most=task.input) from error
        model = _scaled(packed, Scale(*fitted.scale))
        try:
            found = await self._apart(lambda: answer(self._all_of(packed.spec), model, series, other))
        except LearningError as error:
            raise NoForecastError("past_too_short") from error
        said = _checked(found.forecast.value, found.forecast.fallback)
        if isinstance(said, NoForecastError):
            raise said
        return Assumed(said, found.support, bounds.low, bounds.high)

    def _said(self, group: Sequence[tuple[int, Packed, Scale, Series]]) -> list[float | NoForecastError]:
        """In the thread: one call for all of a group."""
        models = [_scaled(packed, scale) for _, packed, scale, _ in group]
        try:
            found = forecasts(self._all_of(group[0][1].spec), models, [series for *_, series in group])
        except LearningError:
            return [NoForecastError("model_unreadable")] * len(group)
        return [_checked(each.value, each.fallback) for each in found]

    async def _apart(self, work: Callable[[], T]) -> T:
        async with self._one:
            return await asyncio.to_thread(work)

    def _all_of(self, spec: Shape) -> Together:
        found = self._together.get(spec.name)
        if found is None:
            found = self._together[spec.name] = Together(spec.model)
            while len(self._together) > KEPT_SHAPES:
                self._together.popitem(last=False)
        self._together.move_to_end(spec.name)
        return found

    async def _of(self, model: Served) -> Packed:
        """Raises NoForecastError: `model_missing` for what is not there, `model_unreadable` for what does not open."""
        key = (model.model_id, model.params)
        found = self._packed.get(key)
        if found is None:
            found = await self._load(model)
            if key not in self._packed:
                self._packed[key] = found
                self._bytes += found.model.params.nbytes
            while self._bytes > self._most and len(self._packed) > 1:
                self._bytes -= self._packed.popitem(last=False)[1].model.params.nbytes
            self._told(self._bytes)
        elif key in self._packed:
            self._packed.move_to_end(key)
        return found

    async def _load(self, model: Served) -> Packed:
        spec, raw = await self._shape(model.spec), await self._files.get(model.params)
        if raw is None:
            raise NoForecastError("model_missing")
        try:
            return await self._apart(lambda: self._opened(model, spec, raw))
        except (LearningError, PrivacyError) as error:
            raise NoForecastError("model_unreadable") from error

    def _opened(self, model: Served, spec: Shape, raw: bytes) -> Packed:
        """In the thread. Raises LearningError, PrivacyError."""
        layout = spec.model.layout
        if model.personal:
            opened = self._recipient.open(raw, model_info(model.run, model.twin))
            served = ServedModel.from_bytes(opened, layout)
        else:
            served = ServedModel(flat_view(raw, layout.size), NOWHERE, None)
        return Packed(spec, replace(served, params=self._all_of(spec).pack(served.params)), model.personal)

    async def _shape(self, digest: bytes) -> Shape:
        found = self._specs.get(digest)
        if found is not None:
            self._specs.move_to_end(digest)
            return found
        raw = await self._files.get(digest)
        if raw is None:
            raise NoForecastError("model_missing")
        try:
            model = RunSpec.from_json(raw).model
        except LearningError as error:
            raise NoForecastError("model_unreadable") from error
        found = self._specs[digest] = Shape(to_json(model), model)
        while len(self._specs) > KEPT_SPECS:
            self._specs.popitem(last=False)
        return found


def _scaled(packed: Packed, scale: Scale) -> ServedModel:
    return replace(packed.model, scale=scale)


def _series(readings: Readings) -> Series:
    if readings.numbers is None:
        raise NoForecastError("no_numbers")
    try:
        return series_of(readings.times_us, readings.numbers)
    except LearningError as error:
        raise NoForecastError("not_finite") from error


def _checked(value: float, fallback: str) -> float | NoForecastError:
    """Of a gap, and of what is no number, nothing is said."""
    if fallback != "none":
        return NoForecastError(fallback)
    return value if isfinite(value) else NoForecastError("not_finite")
