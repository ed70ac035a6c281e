"""Who may take part in a round: consent asked of `decide`, twin by twin, and the minima. privacy.md section 1."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final, TypeAlias

from didymos_did import (
    AccessRequest,
    Action,
    Context,
    Did,
    Facts,
    GrantId,
    Purpose,
    Reason,
    Task,
    TwinId,
    decide,
    jcs,
)
from didymos_learning import RunSpec, TaskSpec

FactsOf: TypeAlias = Callable[[TwinId], Facts]
MINUTE_S: Final = 60
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Subject:
    """A twin in a cohort, and the grant that lets it in."""

    twin: TwinId
    grant: GrantId


@dataclass(frozen=True, slots=True)
class Member:
    """A site (or a chunk of simulated clients) with what it may train on. `name`: its DID."""

    name: Did
    subjects: tuple[Subject, ...]
    size: int  # subjects, or simulated clients


@dataclass(frozen=True, slots=True)
class Cohort:
    """The members of a round in their one order: ascending by name."""

    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """How many subjects take part."""
        return sum(member.size for member in self.members)

    @property
    def names(self) -> tuple[Did, ...]:
        return tuple(member.name for member in self.members)

    @property
    def grants(self) -> tuple[GrantId, ...]:
        return tuple(sorted(subject.grant for member in self.members for subject in member.subjects))

    @property
    def digest(self) -> bytes:
        """SHA-256 over members and subjects: what `RoundOpened` tells of the cohort."""
        said = [[member.name, member.size, [subject.twin for subject in member.subjects]] for member in self.members]
        return sha256(jcs(said)).digest()

    def member(self, name: Did) -> Member | None:
        return next((member for member in self.members if member.name == name), None)

    def without(self, names: frozenset[Did]) -> "Cohort":
        return Cohort(tuple(member for member in self.members if member.name not in names))


@dataclass(frozen=True, slots=True)
class Use:
    """What the buyer wants of each twin: the request that `decide` answers."""

    buyer: Did
    purpose: Purpose
    task: Task
    family: str
    agreement: str
    masked: bool

    def of(self, twin: TwinId, cohort: int) -> AccessRequest:
        context = Context(
            cohort=cohort, secure_aggregation=self.masked, model_family=self.family, agreement=self.agreement
        )
        paths = (self.task.target,)
        return AccessRequest(self.buyer, Action.TRAIN, twin, paths, self.purpose, self.task, context)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may take part, and why the others may not."""

    cohort: Cohort
    refused: Mapping[TwinId, Reason]


class Short(Enum):
    """Which minimum is missed."""

    SITES = "sites"
    SUBJECTS = "subjects"
    WITHOUT_LARGEST = "subjects_without_largest_sites"


def admit(offered: Mapping[Did, Sequence[TwinId]], use: Use, facts_of: FactsOf, now: datetime) -> Admission:
    """The cohort out of what sites offer: twins whose grants allow this use in a cohort of just this size.

    A grant may ask for a least cohort, so a refusal shrinks it and may bring the next one: repeated until it stands. A
    twin that two sites offer belongs to the first by name: one site a subject.
    """
    places: dict[TwinId, Did] = {}
    for site in sorted(offered):
        for twin in sorted(set(offered[site])):
            places.setdefault(twin, site)
    refused: dict[TwinId, Reason] = {}
    while True:
        standing = [twin for twin in places if twin not in refused]
        decided = {twin: decide(use.of(twin, len(standing)), facts_of(twin), now) for twin in standing}
        denied = {twin: made.reason for twin, made in decided.items() if not made.allowed or made.grant is None}
        refused |= denied
        if not denied:
            break
    admitted = {twin: made.grant for twin, made in decided.items() if made.grant is not None}
    members = []
    for site in sorted({places[twin] for twin in admitted}):
        own = tuple(Subject(twin, admitted[twin]) for twin in sorted(admitted) if places[twin] == site)
        members.append(Member(site, own, len(own)))
    return Admission(Cohort(tuple(members)), refused)


def denied_among(cohort: Cohort, use: Use, facts_of: FactsOf, now: datetime) -> dict[Did, Reason]:
    """The members of which a subject may not take part any more in a cohort of this size, and why."""
    found: dict[Did, Reason] = {}
    for member in cohort.members:
        for subject in member.subjects:
            made = decide(use.of(subject.twin, cohort.size), facts_of(subject.twin), now)
            if not made.allowed:
                found[member.name] = made.reason
    return found


def short_of(sizes: Sequence[int], spec: RunSpec, sites: int) -> Short | None:
    """Which minimum members of these sizes miss: at least `sites` of them, and `spec.cohort.subjects` subjects.

    Under masks half of these subjects must also be left when the floor(n/3) largest members are taken away: they may
    be one party. privacy.md section 1.
    """
    if len(sizes) < sites:
        return Short.SITES
    if sum(sizes) < spec.cohort.subjects:
        return Short.SUBJECTS
    rest = sorted(sizes)[: len(sizes) - len(sizes) // 3]
    if spec.masking == "pairwise" and 2 * sum(rest) < spec.cohort.subjects:
        return Short.WITHOUT_LARGEST
    return None


def grant_task(task: TaskSpec) -> Task:
    """The task as grants name it: `forecast` of a path, with its horizon as an ISO 8601 duration."""
    seconds = task.horizon * task.period_s
    if seconds % HOUR_S == 0:
        horizon = f"PT{seconds // HOUR_S}H"
    elif seconds % MINUTE_S == 0:
        horizon = f"PT{seconds // MINUTE_S}M"
    else:
        horizon = f"PT{seconds}S"
    return Task(task.kind, task.prop, horizon)


def use_of(buyer: Did, purpose: Purpose, agreement: str, spec: RunSpec) -> Use:
    """What a run of `spec` asks of each twin."""
    task = grant_task(spec.model.task)
    return Use(buyer, purpose, task, spec.model.arch, agreement, masked=spec.masking == "pairwise")
