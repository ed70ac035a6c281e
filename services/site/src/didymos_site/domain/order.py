"""Orders of the coordinator, verified and parsed. learning.md section 6."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from didymos_did import Did, TwinId
from didymos_privacy import Confirm, SetupBoxes, SetupCiphertexts, SetupList, SurvivorList

Digest: TypeAlias = bytes  # SHA-256, 32 bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What every order names. Digests but for `run`, the numbers and `agreement`."""

    run: str
    round: int
    attempt: int
    deadline_us: int
    spec: Digest
    params: Digest
    layout: Digest
    expected: Digest
    agreement: str


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """Train on these twins from `params`, for `grantee` and `purpose`. `gradient`: its object, or empty."""

    header: Header
    masking: str
    twins: tuple[TwinId, ...]
    grantee: Did
    purpose: str
    cohort: int
    gradient: Digest

    @property
    def step(self) -> str:
        return "open"


@dataclass(frozen=True, slots=True)
class EvaluateOrder:
    """Find how far off `params` is on what these twins hold out: told only as part of a masked sum."""

    header: Header
    twins: tuple[TwinId, ...]
    grantee: Did
    purpose: str
    cohort: int

    @property
    def masking(self) -> str:
        return "pairwise"

    @property
    def step(self) -> str:
        return "evaluate"


@dataclass(frozen=True, slots=True)
class SignedConfirm:
    """What another site confirmed, its signature verified. `list`: the digest of the list that it spoke of."""

    site: Did
    list: Digest
    confirm: Confirm


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Answer, if enough survivors stand by one list."""

    signed: tuple[SignedConfirm, ...]


Told: TypeAlias = SetupList | SetupCiphertexts | SetupBoxes | SurvivorList | Confirmations


@dataclass(frozen=True, slots=True)
class MaskOrder:
    """One step of secure aggregation."""

    header: Header
    told: Told

    @property
    def step(self) -> str:
        return type(self.told).__name__


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """The round is over."""

    header: Header
    outcome: Literal["committed", "aborted"]
    reason: str

    @property
    def step(self) -> str:
        return "close"


@dataclass(frozen=True, slots=True)
class PersonaliseOrder:
    """The run is over: make personal models. `recipient`: the key they are sealed to, or empty."""

    header: Header
    recipient: bytes

    @property
    def step(self) -> str:
        return "personalise"


DataOrder: TypeAlias = TrainOrder | EvaluateOrder  # what uses the data of twins, and is booked under their grants
SiteOrder: TypeAlias = DataOrder | MaskOrder | CloseOrder | PersonaliseOrder
