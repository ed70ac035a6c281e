"""What a site says of one person when a run is over: errors on held-out time, the decision, and the interval. JSON."""

from dataclasses import dataclass

import numpy as np

from didymos_learning.engine import Engine
from didymos_learning.errors import LearningError
from didymos_learning.evaluation import errors, gain_interval, last_value_errors, rmse
from didymos_learning.gate import Verdict
from didymos_learning.intervals import half_width
from didymos_learning.jcs import from_json, to_json
from didymos_learning.personal import Candidate, Personal
from didymos_learning.serving import ServedModel
from didymos_learning.stability import input_shift
from didymos_learning.vector import Flat
from didymos_learning.windows import ClientData

VALUE_CHANNELS = 2  # of a forecast: the value and its change; the clock always moves


@dataclass(frozen=True, slots=True)
class PersonReport:
    """Root mean square errors on test in the unit of the readings. `personal_rmse`: of what the gate let through.

    `candidate_rmse`: of the best candidate, also where the gate refused it. `width`: half of the 80 % interval, from
    gate residuals; `covered`: the share of test truths inside it. `gate_rmse`: of the shared model on both gate parts.
    Without gate windows these three are None. `shift`: population stability index of test inputs against fit inputs.
    `gain_low`, `gain_high`: 95 % interval of global_rmse - personal_rmse over blocks of test.
    """

    subject: str
    windows: int
    last_value_rmse: float
    own_rmse: float
    global_rmse: float
    personal_rmse: float
    candidate_rmse: float
    candidate: str
    verdict: Verdict
    gate_windows: int
    gain: float | None
    bound: float | None
    width: float | None
    covered: float | None
    gate_rmse: float | None = None
    shift: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None

    def to_json(self) -> bytes:
        return to_json(self)

    @classmethod
    def from_json(cls, raw: bytes) -> "PersonReport":
        """Raises LearningError `training.spec_malformed`."""
        return from_json(cls, raw)


def evaluate(engine: Engine, client: ClientData, params: Flat, own: Candidate, personal: Personal) -> PersonReport:
    """One look at `client.test`, by all four. Raises LearningError `training.series_short` if it has no window."""
    if not len(client.test):
        raise LearningError("training.series_short", subject=client.subject, detail="no window to test")

    def error(of: Flat) -> float:
        return rmse(errors(engine.predict(of, client.test), client.test, client.scale))

    width = interval(engine, client, personal.params)
    own_errors = errors(engine.predict(personal.params, client.test), client.test, client.scale)
    shared_errors = errors(engine.predict(params, client.test), client.test, client.scale)
    gain = gain_interval(shared_errors, own_errors, max(1, client.task.horizon), client.subject.encode())
    return PersonReport(
        client.subject,
        len(client.test),
        rmse(last_value_errors(client.test)),
        error(own.params),
        error(params),
        error(personal.params),
        error(personal.candidate.params),
        personal.candidate.name,
        personal.decision.verdict,
        personal.decision.windows,
        personal.decision.gain,
        personal.decision.bound,
        width,
        None if width is None else float((np.abs(own_errors) <= width).mean()),
        _gate_rmse(engine, client, params),
        input_shift(client.fit, client.test, client.task.columns or VALUE_CHANNELS),
        None if gain is None else gain.low,
        None if gain is None else gain.high,
    )


def _gate_rmse(engine: Engine, client: ClientData, params: Flat) -> float | None:
    left = [errors(engine.predict(params, part), part, client.scale) for part in (client.gate_a, client.gate_b)]
    return rmse(np.concatenate(left)) if sum(map(len, left)) else None


def interval(engine: Engine, client: ClientData, params: Flat) -> float | None:
    """Half of the 80 % interval around forecasts of `params` (d,), from both gate parts; None of too few windows."""
    parts = (client.gate_a, client.gate_b)
    left = np.concatenate([errors(engine.predict(params, part), part, client.scale) for part in parts])
    try:
        return half_width(left)
    except LearningError:
        return None


def served(engine: Engine, client: ClientData, personal: Personal) -> ServedModel:
    """The model that may forecast for this person from now on."""
    return ServedModel(personal.params, client.scale, interval(engine, client, personal.params))
