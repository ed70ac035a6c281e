"""Whether a subject may be trained on: the site asks `decide` itself, and trusts no answer of the coordinator's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from didymos_did import (
    AccessRequest,
    Action,
    Context,
    Decision,
    Did,
    Facts,
    Grant,
    GrantId,
    Purpose,
    Reason,
    Task,
    TwinId,
    decide,
)
from didymos_learning import RunSpec, TaskSpec
from didymos_privacy import Minima

FactsOf: TypeAlias = Callable[[TwinId], Facts]
LEAST_SUBJECTS: Final = 10
_HOUR: Final = 3600
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Use:
    """For whom, for what, and in which company a round trains."""

    grantee: Did
    purpose: str
    agreement: str
    cohort: int
    masked: bool
    spec: RunSpec

    def of(self, twin: TwinId) -> AccessRequest:
        task = grant_task(self.spec.model.task)
        context = Context(
            cohort=self.cohort, secure_aggregation=self.masked, model_family=self.spec.model.arch,
            agreement=self.agreement,
        )  # fmt: skip
        purpose = Purpose(self.purpose)
        return AccessRequest(self.grantee, Action.TRAIN, twin, (task.target,), purpose, task, context)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Twins that may be used, each under one grant; and why the others may not."""

    grants: Mapping[TwinId, GrantId]
    refused: Mapping[TwinId, Reason]
    minima: Minima

    @property
    def twins(self) -> tuple[TwinId, ...]:
        return tuple(self.grants)


def admit(twins: Sequence[TwinId], use: Use, facts_of: FactsOf, now: datetime) -> Admitted:
    """Asks `decide` of each twin. The minima of the round are at least what every used grant asks for."""
    grants: dict[TwinId, GrantId] = {}
    refused: dict[TwinId, Reason] = {}
    least = LEAST_SUBJECTS
    for twin in sorted(set(twins)):
        facts = facts_of(twin)
        decision = decide(use.of(twin), facts, now)
        if not decision.allowed or decision.grant is None:
            refused[twin] = decision.reason
            continue
        grants[twin] = decision.grant
        least = max(least, _min_cohort(facts.grants, decision))
    return Admitted(grants, refused, Minima(subjects=least))


def _min_cohort(grants: Sequence[Grant], decision: Decision) -> int:
    found = [grant.terms.constraint("min-cohort") for grant in grants if grant.id == decision.grant]
    return max((least for least in found if type(least) is int), default=0)


def grant_task(task: TaskSpec) -> Task:
    """The task as grants name it: its kind, the path, and the horizon as an ISO 8601 duration."""
    seconds = task.horizon * task.period_s
    if seconds % _HOUR == 0:
        horizon = f"PT{seconds // _HOUR}H"
    elif seconds % _MINUTE == 0:
        horizon = f"PT{seconds // _MINUTE}M"
    else:
        horizon = f"PT{seconds}S"
    return Task(task.kind, task.prop, horizon)
