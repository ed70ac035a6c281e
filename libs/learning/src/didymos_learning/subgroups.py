"""Whom a model serves well and whom badly: tenths of the people by their error, and groups that somebody declared.

learning.md section 10. numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_learning.evaluation import Interval, bootstrap

DECILES: Final = 10
LEAST_PEOPLE: Final = 20  # for deciles: below that a tenth is one person
LEAST_OF_GROUP: Final = 10
HARM: Final = 0.01  # an own model that is so much worse than the shared one harms
SEED: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Errors:
    """One person's errors on test, in the unit of the target. `gate`: the shared model's on gate data, 0: not told."""

    last_value: float
    own: float
    shared: float
    personal: float
    accepted: bool
    gate: float = 0.0

    @property
    def harmed(self) -> bool:
        return self.personal > self.shared * (1.0 + HARM)


@dataclass(frozen=True, slots=True)
class Group:
    """Means over `people`; shares of 0 to 1; `gain`: shared - personal, with a 95 % bootstrap over the people."""

    name: str
    people: int
    last_value: float
    own: float
    shared: float
    personal: float
    accepted: float
    harmed: float
    gain: Interval


def by_gate(people: Sequence[Errors]) -> bool:
    """Whether errors on gate data are there to order by. By errors on test, luck alone would fill the worst tenth."""
    return all(one.gate > 0.0 for one in people)


def deciles(people: Sequence[Errors]) -> tuple[Group, ...]:
    """Tenths by the shared model's error, best first; none of fewer than `LEAST_PEOPLE`."""
    if len(people) < LEAST_PEOPLE:
        return ()
    first = by_gate(people)
    ordered = sorted(people, key=lambda one: one.gate if first else one.shared)
    cuts = [at * len(ordered) // DECILES for at in range(DECILES + 1)]
    return tuple(group(str(at + 1), ordered[cuts[at] : cuts[at + 1]]) for at in range(DECILES))


def declared(people: Mapping[str, Sequence[Errors]]) -> tuple[Group, ...]:
    """The groups of at least `LEAST_OF_GROUP` people, by name; smaller ones would point at persons."""
    return tuple(group(name, own) for name, own in sorted(people.items()) if len(own) >= LEAST_OF_GROUP)


def gap(groups: Sequence[Group], model: str) -> float | None:
    """The worst mean error of a group minus the best, of `shared` or `personal`; None for fewer than two groups."""
    if len(groups) < 2:
        return None
    found = [float(getattr(one, model)) for one in groups]
    return max(found) - min(found)


def group(name: str, people: Sequence[Errors]) -> Group:
    """Of at least one person."""
    count = len(people)
    last_value, own, shared, personal, accepted, harmed = (
        sum(float(getattr(one, column)) for one in people) / count
        for column in ("last_value", "own", "shared", "personal", "accepted", "harmed")
    )
    gain = bootstrap([one.shared - one.personal for one in people], SEED)
    return Group(name, count, last_value, own, shared, personal, accepted, harmed, gain)
