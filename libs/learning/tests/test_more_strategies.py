"""Strategies that send more than a weighted update, on three parameters worked by hand; compression; Shapley values."""

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from didymos_learning import (
    BySum,
    CompressionSpec,
    LearningError,
    StrategySpec,
    Total,
    check_strategy,
    client_data,
    gtg_shapley,
    settings_of,
    strategy_of,
)
from didymos_learning.compression import CODINGS, compressor_of
from didymos_learning.inline import federate, rounds
from didymos_learning.strategies import Reached
from didymos_learning.strategies.buffered import schedule
from didymos_learning.strategies.robust import krum_order
from didymos_testing.learning import SMALL_TASK, small_spec, waves

START = np.array([1.0, 2.0, 3.0], dtype=np.float32)
PEOPLE = [client_data(f"p{seed}", waves(seed, 300), SMALL_TASK) for seed in range(3)]


def flat(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


@dataclass
class Double:
    """A client whose gradient is (1, 0, -1) everywhere: two steps of 0.5."""

    weight: float = 2.0
    rate: float = 0.5
    clip: float | None = None
    layout: Any = None

    def luck(self, purpose: str) -> int:
        return len(purpose)

    def train(self, start: Any, *, drift: Any = None, pull: Any = None, only: Any = None) -> Reached:
        step = flat(1.0, 0.0, -1.0) + (0.0 if drift is None else drift)
        return Reached(start - step, 2, 0.0)

    def loss(self, params: Any) -> float:
        return float(np.square(params).sum())


def by_sum(name: str) -> tuple[BySum, Any]:
    spec = StrategySpec(name, {})
    strategy = strategy_of(spec, "none")
    assert isinstance(strategy, BySum)
    return strategy, settings_of(strategy, spec)


def test_scaffold_sends_its_update_and_the_change_of_its_control() -> None:
    strategy, settings = by_sum("scaffold")
    server = strategy.init(START, settings)
    made = strategy.contribute(Double(), START, strategy.broadcast(server), None, settings)
    assert made.vector.tolist() == [-2.0, 0.0, 2.0, 1.0, 0.0, -1.0]  # w (y - x); (x - y) / (2 * 0.5)
    after = strategy.apply(server, Total(made.vector.astype(np.float64), 2.0, 1), settings)
    assert (after.params.tolist(), after.moments[0].tolist()) == ([0.0, 2.0, 4.0], [1.0, 0.0, -1.0])


def test_q_ffl_weighs_by_loss() -> None:
    strategy, settings = by_sum("q-ffl")  # q 1, F 14, L 2
    made = strategy.contribute(Double(), START, (), None, settings)
    assert made.vector.tolist() == [-56.0, 0.0, 56.0, 2.0 * (4.0 * 2.0 + 2.0 * 14.0)]


def test_ifca_fills_the_slot_of_the_model_that_fits() -> None:
    strategy, settings = by_sum("ifca")
    near = np.zeros(3, dtype=np.float32)
    made = strategy.contribute(Double(), START, (near,), None, settings)
    assert made.vector.tolist() == [0.0, 0.0, 0.0, 0.0, -2.0, 0.0, 2.0, 2.0]
    after = strategy.apply(
        replace(strategy.init(START, settings), moments=(near,)),
        Total(made.vector.astype(np.float64), 2.0, 1),
        settings,
    )
    assert (after.params.tolist(), after.moments[0].tolist()) == ([1.0, 2.0, 3.0], [-1.0, 0.0, 1.0])


def test_scaffold_of_one_client_is_sgd() -> None:
    spec = replace(small_spec(rounds=2), masking="none")
    spec = replace(spec, local=replace(spec.local, optimiser="sgd"))
    alone = federate(spec, [PEOPLE[:1]])
    again = federate(replace(spec, strategy=StrategySpec("scaffold", {})), [PEOPLE[:1]])
    np.testing.assert_allclose(again, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["q-ffl", "ifca", "fedrep", "ditto", "fedbuff", "multi-krum"])
def test_every_strategy_runs_and_moves(name: str) -> None:
    settings = {"fedbuff": {"buffer": 2.0}, "multi-krum": {"share": 0.0}}.get(name, {})
    spec = replace(small_spec(rounds=2), masking="none", strategy=StrategySpec(name, settings))
    ends = [list(rounds(spec, [PEOPLE[:2], PEOPLE[2:]]))[-1].server.params for _ in range(2)]
    assert np.array_equal(ends[0], ends[1])
    assert np.isfinite(ends[0]).all()


def test_krum_picks_an_honest_one() -> None:
    honest = [flat(1.0, 1.0, 1.0), flat(1.1, 1.0, 1.0), flat(1.0, 1.1, 1.0), flat(1.0, 1.0, 1.1)]
    assert krum_order([flat(-50.0, 50.0, 0.0), *honest], 1)[0] != 0


def test_arrivals_are_replayed_and_none_is_older_than_allowed() -> None:
    settings = {"buffer": 2.0, "stale": 1.0}
    made = list(schedule(["a", "b", "c"], 20, settings, bytes(32)))
    assert made == list(schedule(["a", "b", "c"], 20, settings, bytes(32)))
    assert {one.tau for arrivals in made for one in arrivals} == {0, 1}


@pytest.mark.parametrize("name", ["scaffold", "q-ffl", "ifca", "fedrep", "ditto", "fedbuff"])
def test_masks_refuse_what_they_cannot_carry_and_say_why(name: str) -> None:
    with pytest.raises(LearningError, match=r"training\.strategy_not_masked.*detail=\w+"):
        strategy_of(StrategySpec(name, {}), "pairwise")


@pytest.mark.parametrize("kind", ["top-k", "int8"])
def test_masks_refuse_a_coding_of_each_members_own(kind: Any) -> None:
    spec = small_spec()
    shortened = replace(spec, strategy=StrategySpec("fedavg", {}, CompressionSpec(kind, 0.1)))
    with pytest.raises(LearningError, match=r"training\.strategy_not_masked"):
        check_strategy(shortened)


def test_top_k_sends_later_what_it_left_out() -> None:
    spec = replace(small_spec(), strategy=StrategySpec("fedavg", {}, CompressionSpec("top-k", 0.3)))
    way = compressor_of(spec, "a")
    assert way.through(flat(3.0, -2.0, 1.0), 1).tolist() == [3.0, 0.0, 0.0]
    assert way.through(flat(0.0, 0.0, 0.0), 2).tolist() == [0.0, -2.0, 0.0]


@pytest.mark.parametrize("kind", ["int8", "rand-k"])
def test_what_is_read_is_right_in_the_mean(kind: str) -> None:
    coding, sent = CODINGS[kind], flat(1.0, -0.301, 0.2)
    read = [coding.decode(coding.encode(sent, 0.5, seed), 3, 0.5, seed) for seed in range(2000)]
    np.testing.assert_allclose(np.mean(read, axis=0), sent, atol=0.05)
    with pytest.raises(LearningError):
        coding.decode(b"\0", 3, 0.5, 1)


def test_shapley_values_are_those_of_all_permutations() -> None:
    updates = {"a": flat(2.0), "b": flat(1.0), "c": flat(-3.0)}

    def utility(params: Any) -> float:
        return -float(np.square(params - 1.0).sum())

    def worth(names: tuple[str, ...]) -> float:
        return utility(np.mean([updates[name] for name in names], axis=0) if names else flat(0.0))

    orders = list(permutations(updates))
    exact = {
        name: float(np.mean([worth(o[: o.index(name) + 1]) - worth(o[: o.index(name)]) for o in orders]))
        for name in updates
    }
    found = gtg_shapley(
        flat(0.0),
        {**updates, "c": flat(-2.9)},
        dict.fromkeys(updates, 1.0),
        utility,
        eps=1e-9,
        permutations=600,
        seed=1,
    )
    assert sorted(found, key=found.__getitem__) == sorted(exact, key=exact.__getitem__)
