"""Strategies of other packages: entry points of the group `didymos.strategies`, each a record named as it says."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from didymos_learning.errors import LearningError
from didymos_learning.strategies.strategy import ByIndividual, BySum, Strategy

GROUP: Final = "didymos.strategies"


def installed(own: Mapping[str, Strategy]) -> Mapping[str, Strategy]:
    """`own` and those of installed packages. Raises LearningError `training.strategy_unknown` for a name twice."""
    return {**own, **_others(frozenset(own))}


@cache
def _others(taken: frozenset[str]) -> Mapping[str, Strategy]:
    """Looked up once a process: packages do not come and go while it runs."""
    found: dict[str, Strategy] = {}
    for point in entry_points(group=GROUP):
        if point.name in taken or point.name in found:
            raise LearningError("training.strategy_unknown", name=point.name, detail=f"offered twice: {_where(point)}")
        strategy = point.load()
        if not isinstance(strategy, BySum | ByIndividual) or strategy.name != point.name:
            raise LearningError("training.strategy_unknown", name=point.name, detail=f"no strategy: {_where(point)}")
        found[point.name] = strategy
    return found


def _where(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "?"
    return f"{package}: {point.value}"[:200]
