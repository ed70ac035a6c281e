"""Strategies of other packages: entry points of the group `didymos.strategies`, each a record named as it says."""

from collections.abc import Mapping
from typing import Final

from didymos_learning.errors import LearningError
from didymos_learning.installed import installed, names
from didymos_learning.strategies.strategy import ByIndividual, BySum, Strategy

GROUP: Final = "didymos.strategies"


def named(name: str, own: Mapping[str, Strategy]) -> Strategy | None:
    """From `own` or an installed package. Raises LearningError `training.strategy_unknown` where two claim the name."""
    try:
        found = installed(GROUP, name, own, object)
    except LearningError as error:
        raise LearningError("training.strategy_unknown", name=name[:64], detail=error.values.get("detail")) from error
    if found is not None and (not isinstance(found, BySum | ByIndividual) or found.name != name):
        raise LearningError("training.strategy_unknown", name=name[:64], detail=f"{GROUP}: what it names is another")
    return found


def everything(own: Mapping[str, Strategy]) -> dict[str, Strategy]:
    """All that can be named; what is claimed twice, or is none, is left out."""
    known: dict[str, Strategy] = {}
    for name in [*own, *names(GROUP)]:
        try:
            found = named(name, own)
        except LearningError:
            continue
        if found is not None:
            known[name] = found
    return known
