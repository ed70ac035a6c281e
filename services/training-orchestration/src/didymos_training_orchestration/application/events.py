"""What happened, in the past tense. `adapters.protobuf` prints them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from didymos_training_orchestration.domain.contribution import Contribution
from didymos_training_orchestration.domain.model import Model
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run


@dataclass(frozen=True, slots=True)
class RunStarted:
    run: Run
    at: datetime


@dataclass(frozen=True, slots=True)
class RoundOpened:
    round: Round


@dataclass(frozen=True, slots=True)
class RoundClosed:
    run: Run
    round: Round


@dataclass(frozen=True, slots=True)
class RoundAborted:
    round: Round


@dataclass(frozen=True, slots=True)
class RunCompleted:
    run: Run
    contributions: tuple[Contribution, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class RunFailed:
    run: Run


@dataclass(frozen=True, slots=True)
class ModelRegistered:
    model: Model


Event: TypeAlias = RunStarted | RoundOpened | RoundClosed | RoundAborted | RunCompleted | RunFailed | ModelRegistered
