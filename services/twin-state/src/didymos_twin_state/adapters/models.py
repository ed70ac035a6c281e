"""Registered models, from the tail of didymos.model.v1, and their parameters, from the files of the house."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from didymos.training.v1.training_events_pb2 import ModelRegistered, ModelWithdrawn
from didymos_kit import log
from didymos_kit.eventlog import Stored
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.files import Files

from didymos_twin_state.domain.forecast import Served

BAND: Final = 1.2816  # standard deviations that 80 % of a normal error stay within
PREFIXES: Final = ("models", "training/objects")


class ModelTail:
    """`Models`. Blind to repeats; of two models of one task the later record is the newer."""

    def __init__(self) -> None:
        self._models: dict[str, Served] = {}
        self._own: Counter[str] = Counter()  # models by twin

    def apply(self, record: Stored) -> None:
        """A card that serving does not understand is passed over: its model is just not served."""
        if record.value is None:
            return
        match event_type(record.headers).rpartition(".")[2]:
            case "ModelRegistered":
                said = ModelRegistered.FromString(record.value)
                try:
                    served = served_of(said, record.at_ms * 1000)
                except (ValueError, KeyError, TypeError) as error:
                    log.get().warning("twin.model_passed_over", model=said.model_id, error=type(error).__name__)
                    return
                self._drop(said.model_id)
                self._models[said.model_id] = served
                self._own[served.twin] += 1
            case "ModelWithdrawn":
                self._drop(ModelWithdrawn.FromString(record.value).model_id)
            case _:
                pass

    def shared(self, name: str) -> Sequence[Served]:
        return [model for model in reversed(self._models.values()) if not model.twin and model.name == name]

    def of(self, model_id: str) -> Served | None:
        return self._models.get(model_id)

    def has_own(self, twin: str) -> bool:
        return twin in self._own

    def _drop(self, model_id: str) -> None:
        known = self._models.pop(model_id, None)
        if known is not None:
            self._own[known.twin] -= 1
            if not self._own[known.twin]:
                del self._own[known.twin]


def served_of(said: ModelRegistered, since_us: int) -> Served:
    """What serving needs of a card. Raises ValueError, KeyError or TypeError for a card of another shape."""
    card = json.loads(said.card)
    task = card["task"]
    metrics = {
        str(name): float(value)
        for name, value in card.get("metrics", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    low, high = _band(card, metrics)
    name, period_us = str(task["property"]).removeprefix("features/"), int(task["period_s"]) * 1_000_000
    return Served(
        said.model_id, said.run, said.twin, said.task, name, str(task["unit"]), period_us,
        int(task["input"]), int(task["horizon"]) * period_us, bytes.fromhex(card["spec"]), said.params_digest, low,
        high, metrics, since_us,
    )  # fmt: skip


def _band(card: dict[str, Any], metrics: dict[str, float]) -> tuple[float, float]:
    """Offsets from the mean: the conformal ones of the card, else what its error suggests."""
    said = card.get("interval")
    if isinstance(said, list) and len(said) == 2:
        low, high = float(said[0]), float(said[1])
        if low <= 0.0 <= high and low < high:
            return low, high
    error = metrics.get("rmse_personal" if card.get("twin") else "rmse_global", 0.0)
    return -BAND * error, BAND * error


class ModelFiles:
    """Objects by their SHA-256, under the names that training gives them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def get(self, digest: bytes) -> bytes | None:
        for prefix in PREFIXES:
            found = await self._files.get(f"{prefix}/{digest.hex()}")
            if found is not None:
                return found
        return None
