"""What forecasts are made with: registered models, and what predicts by them. learning.md section 12."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.forecast import Forecast, Served, Strangeness
from didymos_twin_state.domain.twin import TwinState

SPAN_US: Final = 30 * 86_400_000_000  # what is read of the past: scales and bands need some weeks


class Models(Protocol):
    def shared(self, name: str) -> Sequence[Served]:
        """Shared models that forecast this property, the newest first."""

    def of(self, model_id: str) -> Served | None:
        """A registered model that was not withdrawn."""

    def has_own(self, twin: str) -> bool:
        """Whether a model of the twin's own was registered: only then can one serve it."""


class NoForecastError(Exception):
    """This model cannot speak of these readings; `reason` in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model made ready for one twin. `scale`: level, spread, step and move of its readings.

    `width`: half of the model's 80 % band in the unit of the readings, where it knows one.
    """

    model: Served
    scale: tuple[float, float, float, float]
    width: float | None


class Watching(Protocol):
    """What a replay of the past said of a model, carried from reading to reading."""

    @property
    def width(self) -> float | None:
        """Half of the 80 % band now; None with too few errors to believe."""

    @property
    def strangeness(self) -> Strangeness | None:
        """Of the newest reading."""

    def settle(self, error: float, width: float | None) -> None:
        """A forecast came due: its error, and the half width that was announced with it."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """A mean under an assumption inside `low`..`high`; `support`: how much of the past is as unusual as it."""

    mean: float
    support: float
    low: float
    high: float


class Predictor(Protocol):
    async def fit(self, model: Served, past: Readings) -> Fitted:
        """A shared model gets its scale from the past. Raises NoForecastError."""

    async def predict(self, asks: Sequence[tuple[Fitted, Readings]]) -> Sequence[float | NoForecastError]:
        """The value one horizon after the last reading, for each; all that share architecture and shapes at once."""

    async def watch(self, fitted: Fitted, past: Readings) -> Watching:
        """By the errors that it would have made. Raises NoForecastError."""

    async def earns(self, own: Fitted, shared: Fitted, past: Readings) -> bool:
        """Whether, since it was registered, `own` kept the gain over `shared` that it was accepted for.

        Raises NoForecastError.
        """

    async def what_if(self, fitted: Fitted, past: Readings, values: Sequence[float]) -> Assumed:
        """Had the newest readings been `values`. Raises NoForecastError, TRAINING_ASSUMPTION_OUT_OF_RANGE."""


def candidates(state: TwinState, name: str, models: Models) -> list[Served]:
    """The twin's own model first, then the shared ones."""
    own = [models.of(attached.model_id) for attached in state.models.values()]
    found = [model for model in own if model is not None and model.name == name]
    return [*found, *models.shared(name)]


def withdrawn_of(state: TwinState, name: str, models: Models) -> str:
    """The twin's own model of this property that drift took away, if another did not come since; else nothing."""
    for model_id in state.withdrawn.values():
        model = models.of(model_id)
        if model is not None and model.name == name:
            return model_id
    return ""


def forecast_of(
    fitted: Fitted, mean: float, last_us: int, unit: str, made_at_us: int, watching: Watching | None
) -> Forecast:
    """With the band that adapted, else the model's own."""
    model, width = fitted.model, None if watching is None else watching.width
    width = fitted.width if width is None else width
    low, high = (model.low, model.high) if width is None else (-width, width)
    return Forecast(
        mean, mean + low, mean + high, unit, last_us + model.horizon_us, made_at_us, model.model_id, model.personal,
        strangeness=None if watching is None else watching.strangeness,
    )  # fmt: skip
