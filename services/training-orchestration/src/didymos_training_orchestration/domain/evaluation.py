"""Evaluations that members make together: rounds of their own, under a name of their own. learning.md 10, ADR 138.

A site keeps one vector a round, a book one entry, a coordinator one journal: an evaluation has its own by its name.
"""

from dataclasses import dataclass
from typing import Final

from didymos_training_orchestration.domain.run import RunId

SUFFIX: Final = "/evaluation"


def evaluation_of(run: RunId) -> RunId:
    """The name under which the evaluations of a run are kept; their numbers are those of the rounds they follow."""
    return RunId(run + SUFFIX)


def training_of(name: RunId) -> RunId:
    """The run of a round, be it of training or an evaluation."""
    return RunId(name.removesuffix(SUFFIX))


@dataclass(frozen=True, slots=True)
class Tally:
    """What one evaluation gave: `sums` (width,) over `subjects`, each of whom counts once, at `sites`."""

    round: int
    sites: int
    subjects: int
    sums: tuple[float, ...]
