"""What a coordinator works with while it drives runs."""

from dataclasses import dataclass
from typing import Final

from didymos_kit.clock import Clock

from didymos_training_orchestration.application.ports import Clients, Consent, Mathematics, Meters, Objects, Units
from didymos_training_orchestration.domain.run import ClientsKind

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long clients may train in the first round, gather before a round, and fit their own models at the end."""

    first_training_us: int = 600 * SECOND_US
    gather_seconds: float = 120.0
    personal_us: int = 1800 * SECOND_US


@dataclass(frozen=True, slots=True)
class World:
    units: Units
    clients: dict[ClientsKind, Clients]
    consent: Consent
    objects: Objects
    mathematics: Mathematics
    clock: Clock
    meters: Meters
    pace: Pace = Pace()
