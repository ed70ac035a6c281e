"""May this actor do this with this twin now: `decide` on the tails of this process, and the owner's audit."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from didymos_did import AccessRequest, Decision, Did, Facts, decide, decision_id

from didymos_identity.domain.events import AccessDecided

A_MINUTE: Final = 10
KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Decided:
    """`told`: whether the caller may know the answer. `audit`: what the owner's audit keeps, if anything."""

    decision: Decision
    told: bool
    audit: AccessDecided | None


def decide_access(
    request: AccessRequest, caller: Did, services: Container[Did], facts: Facts, now: datetime
) -> Decided:
    """Owners and services are told everything; an actor is told of itself where a grant of its own is in question.

    So a stranger cannot tell a twin without a grant from no twin.
    """
    owner, decision = facts.ownership.owner, decide(request, facts, now)
    of_itself = caller == request.actor
    told = caller in services or caller == owner or (of_itself and (decision.allowed or decision.grant is not None))
    attempted = of_itself or caller in services
    if decision.allowed or owner is None or not attempted:
        return Decided(decision, told, None)
    return Decided(decision, told, AccessDecided(decision_id(request, facts, now), request, decision, now))


class AuditQuota:
    """Ten denials a minute and actor go to the audit: a flood of them would say no more than that."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._minute = -1
        self._spent: dict[Did, int] = {}

    def spend(self, actor: Did) -> bool:
        minute = int(self._monotonic() // 60)
        if minute != self._minute:
            self._minute, self._spent = minute, {}
        spent = self._spent.get(actor, 0)
        if spent >= A_MINUTE or (spent == 0 and len(self._spent) >= KEPT):
            return False
        self._spent[actor] = spent + 1
        return True
