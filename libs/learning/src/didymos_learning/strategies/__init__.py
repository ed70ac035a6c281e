"""How contributions become new parameters. Records of pure functions; numpy only. learning.md 8, ADR 31.

A strategy that needs a sum works under masks, which give nothing else; one that needs individual updates does not.
"""

from collections.abc import Mapping
from typing import Final

from didymos_learning.errors import LearningError
from didymos_learning.spec import Masking, StrategySpec
from didymos_learning.strategies.means import FEDAVG, FEDAVGM, FEDPROX
from didymos_learning.strategies.robust import MEDIAN, TRIMMED_MEAN
from didymos_learning.strategies.server import FEDADAM, FEDYOGI
from didymos_learning.strategies.strategy import ByIndividual, BySum, ServerState, Strategy, Total

__all__ = [
    "STRATEGIES",
    "ByIndividual",
    "BySum",
    "ServerState",
    "Strategy",
    "Total",
    "settings_of",
    "strategy_of",
]

STRATEGIES: Final[Mapping[str, Strategy]] = {
    strategy.name: strategy for strategy in (FEDAVG, FEDPROX, FEDAVGM, FEDADAM, FEDYOGI, MEDIAN, TRIMMED_MEAN)
}


def strategy_of(spec: StrategySpec, masking: Masking) -> Strategy:
    """The strategy by name, if masks allow it.

    Raises LearningError `training.strategy_unknown` for a name or a setting that is not known, and
    `training.strategy_needs_individual` where masks hide what it needs.
    """
    strategy = STRATEGIES.get(spec.name)
    if strategy is None:
        raise LearningError("training.strategy_unknown", name=spec.name[:64], known=", ".join(STRATEGIES))
    for name in spec.settings:
        if name not in strategy.defaults:
            raise LearningError("training.strategy_unknown", name=spec.name, setting=name[:64])
    if isinstance(strategy, ByIndividual) and masking != "none":
        raise LearningError(
            "training.strategy_needs_individual",
            name=strategy.name,
            detail=f"{strategy.name} compares single updates; masking {masking} opens nothing but their sum",
        )
    return strategy


def settings_of(strategy: Strategy, spec: StrategySpec) -> Mapping[str, float]:
    """The defaults of the strategy with the settings of the run on top."""
    return {**strategy.defaults, **spec.settings}
