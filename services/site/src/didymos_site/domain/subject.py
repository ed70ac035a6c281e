"""Whose data lie here."""

from dataclasses import dataclass
from enum import Enum

from didymos_did import Did, TwinId


class Placement(Enum):
    """Where the parameters of a personal model may be kept. PLATFORM: sealed to the service that serves them."""

    SITE = "site"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Subject:
    """A twin whose owner keeps the readings in this folder. `person`: its rows in `series`, a file of the folder."""

    twin: TwinId
    owner: Did
    series: str
    person: str
    placement: Placement = Placement.SITE
