"""What the use cases need from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from didymos_did import Did, Facts, GrantId, TwinId
from didymos_kit.clock import Clock
from didymos_learning import Flat, RunSpec
from didymos_privacy import SiteMessage, SiteState

from didymos_site.domain.hours import Limits
from didymos_site.domain.order import DataOrder, Digest, Header
from didymos_site.domain.subject import Subject


@dataclass(frozen=True, slots=True)
class Clear:
    """A sum in clear lies at the coordinator under this digest."""

    vector: Digest
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class Line:
    """One subject's line of a personal report. Errors are on held-out time, in the unit of the target."""

    twin: TwinId
    accepted: bool
    reason: str
    candidate: str
    bound: float
    gate_windows: int
    test_windows: int
    rmse_last_value: float
    rmse_own: float
    rmse_global: float
    rmse_personal: float
    interval: float  # half the width of the conformal band
    score: float = 0.0
    model: bytes = b""
    rmse_gate: float = 0.0
    input_shift: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What is told of the personal models of this site."""

    lines: tuple[Line, ...]


Said: TypeAlias = SiteMessage | Clear | Report


@dataclass(frozen=True, slots=True)
class Trained:
    """The sum over subjects of w_i clip(y_i - x) (d,), the sum of w_i, and each subject's score. Stays in the site.

    Of an evaluation: the sum of their histograms (width,), their number, and no scores.
    """

    total: Flat
    weight: float
    twins: tuple[TwinId, ...]
    scores: Mapping[TwinId, float]


@dataclass(frozen=True, slots=True)
class PersonalModel:
    """`served`: bytes of a `didymos_learning.serving.ServedModel`: parameters, the scale of the readings, the band."""

    line: Line
    served: bytes


class Voice(Protocol):
    """Prints and signs what this site says."""

    @property
    def site(self) -> Did: ...

    def say(self, header: Header, listed: Digest, said: Said) -> bytes:
        """A serialised signal: the same bytes for the same words."""


class Objects(Protocol):
    """Objects at the coordinator, by their SHA-256."""

    async def fetch(self, digest: Digest) -> bytes:
        """Raises TRAINING_DIGEST_MISMATCHED, TRAINING_OBJECT_TOO_LARGE, the coordinator's problems, Away."""

    async def deliver(self, data: bytes) -> None:
        """Returns when all of it is there, durable. Goes on where an earlier delivery broke. Raises Away."""


class StoreFailed(Exception):  # noqa: N818 - a state of the world, not a mistake
    """Nothing can be kept, so nothing may be said: the site ends."""


class Away(Exception):  # noqa: N818 - a state of the world, not a mistake
    """The coordinator cannot be reached. What it ordered comes again, and so does the answer."""


class Learner(Protocol):
    """Training on the readings of this folder: one call at a time, whoever asks."""

    async def train(
        self, spec: RunSpec, params: Flat, round_: int, subjects: Sequence[Subject], gradient: Flat | None
    ) -> Trained:
        """Raises LearningError."""

    async def evaluate(self, spec: RunSpec, params: Flat, subjects: Sequence[Subject]) -> Trained:
        """Of those that hold something out. Raises LearningError."""

    async def personalise(self, spec: RunSpec, params: Flat, subject: Subject) -> PersonalModel:
        """Raises LearningError."""


class Consent(Protocol):
    """What owners allow, as far as it is known now."""

    async def settle(self) -> None:
        """Waits a while if all of it is stale: a busy machine is not a revocation."""

    def facts(self, twin: TwinId, booked: Mapping[GrantId, int]) -> Facts:
        """`booked`: rounds of each grant that this site has booked."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written with one answer, in one transaction, before the answer leaves."""

    header: Header
    step: str
    order: Digest
    signal: bytes
    state: SiteState | None = None
    vector: bytes = b""  # the one masked (or clear) vector of the round
    booked: tuple[GrantId, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer that an order had, and the digest of that order."""

    order: Digest
    signal: bytes


class Store(Protocol):
    """What a site must not forget. Every method is one durable transaction."""

    def answered(self, header: Header, step: str) -> Answered | None: ...

    def state(self, header: Header) -> SiteState | None: ...

    def vector(self, run: str, round_: int) -> tuple[int, bytes] | None:
        """(attempt, bytes) of the one vector of a round; no bytes once the round is closed."""

    def keep(self, kept: Kept) -> None:
        """Raises PRIVACY_SECOND_VECTOR_REFUSED for another vector of a round that has one."""

    def keep_state(self, header: Header, state: SiteState) -> None:
        """Where an attempt stands after an order that was refused."""

    def keep_trained(self, order: DataOrder, trained: Trained, day: str) -> None:
        """`day`: the one whose rounds it is among; empty for what is no training."""

    def trained_on(self, day: str, run: str, round_: int) -> int:
        """Rounds trained on a day, this one left out."""

    def opened(self, header: Header) -> DataOrder | None:
        """The order that this site trained or evaluated for, in any attempt of the round, from the same parameters."""

    def trained(self, header: Header) -> Trained | None:
        """What was trained for this round from the same parameters."""

    def booked(self, run: str, round_: int) -> Mapping[GrantId, int]:
        """Rounds booked under each grant, this one left out."""

    def refused(self, header: Header, step: str, code: str, at_us: int) -> None:
        """For the owner to see: what this site did not do, and why."""

    def close(self, header: Header, *, committed: bool) -> None:
        """The round is over: what is secret or large of it goes; scores of a committed one count."""

    def scores(self, run: str) -> Mapping[TwinId, float]:
        """The sum over committed rounds of each twin that took part in one."""


@dataclass(frozen=True, slots=True)
class Ports:
    """`secret`: 32 bytes of this site, for randomness that must be the same after a restart."""

    store: Store
    objects: Objects
    learner: Learner
    consent: Consent
    voice: Voice
    clock: Clock
    subjects: Mapping[TwinId, Subject]
    secret: bytes
    limits: Limits
