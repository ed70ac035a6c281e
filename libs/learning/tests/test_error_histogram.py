"""Errors of many as one histogram: what one subject gives, what the sum says, and which sum is none."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from didymos_learning import EvaluationSpec, LearningError, RunSpec, client_data, demo_spec, log_edges, norm
from didymos_learning.engine import Engine
from didymos_learning.error_histogram import BOUND, Estimate, shares, spread, spreads, width
from didymos_learning.evaluate_chunk import evaluate_chunk
from didymos_learning.inline import initial_params
from didymos_learning.vector import clipped
from didymos_testing.learning import SMALL_TASK, small_spec, times_of, waves
from hypothesis import given
from hypothesis import strategies as st

EDGES = (1.0, 2.0, 4.0)
SPEC = demo_spec(bytes(32))
WORTH = np.array([0.5, 1.0, -1.5, 3.0, 9.0])  # one each below 1 and from 2, two from 1, one above all


def test_a_subject_gives_the_shares_of_its_errors_by_bin() -> None:
    given_ = shares(WORTH, np.zeros(5), EDGES)
    assert given_.tolist() == pytest.approx([0.2, 0.4, 0.2, 0.2, 1.0, 0.0, 0.0, 0.0])
    assert len(given_) == width(EDGES)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 9))
def test_no_subject_gives_more_than_the_bound(found: list[float], seed: int) -> None:
    naive = np.random.default_rng(seed).normal(size=len(found))
    given_ = shares(np.array(found), naive, log_edges())
    assert norm(given_) <= BOUND * (1 + 1e-6)
    np.testing.assert_allclose(clipped(given_, BOUND), given_, rtol=1e-6)
    assert given_.sum() == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_errors_that_are_none_are_refused(spoilt: float) -> None:
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        shares(np.array([1.0, spoilt]), np.zeros(2), EDGES)
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        shares(np.zeros(2), np.array([1.0, spoilt]), EDGES)
    with pytest.raises(LearningError, match=r"training\.series_short"):
        shares(np.zeros(0), np.zeros(0), EDGES)


def test_estimates_lie_in_their_bins_and_the_bin_is_the_precision() -> None:
    found = spread(np.array([2.0, 4.0, 2.0, 0.0]), EDGES)  # 8 subjects: a quarter below 1, half to 2, a quarter to 4
    assert found.median == Estimate(1.5, 1.0, 2.0)
    assert (found.p90.value, found.p90.low, found.p90.high) == pytest.approx((2.0 + 2.0 * 0.15 / 0.25, 2.0, 4.0))
    mean = 0.25 * 0.5 + 0.5 * 1.5 + 0.25 * 3.0
    assert (found.mean.value, found.mean.low, found.mean.high) == pytest.approx((mean, 1.0, 2.25))
    assert (found.over, found.shares) == (0.0, (0.25, 0.5, 0.25, 0.0))


def test_what_lies_above_the_last_edge_has_no_upper_end() -> None:
    found = spread(np.array([0.0, 8.0, 0.0, 2.0]), EDGES)
    assert found.p90 == Estimate(4.0, 4.0, None)
    assert (found.mean.high, found.over) == (None, 0.2)
    assert found.median.high == 2.0


@given(st.integers(0, 50))
def test_the_sum_over_subjects_tells_what_the_pooled_errors_do_within_a_bin(seed: int) -> None:
    """Each subject has as many errors, so pooled and equal weights are the same."""
    edges, chance = log_edges(), np.random.default_rng(seed)
    each = [chance.exponential(chance.uniform(0.2, 2.0), 60) for _ in range(12)]
    total = np.sum([shares(one, 2.0 * one, edges).astype(np.float64) for one in each], axis=0)
    model, naive = spreads(total, 12, edges, 12.0)
    pooled = np.concatenate(each)
    for said, true in ((model.median, np.quantile(pooled, 0.5, method="inverted_cdf")),
                       (model.p90, np.quantile(pooled, 0.9, method="inverted_cdf"))):  # fmt: skip
        assert said.high is not None
        assert said.low - 1e-9 <= true <= said.high + 1e-9
        assert said.low <= said.value <= said.high
    assert model.mean.low <= pooled.mean()
    assert naive.median.value == pytest.approx(2.0 * model.median.value, rel=0.15)


@pytest.mark.parametrize(
    ("total", "subjects", "weight", "code"),
    [
        (np.zeros(7), 1, 1.0, "training.layout_mismatched"),
        (np.full(8, np.nan), 1, 1.0, "training.update_not_finite"),
        (np.array([1.0, 0, 0, 0, 1, 0, 0, 0]), 2, 2.0, "training.norm_exceeded"),  # a histogram is missing
        (np.array([1.0, 0, 0, 0, 0.5, 0, 0, 0]), 1, 1.0, "training.norm_exceeded"),
        (np.array([-1.0, 2, 0, 0, 1, 0, 0, 0]), 1, 1.0, "training.norm_exceeded"),
        (np.array([1.0, 0, 0, 0, 1, 0, 0, 0]), 1, 2.0, "training.norm_exceeded"),
        (np.zeros(8), 0, 0.0, "training.norm_exceeded"),
    ],
)
def test_a_sum_that_these_subjects_cannot_give_is_refused(
    total: np.ndarray, subjects: int, weight: float, code: str
) -> None:  # fmt: skip
    with pytest.raises(LearningError, match=code.replace(".", r"\.")):
        spreads(total, subjects, EDGES, weight)


def test_edges_are_spread_evenly_over_factors() -> None:
    edges = log_edges(0.01, 10.0, 60)
    assert (len(edges), edges[0], edges[-1]) == (61, 0.01, 10.0)
    assert all(1.09 < high / low < 1.15 for low, high in pairwise(edges))


def test_a_specification_without_evaluations_keeps_its_bytes() -> None:
    assert b"evaluation" not in SPEC.to_json()
    asked = replace(SPEC, evaluation=EvaluationSpec(4, log_edges()))
    assert RunSpec.from_json(asked.to_json()) == asked
    assert asked.digest != SPEC.digest
    said = json.loads(asked.to_json())
    said["evaluation"] = {"every": 0, "edges": []}
    with pytest.raises(LearningError, match="canonical form"):
        RunSpec.from_json(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("every", "edges"), [(-1, EDGES), (1, ()), (0, EDGES), (1, (0.0, 1.0)), (1, (2.0, 1.0)), (1, (1.0, 1.0)),
                         (1, (float("nan"),)), (1, tuple(map(float, range(1, 300))))],
)  # fmt: skip
def test_edges_that_cut_nothing_are_refused(every: int, edges: tuple[float, ...]) -> None:
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        EvaluationSpec(every, edges)


def test_an_evaluation_is_due_every_so_often_and_at_the_end() -> None:
    asked = EvaluationSpec(4, EDGES)
    assert [number for number in range(11) if asked.due(number, 10)] == [4, 8, 10]
    assert not any(SPEC.evaluation.due(number, 10) for number in range(11))


def test_a_chunk_counts_the_gate_parts_of_who_has_any_and_never_test() -> None:
    spec = small_spec()
    engine, params = Engine(spec.model), initial_params(spec)
    people = [client_data(f"p{number}", waves(number), SMALL_TASK) for number in range(3)]
    short = client_data("short", waves(9, 20), SMALL_TASK)
    assert not len(short.gate_a) + len(short.gate_b)
    found = evaluate_chunk(engine, [*people, short], params, EDGES)
    assert found.subjects == ("p0", "p1", "p2")
    alone = [evaluate_chunk(engine, [one], params, EDGES).total for one in people]
    np.testing.assert_allclose(found.total, np.sum(alone, axis=0), atol=1e-6)
    series = waves(0)
    changed = series.values.copy()
    changed[int(0.8 * len(changed)) :] += 50.0  # the newest fifth: test
    other = client_data("p0", type(series)(times_of(np.ones(len(changed), dtype=np.int64)), changed), SMALL_TASK)
    np.testing.assert_array_equal(evaluate_chunk(engine, [other], params, EDGES).total, alone[0])
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        evaluate_chunk(engine, people, np.full_like(params, np.nan), EDGES)
