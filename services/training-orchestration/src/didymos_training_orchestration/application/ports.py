"""What the use cases need of the world."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from didymos_did import Did, Facts, GrantId, TwinId, Usage
from didymos_learning import Flat, RunSpec
from didymos_learning.strategies import Broadcast

from didymos_training_orchestration.application.events import Event
from didymos_training_orchestration.application.results import Offer, Order, Result
from didymos_training_orchestration.domain.budget import Account, Booking, Drawn
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.evaluation import Tally
from didymos_training_orchestration.domain.judgement import Judgement
from didymos_training_orchestration.domain.model import Model, ModelId, Parent
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Digest, Run, RunId, Terms

Value = TypeVar("Value")


class Runs(Protocol):
    async def add(self, run: Run) -> None: ...

    async def find(self, run: RunId) -> Run | None: ...

    async def lock(self, run: RunId) -> Run | None:
        """The run, which nobody else changes until this unit of work ends."""

    async def save(self, run: Run) -> None:
        """Store the next revision. Raises TRAINING_LEASE_LOST when another one was stored meanwhile."""

    async def of(self, party: Did, before: RunId | None, limit: int) -> Sequence[Run]:
        """Runs of which `party` is buyer or provider, newest first."""

    async def under(self, agreement: str) -> Sequence[Run]:
        """Runs of an agreement."""

    async def to_drive(self) -> Sequence[RunId]:
        """Runs that are running, oldest first."""

    async def take_lease(self, run: RunId, owner: str, now: datetime, until: datetime, *, at_once: bool) -> int | None:
        """The epoch of a new term, or None while another coordinator holds the run."""

    async def renew_lease(self, run: RunId, epoch: int, until: datetime) -> bool: ...


class Rounds(Protocol):
    async def add(self, round_: Round) -> None: ...

    async def save(self, round_: Round) -> None: ...

    async def find(self, run: RunId, number: int) -> Round | None: ...

    async def of(self, run: RunId) -> Sequence[Round]:
        """All of them, in order."""

    async def newest(self, run: RunId, count: int) -> Sequence[Round]:
        """The last `count` of them, in order."""

    async def add_committed(self, rounds: Sequence[Round]) -> None:
        """Rounds that nobody has seen open, of one run and one cohort, with what became of its members."""

    async def outcome(self, round_: Round, outcomes: Mapping[Did, str]) -> None:
        """Note what became of members: delivered, or the code by which they were lost."""

    async def outcomes(self, run: RunId, number: int) -> Mapping[tuple[int, Did], str]:
        """By attempt and member."""


class Book(Protocol):
    async def accounts(self, grants: Sequence[GrantId]) -> Mapping[GrantId, Account]: ...

    async def book(self, run: RunId, number: int, grants: Sequence[GrantId], then: Booking) -> None:
        """Move the entries of these grants; what is there already stays as it is."""

    async def spent_rounds(self, run: RunId) -> Mapping[GrantId, int]:
        """How many rounds of this run each grant paid for."""

    async def entries(self, run: RunId, grant: GrantId) -> Mapping[int, Booking]:
        """By round, where each booking of this grant stands."""

    async def drawn(self) -> Drawn:
        """Over all grants: a gauge."""


class Registry(Protocol):
    async def add(self, model: Model, parents: Sequence[Parent]) -> None:
        """Of no effect for a model that is there."""

    async def find(self, model: ModelId) -> Model | None: ...

    async def of_run(self, run: RunId) -> Sequence[Model]: ...

    async def parents(self, model: ModelId) -> Sequence[Parent]: ...

    async def children(self, model: ModelId) -> Sequence[Parent]: ...

    async def report(self, run: RunId, reports: Sequence[SubjectReport]) -> None: ...

    async def reports(self, run: RunId) -> Sequence[SubjectReport]: ...

    async def of_twin(self, twin: TwinId) -> Sequence[Model]:
        """Its own models, erased ones too."""

    async def reports_of(self, twin: TwinId) -> Sequence[SubjectReport]:
        """What sites reported of it, in every run."""

    async def erase(self, models: Sequence[Model], twin: TwinId) -> None:
        """Store the models as they are now, and forget what sites reported of the twin."""

    async def unjudged(self) -> RunId | None:
        """An ended run that has no judgement yet, the oldest."""

    async def judged(self, run: RunId, judgement: Judgement) -> None:
        """Of no effect for a run that has one."""

    async def judgement(self, run: RunId) -> Judgement | None: ...

    async def counted(self, run: RunId, tally: Tally) -> None:
        """Of no effect for a round that has a tally."""

    async def tallies(self, run: RunId) -> Sequence[Tally]:
        """By round."""

    async def note_uses(self, round_: Round) -> None:
        """The twins of its cohort, each under its grant; of no effect for what is noted."""

    async def uses(self, twin: TwinId) -> Sequence[tuple[RunId, GrantId]]:
        """The runs that asked for this twin, oldest first, and under which grants."""


@dataclass(frozen=True, slots=True)
class Work:
    """Ports bound to one transaction: what they change and what is published commits together, or not at all."""

    runs: Runs
    rounds: Rounds
    book: Book
    registry: Registry
    publish: Callable[[Event], None]


class Units(Protocol):
    """`await units(lambda work: open_round(..., work))`: one transaction, committed when it returns."""

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]]) -> Value: ...


class Objects(Protocol):
    """Whole objects by their SHA-256: parameters, specifications, gradients, delivered vectors."""

    async def put(self, data: bytes) -> Digest:
        """Durable when it returns."""

    async def get(self, digest: Digest) -> bytes | None: ...

    async def drop(self, digest: Digest) -> None: ...


class Clients(Protocol):
    """Where local training takes place: simulated, at sites, or in this process. learning.md section 3."""

    def keeps(self, spec: RunSpec) -> bool:
        """Whether a round leaves anything with its members: then it is durable before the next one opens."""

    def engine(self, spec: RunSpec) -> str:
        """By which engine they train a run of `spec`."""

    async def offered(self, spec: RunSpec) -> Offer:
        """Who is there for this task."""

    async def changed(self, seconds: float) -> None:
        """Return when what is offered may have changed, at the latest after `seconds`."""

    async def open(self, order: Order, params: Flat, broadcast: Broadcast = ()) -> None:
        """Let the members train. Repeated after a restart, with the same order.

        `broadcast`: what the strategy sends to clients beside the parameters.
        """

    def results(self, order: Order) -> AsyncIterator[Result]:
        """What comes back, until the attempt is decided. A `Reached` takes effect when the next result is asked for."""

    async def close(self, order: Order, outcome: str, reason: str) -> None:
        """The attempt is over; members drop what they kept."""

    async def personalise(self, order: Order, params: Flat) -> Sequence[SubjectReport]:
        """The reports of all members that answer before the deadline."""


class Consent(Protocol):
    """What `decide` may know of a twin, now, from the tails of this process."""

    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage] = ...) -> Facts: ...


class Meters(Protocol):
    """What is counted. telemetry/metrics.yaml."""

    def opened(self) -> None: ...

    def ended(self, outcome: str, seconds: float) -> None:
        """A round: `closed` or `aborted`."""

    def client(self, outcome: str) -> None:
        """A member: `delivered`, `dropped` or `refused`."""

    def model(self, kind: str, outcome: str) -> None: ...

    def budget(self, used: float) -> None:
        """The share that the most used grant of a cohort has used of its budget, with the round that opens."""


class Agreements(Protocol):
    async def final(self, agreement: str, purpose: str = "") -> Terms:
        """`purpose`: which one of several that it admits; empty when it admits one.

        Raises TRAINING_AGREEMENT_NOT_FINAL, TRAINING_AGREEMENT_MISMATCHED, PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE.
        """


class Mathematics(Protocol):
    """What needs torch: role `api` has none."""

    async def initial(self, spec: RunSpec) -> Flat: ...

    async def validation_gradient(self, spec: RunSpec, params: Flat) -> Flat | None:
        """None when the specification commits no validation data. Raises TRAINING_VALIDATION_MISMATCHED."""

    async def fingerprint(self, engine: str) -> str:
        """What the bits of a result depend on beside the specification."""
