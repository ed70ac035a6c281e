"""What goes out to clients and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from didymos_did import Did, TwinId
from didymos_learning import RunSpec, Total

from didymos_training_orchestration.domain.cohort import Cohort, Use, use_of
from didymos_training_orchestration.domain.evaluation import training_of
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Digest, Run, RunId


@dataclass(frozen=True, slots=True)
class Offer:
    """Who is there: sites with the twins that they offer, or chunks with how many simulated clients they hold."""

    sites: Mapping[Did, tuple[TwinId, ...]] = field(default_factory=dict)
    chunks: Mapping[Did, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """Train from `params` (a digest) in this attempt. Idempotent: the same order has the same answers.

    `training_us`: how long clients may train. A coordinator that starts again waits that long anew: else a restart
    would lose sites, and change the bits.
    """

    run: RunId
    round: int
    attempt: int
    deadline_us: int
    spec: RunSpec
    use: Use
    cohort: Cohort
    params: Digest
    training_us: int = 0
    gradient: Digest = b""

    @property
    def evaluates(self) -> bool:
        """Whether members are asked for their errors from `params`, not for training."""
        return self.run != training_of(self.run)


def order_of(run: Run, round_: Round, gradient: Digest = b"") -> Order:
    """The order to train, or to evaluate, of this attempt: the same after a restart."""
    use = use_of(run.terms.buyer, run.terms.purpose, run.terms.agreement, run.spec)
    return Order(
        round_.run, round_.number, round_.attempt, round_.opened_us + round_.training_us, run.spec, use, round_.cohort,
        round_.params, round_.training_us, gradient,
    )  # fmt: skip


class Stage(Enum):
    """Stages of a masked round, each durable before it takes effect. privacy.md section 3."""

    AGREE = "agree"  # the list is fixed: ciphertexts are asked for
    SHARE = "share"  # boxes are asked for
    MASK = "mask"  # who is expected is fixed: vectors are asked for
    CONFIRM = "confirm"  # who survived is fixed: signatures are asked for
    UNMASK = "unmask"  # shares are asked for: what follows opens the sum


@dataclass(frozen=True, slots=True)
class Part:
    """The sum of one member in clear: weighted updates (d,) as float32, the weights, and how many clients it has."""

    member: Did
    total: Total


@dataclass(frozen=True, slots=True)
class Opened:
    """The sum of all survivors, unmasked. `transcript`: the digest that they signed."""

    survivors: tuple[Did, ...]
    total: Total
    transcript: Digest


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage closed with these members. It takes effect once this is durable: when the next result is asked for."""

    stage: Stage
    members: tuple[Did, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A member is out of this attempt, and why. A code of the catalogue, or `deadline`."""

    member: Did
    code: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The attempt cannot give a sum. Before the first masked vector another one may."""

    code: str


Result: TypeAlias = Part | Opened | Reached | Lost | Broken
