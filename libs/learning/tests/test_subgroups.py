"""Tenths, declared groups and moved inputs: ordered so that luck does not choose, and silent about few people."""

import numpy as np
import pytest
from didymos_learning import GLUCOSE_TASK, Windows
from didymos_learning.evaluation import AT_ONCE, bootstrap, gain_interval
from didymos_learning.stability import MOVED, input_shift, population_stability
from didymos_learning.subgroups import LEAST_OF_GROUP, Errors, by_gate, deciles, declared, gap


def a_person(at: float, gate: float = 0.0) -> Errors:
    return Errors(20.0 + at, 15.0, 10.0 + at, 10.0 + 0.9 * at, accepted=at > 5, gate=gate)


def test_people_are_ordered_by_gate_data_where_all_tell_it() -> None:
    told = [a_person(at, gate=100.0 - at) for at in range(20)]
    assert by_gate(told)
    assert deciles(told)[0].shared == 28.5
    assert deciles([*told[:-1], a_person(19)])[0].shared == 10.5
    assert not deciles(told[:19])


def test_a_tenth_tells_shares_and_the_gain_with_its_interval() -> None:
    worst = deciles([a_person(at) for at in range(20)])[-1]
    assert (worst.people, worst.accepted, worst.harmed) == (2, 1.0, 0.0)
    assert worst.gain.low == pytest.approx(1.8)
    assert worst.gain.mean == pytest.approx(1.85)
    assert worst.gain.high == pytest.approx(1.9)
    harmed = Errors(1.0, 1.0, 1.0, 1.011, accepted=True)
    assert deciles([harmed] * 20)[0].harmed == 1.0


def test_groups_of_few_are_not_told_and_the_gap_is_of_those_that_are() -> None:
    people = {"f": [a_person(0)] * LEAST_OF_GROUP, "m": [a_person(4)] * LEAST_OF_GROUP, "x": [a_person(9)]}
    found = declared(people)
    assert [one.name for one in found] == ["f", "m"]
    assert gap(found, "shared") == 4.0
    assert gap(found, "personal") == pytest.approx(3.6)
    assert gap(found[:1], "shared") is None


def test_a_bootstrap_in_parts_has_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(np.random.default_rng(0).normal(size=37))
    whole = bootstrap(values, bytes(32))
    monkeypatch.setattr("didymos_learning.evaluation.AT_ONCE", 37 * 999)
    assert bootstrap(values, bytes(32)) == whole
    assert AT_ONCE >= 37 * 999


def test_one_persons_gain_has_an_interval_over_blocks_and_none_of_few() -> None:
    random = np.random.default_rng(2)
    shared = random.normal(0, 10, 600)
    found = gain_interval(shared, 0.9 * shared, 6, b"p1")
    assert found is not None
    assert found == gain_interval(shared, 0.9 * shared, 6, b"p1")
    assert 0.0 < found.low < found.mean < found.high
    chance = gain_interval(shared, random.permutation(shared), 6, b"p1")
    assert chance is not None
    assert chance.low < 0.0 < chance.high
    assert gain_interval(shared[:47], shared[:47], 6, b"p1") is None


def windows(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Windows:
    inputs = np.zeros((len(values), GLUCOSE_TASK.input, 4), np.float32)
    inputs[:, -1, 0] = values
    inputs[:, -1, 3] = np.arange(len(values))  # the clock always moves
    nothing = np.zeros(len(values))
    return Windows(inputs, nothing.astype(np.float32), nothing, nothing, nothing.astype(np.int64))


def test_inputs_that_moved_are_found_and_those_that_did_not_are_not() -> None:
    random = np.random.default_rng(1)
    before, same, other = random.normal(0, 1, 2000), random.normal(0, 1, 2000), random.normal(1, 1, 2000)
    assert input_shift(windows(before), windows(same), 2) == pytest.approx(0.0, abs=0.05)
    found = input_shift(windows(before), windows(other), 2)
    assert found is not None
    assert found > MOVED
    assert input_shift(windows(before), windows(other[:49]), 2) is None
    assert population_stability(np.zeros(100), np.zeros(100)) == 0.0
