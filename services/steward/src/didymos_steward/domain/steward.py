"""A steward: what its owner asked it to watch, and what it did. identity.md section 6 has its bounds."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from didymos_did import Did, GrantId, Purpose, TwinId


@dataclass(frozen=True, slots=True)
class Band:
    """Where the owner wants a property to stay, in the unit of the property."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Steward:
    """The agent of one twin. It watches `property` and may set `command`, inside the bounds of `grant`.

    `purpose` is what it says when it reads.
    """

    twin: TwinId
    owner: Did
    property: str
    command: str
    band: Band
    grant: GrantId
    purpose: Purpose
    appointed_at: datetime


class ActState(Enum):
    """What became of an act. `proposed`: the gate of twin-state has not spoken yet."""

    PROPOSED = "proposed"
    APPLIED = "applied"
    REFUSED = "refused"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Act:
    """One act: what was done and why, under which bounds. `before`: the desired value it replaced, None for none.

    `id`: of the command, 16 bytes; `detail`: the code of a refusal; `undone_by`: the command that took it back.
    """

    id: bytes
    twin: TwinId
    property: str
    value: float
    unit: str
    before: float | None
    reason: str
    grant: GrantId
    at: datetime
    state: ActState = ActState.PROPOSED
    detail: str = ""
    undone_by: bytes = b""


def feature(property_: str) -> str:
    """The path of a property in grants."""
    return f"features/{property_}"
