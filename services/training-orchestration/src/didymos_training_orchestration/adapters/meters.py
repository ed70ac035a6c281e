"""The metrics of this service, bound once. telemetry/metrics.yaml."""

from didymos_contracts.metrics import (
    TRAINING_BUDGET_USED_RATIO,
    TRAINING_CLIENTS_TOTAL,
    TRAINING_MODELS_TOTAL,
    TRAINING_ROUND_SECONDS,
    TRAINING_ROUNDS_TOTAL,
    TRAINING_RUNNING_ROUNDS,
)
from didymos_kit.telemetry.metrics import Metrics


class HouseMeters:
    """Fills `Meters`."""

    def __init__(self, metrics: Metrics) -> None:
        self._budget = metrics.gauge(TRAINING_BUDGET_USED_RATIO)
        self._running = metrics.gauge(TRAINING_RUNNING_ROUNDS)
        self._seconds = metrics.histogram(TRAINING_ROUND_SECONDS)
        self._rounds = {out: metrics.counter(TRAINING_ROUNDS_TOTAL, outcome=out) for out in ("closed", "aborted")}
        self._clients = {
            out: metrics.counter(TRAINING_CLIENTS_TOTAL, outcome=out) for out in ("delivered", "dropped", "refused")
        }
        self._models = {
            (kind, out): metrics.counter(TRAINING_MODELS_TOTAL, kind=kind, outcome=out)
            for kind in ("global", "personal")
            for out in ("accepted", "rejected")
        }

    def opened(self) -> None:
        self._running.inc()

    def ended(self, outcome: str, seconds: float) -> None:
        self._running.dec()
        self._rounds[outcome].inc()
        self._seconds.observe(seconds)

    def client(self, outcome: str) -> None:
        self._clients[outcome].inc()

    def budget(self, used: float) -> None:
        self._budget.set(used)

    def model(self, kind: str, outcome: str) -> None:
        self._models[kind, outcome].inc()
