"""How contributions become new parameters. Records of pure functions; numpy only. learning.md 8, ADR 120.

A strategy that needs a sum may work under masks, which give nothing else; one that needs individual updates never does.
"""

from collections.abc import Mapping
from typing import Final

from didymos_learning.compression import check_compression
from didymos_learning.errors import LearningError
from didymos_learning.spec import Masking, RunSpec, StrategySpec
from didymos_learning.strategies.buffered import FEDBUFF
from didymos_learning.strategies.clustered import IFCA
from didymos_learning.strategies.fairness import Q_FFL
from didymos_learning.strategies.means import FEDAVG, FEDAVGM, FEDPROX
from didymos_learning.strategies.personal import DITTO, FEDREP
from didymos_learning.strategies.plugins import everything, named
from didymos_learning.strategies.robust import MEDIAN, MULTI_KRUM, TRIMMED_MEAN
from didymos_learning.strategies.scaffold import SCAFFOLD
from didymos_learning.strategies.server import FEDADAM, FEDYOGI
from didymos_learning.strategies.strategy import (
    Broadcast,
    ByIndividual,
    BySum,
    Carried,
    Contribution,
    Local,
    Reached,
    ServerState,
    Settings,
    Strategy,
    Total,
    alone,
    plain,
)

__all__ = [
    "STRATEGIES",
    "Broadcast",
    "ByIndividual",
    "BySum",
    "Carried",
    "Contribution",
    "Local",
    "Reached",
    "ServerState",
    "Settings",
    "Strategy",
    "Total",
    "alone",
    "check_strategy",
    "plain",
    "settings_of",
    "strategies",
    "strategy_of",
]

STRATEGIES: Final[Mapping[str, Strategy]] = {
    strategy.name: strategy
    for strategy in (
        FEDAVG, FEDPROX, FEDAVGM, FEDADAM, FEDYOGI, SCAFFOLD, Q_FFL, IFCA, FEDREP, DITTO, FEDBUFF,
        MEDIAN, TRIMMED_MEAN, MULTI_KRUM,
    )
}  # fmt: skip


def strategies() -> Mapping[str, Strategy]:
    """All that a specification may name, of this library and of installed packages; no name that is claimed twice."""
    return everything(STRATEGIES)


def strategy_of(spec: StrategySpec, masking: Masking) -> Strategy:
    """The strategy by name, if masks allow it.

    Raises LearningError `training.strategy_unknown` for a name or a setting that is not known,
    `training.strategy_needs_individual` where masks hide what it needs, and `training.strategy_not_masked` where they
    cannot carry what it sends.
    """
    strategy = named(spec.name, STRATEGIES)
    if strategy is None:
        raise LearningError("training.strategy_unknown", name=spec.name[:64], known=", ".join(STRATEGIES))
    for name, value in spec.settings.items():
        if name not in strategy.defaults:
            raise LearningError("training.strategy_unknown", name=spec.name, setting=name[:64])
        least, most = strategy.bounds.get(name, (value, value))
        if not least <= value <= most:
            raise LearningError("training.strategy_unknown", name=spec.name, setting=name, least=least, most=most)
    if masking == "none":
        return strategy
    if isinstance(strategy, ByIndividual):
        raise LearningError(
            "training.strategy_needs_individual",
            name=strategy.name,
            detail=f"{strategy.name} compares single updates; masking {masking} opens nothing but their sum",
        )
    if strategy.unmasked:
        raise LearningError(
            "training.strategy_not_masked", name=strategy.name, masking=masking, detail=strategy.unmasked
        )
    return strategy


def check_strategy(spec: RunSpec) -> Strategy:
    """The strategy of a run, if all parts of its specification go together. Raises as `strategy_of`."""
    strategy, compression = strategy_of(spec.strategy, spec.masking), spec.strategy.compression
    check_compression(compression, spec.masking)
    if spec.engine == "stacked" and isinstance(strategy, BySum) and strategy.contribute is not plain:
        raise LearningError(
            "training.strategy_unknown",
            name=strategy.name,
            setting="engine",
            detail="the stacked engine gives weighted updates; this strategy sends something else: engine loop",
        )
    if compression.kind != "none" and (isinstance(strategy, ByIndividual) or not strategy.waits):
        raise LearningError(
            "training.strategy_unknown",
            name=strategy.name,
            setting="compression",
            detail=f"{compression.kind} shortens sums of members; {strategy.name} takes none",
        )
    if isinstance(strategy, BySum) and spec.local.optimiser not in strategy.optimisers:
        raise LearningError(
            "training.strategy_unknown",
            name=strategy.name,
            setting="local.optimiser",
            detail=f"{strategy.name} trains with {' or '.join(strategy.optimisers)}",
        )
    return strategy


def settings_of(strategy: Strategy, spec: StrategySpec) -> Mapping[str, float]:
    """The defaults of the strategy with the settings of the run on top."""
    return {**strategy.defaults, **spec.settings}
