"""Strategies on hand-worked parameters; what masks cannot carry is refused with the reason."""

import numpy as np
import pytest
from didymos_learning import (
    ByIndividual,
    BySum,
    LearningError,
    ServerState,
    StrategySpec,
    Total,
    settings_of,
    strategy_of,
)
from didymos_learning.strategies import STRATEGIES, plain
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

START = np.array([1.0, 2.0, 3.0], dtype=np.float32)


def by_sum(name: str, **settings: float) -> tuple[BySum, dict[str, float]]:
    spec = StrategySpec(name, settings)
    strategy = strategy_of(spec, "none")
    assert isinstance(strategy, BySum)
    return strategy, dict(settings_of(strategy, spec))


def total(*vector: float, weight: float = 4.0, count: int = 2) -> Total:
    return Total(np.array(vector), weight, count)


def stepped(name: str, rounds: int, **settings: float) -> ServerState:
    strategy, used = by_sum(name, **settings)
    state = strategy.init(START, used)
    for _ in range(rounds):
        state = strategy.apply(state, total(4.0, 0.0, -8.0), used)  # D = (1, 0, -2)
    return state


def test_fedavg_adds_the_weighted_mean() -> None:
    assert stepped("fedavg", 1).params.tolist() == [2.0, 2.0, 1.0]
    assert stepped("fedprox", 1).params.tolist() == [2.0, 2.0, 1.0]
    assert stepped("fedavg", 1, lr=0.5).params.tolist() == [1.5, 2.0, 2.0]


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_fedavg_of_equal_updates_is_that_update(weights: list[int]) -> None:
    update = np.array([0.25, -1.5, 3.0])
    strategy, settings = by_sum("fedavg")
    whole = Total(np.sum([update * weight for weight in weights], axis=0), float(sum(weights)), len(weights))
    np.testing.assert_array_equal(
        strategy.apply(strategy.init(START, settings), whole, settings).params, START + update
    )


def test_server_momentum_goes_on() -> None:
    state = stepped("fedavgm", 2, momentum=0.5)  # 1 + 1 + 1.5; 3 - 2 - 3
    assert state.params.tolist() == [3.5, 2.0, -2.0]
    assert state.moments[0].tolist() == [1.5, 0.0, -3.0]


@pytest.mark.parametrize("name", ["fedadam", "fedyogi"])
def test_adaptive_steps_have_the_size_of_the_rate_whatever_the_mean_is(name: str) -> None:
    state = stepped(name, 1)
    step = 0.01 * 0.1 / (np.sqrt(0.01) + 1e-3 / np.array([1.0, 2.0]))  # lr (1-b1) D / (sqrt(1-b2) D + tau)
    np.testing.assert_allclose(state.params[[0, 2]] - START[[0, 2]], step * [1.0, -1.0], rtol=1e-4)
    assert state.params[1] == START[1]


OF_THE_MEAN = [s for s in STRATEGIES.values() if isinstance(s, BySum) and s.contribute is plain]


@pytest.mark.parametrize("strategy", OF_THE_MEAN, ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (total(1.0, 2.0), "training.layout_mismatched"),
        (total(1.0, float("nan"), 0.0), "training.update_not_finite"),
        (total(1.0, 2.0, 3.0, weight=0.0), "training.cohort_too_small"),
        (total(1.0, 2.0, 3.0, count=0), "training.cohort_too_small"),
    ],
)
def test_a_sum_that_is_none_changes_nothing(strategy: BySum, bad: Total, code: str) -> None:
    with pytest.raises(LearningError) as refused:
        strategy.apply(strategy.init(START, strategy.defaults), bad, strategy.defaults)
    assert refused.value.code == code


def individual(name: str, updates: list[list[float]]) -> NDArray[np.float32]:
    strategy = strategy_of(StrategySpec(name, {}), "none")
    assert isinstance(strategy, ByIndividual)
    given_ = [np.array(update, dtype=np.float32) for update in updates]
    return strategy.apply(strategy.init(START, strategy.defaults), given_, strategy.defaults).params


def test_a_median_ignores_one_liar() -> None:
    honest = [[1.0, 1.0, 1.0]] * 2
    assert individual("median", [*honest, [-50.0, 50.0, 1e30]]).tolist() == [2.0, 3.0, 4.0]
    assert individual("trimmed-mean", [[1.0, 1.0, 1.0]] * 9 + [[1e30, 1.0, -1e30]]).tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("updates", [[], [[1.0]], [[float("inf"), 0.0, 0.0]]])
def test_single_updates_that_are_none_are_refused(updates: list[list[float]]) -> None:
    with pytest.raises(LearningError):
        individual("median", updates)


@pytest.mark.parametrize("name", ["median", "trimmed-mean", "multi-krum"])
def test_masks_refuse_what_needs_single_updates_and_say_why(name: str) -> None:
    with pytest.raises(LearningError) as refused:
        strategy_of(StrategySpec(name, {}), "pairwise")
    assert refused.value.code == "training.strategy_needs_individual"
    assert "opens nothing but their sum" in str(refused.value)


@pytest.mark.parametrize("spec", [StrategySpec("sgd", {}), StrategySpec("fedavg", {"momentum": 0.9})])
def test_an_unknown_strategy_or_setting_is_refused(spec: StrategySpec) -> None:
    with pytest.raises(LearningError, match=r"training\.strategy_unknown"):
        strategy_of(spec, "none")
