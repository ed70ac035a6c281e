"""Intervals cover, p-values are rare by chance, and a personal model that lost its gain is found out."""

import numpy as np
import pytest
from didymos_learning import LearningError
from didymos_learning.anomaly import alarms, p_values
from didymos_learning.bands import AdaptiveBand, replay
from didymos_learning.drift import block_spread, drift


def test_the_band_covers_when_errors_double_and_a_fixed_one_does_not() -> None:
    random = np.random.default_rng(1)
    errors = np.concatenate([random.normal(0, 1, 1000), random.normal(0, 2, 3000)])
    widths = replay(AdaptiveBand(random.normal(0, 1, 500)), errors, delay=6)
    covered = (np.abs(errors) <= widths)[1000:].mean()
    assert 0.77 <= covered <= 0.83
    assert (np.abs(errors[1000:]) <= 1.2816).mean() < 0.6


def test_a_forecast_is_not_judged_before_it_came_due() -> None:
    errors = np.array([100.0] * 6 + [1.0] * 6)
    widths = replay(AdaptiveBand(np.ones(50)), errors, delay=6)
    assert (widths[:6] == 1.0).all()


def test_few_errors_give_no_width_and_nan_is_refused() -> None:
    band = AdaptiveBand([1.0] * 19)
    assert band.width is None
    band.settle(1.0, None)
    assert AdaptiveBand([1.0] * 20).width == 1.0
    with pytest.raises(LearningError, match="series_malformed"):
        band.settle(float("nan"), 1.0)
    assert len(band) == 20
    with pytest.raises(LearningError, match="series_malformed"):
        AdaptiveBand([float("inf")])


def test_small_p_values_are_as_rare_as_they_say() -> None:
    random = np.random.default_rng(2)
    chances = p_values(random.normal(size=20_000), random.normal(size=5000))
    for level in (0.01, 0.1, 0.5):
        assert (chances <= level).mean() <= 1.2 * level
    assert p_values(np.array([9.0]), np.ones(9))[0] == 0.1


def test_three_strange_readings_of_five_raise_an_alarm_and_two_do_not() -> None:
    said = np.array([1e-4, 1, 1e-4, 1, 1, 1e-4, 1, 1e-4, 1e-4])
    assert alarms(said).tolist() == [False] * 8 + [True]


@pytest.mark.parametrize(("errors", "reference"), [([np.nan], [1.0]), ([1.0], []), ([1.0], [np.inf])])
def test_p_values_of_nothing_are_refused(errors: list[float], reference: list[float]) -> None:
    with pytest.raises(LearningError):
        p_values(np.array(errors), np.array(reference))


def _losses(random: np.random.Generator, count: int, worse: float) -> tuple[np.ndarray, np.ndarray]:
    shared = random.normal(size=count) ** 2
    return shared + random.normal(worse, 1.0, count), shared


def test_a_model_that_keeps_its_gain_stays_and_one_that_lost_it_goes() -> None:
    random = np.random.default_rng(3)
    gone = 0
    for _ in range(200):
        sigma = block_spread(*_losses(random, 600, -0.2), 6)
        assert sigma is not None
        gone += drift(*_losses(random, 1440, -0.2), sigma, 6).withdrawn_at is not None
        lost = drift(*_losses(random, 1440, 0.5), sigma, 6)
        assert lost.withdrawn_at is not None
        assert lost.withdrawn_at < 60
    assert gone == 0


def test_equal_models_have_no_spread_and_bad_losses_are_refused() -> None:
    same = np.ones(96)
    assert block_spread(same, same, 6) is None
    with pytest.raises(LearningError, match="layout_mismatched"):
        drift(same, same[1:], 1.0, 6)
    with pytest.raises(LearningError, match="series_malformed"):
        drift(same, same * np.nan, 1.0, 6)
