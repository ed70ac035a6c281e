"""The gate lets chance pass rarely, and a true gain often."""

import numpy as np
import pytest
from didymos_learning import Decision, LearningError, bootstrap, decide, half_width, rmse
from didymos_learning.gate import LEAST_UNITS, student
from numpy.typing import NDArray

TWINS = 2000


def losses(chance: np.random.Generator, gain: float, carry: float, windows: int = 150) -> Decision:
    """Squared errors of two models whose errors go on like an AR(1) of `carry`; the candidate's are `gain` smaller."""
    noise = chance.normal(size=(2, windows))
    errors = np.empty_like(noise)
    errors[:, 0] = noise[:, 0]
    for row in range(1, windows):
        errors[:, row] = carry * errors[:, row - 1] + np.sqrt(1.0 - carry**2) * noise[:, row]
    both, apart = errors
    return decide(np.square(both + 0.2 * apart), np.square((1.0 - gain) * both - 0.2 * apart), horizon=6)


def share(gain: float, carry: float) -> float:
    chance = np.random.default_rng(11)
    return sum(losses(chance, gain, carry).accepted for _ in range(TWINS)) / TWINS


@pytest.mark.parametrize("carry", [0.0, 0.5, 0.8])
def test_without_a_true_effect_at_most_seven_percent_pass(carry: float) -> None:
    assert share(0.0, carry) <= 0.07


def test_a_true_gain_passes() -> None:
    assert share(0.3, 0.5) >= 0.8


def units_of(number: int, windows: int, gain: float, seed: int) -> tuple[float, float]:
    """Shares that pass: each unit counted once, and as if all were one series. Half of an error is its unit's."""
    chance, passed = np.random.default_rng(seed), np.zeros(2)
    units = np.repeat(np.arange(number), windows)
    for _ in range(TWINS):
        noise = chance.normal(size=(2, number))[:, units] + chance.normal(size=(2, number * windows))
        both, apart = np.sqrt(0.5) * noise
        pair = np.square(both + 0.2 * apart), np.square((1.0 - gain) * both - 0.2 * apart)
        passed += [decide(*pair, horizon=0, units=units).accepted, decide(*pair, horizon=0).accepted]
    counted, series = (passed / TWINS).tolist()
    return counted, series


def test_windows_of_one_unit_are_one_piece_of_evidence() -> None:
    assert units_of(1, 90, 0.0, 3)[1] > 0.25  # one run of a person, cut in eight: a third of those without gain passed
    for number in (LEAST_UNITS, 24):
        assert units_of(number, 14, 0.0, 3)[0] <= 0.07
    assert units_of(LEAST_UNITS, 14, 0.3, 3)[0] >= 0.8


def test_each_unit_counts_once_however_many_windows_it_has() -> None:
    units = np.repeat(np.arange(8)[::-1], [1, 40, 1, 40, 1, 40, 1, 40])
    gains = np.where(units % 2, 0.1, 0.2)
    decision = decide(np.ones(164), 1.0 - gains, horizon=6, units=units)
    assert (decision.units, decision.windows) == (8, 164)
    assert decision.gain == pytest.approx(0.15)
    assert decision.bound == pytest.approx(0.15 - 1.8946 * np.std([0.1, 0.2] * 4, ddof=1) / np.sqrt(8), rel=1e-4)
    few = decide(np.ones(164), np.zeros(164), horizon=0, units=np.arange(164) % (LEAST_UNITS - 1))
    assert few == Decision("insufficient", 164)
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        decide(np.ones(164), np.zeros(164), horizon=0, units=units[1:])


@pytest.mark.parametrize(
    ("freedom", "known"), [(4, 2.1318), (6, 1.9432), (7, 1.8946), (9, 1.8331), (23, 1.7139), (199, 1.6525)]
)
def test_students_t_is_that_of_the_tables(freedom: int, known: float) -> None:
    assert student(freedom) == pytest.approx(known, abs=1e-3)


def test_eight_equal_blocks_and_students_t() -> None:
    gains = np.repeat([0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2], 12)
    decision = decide(np.ones(96), 1.0 - gains, horizon=6)
    assert decision.gain == pytest.approx(0.15)
    assert decision.bound == pytest.approx(0.15 - 1.8946 * np.std([0.1, 0.2] * 4, ddof=1) / np.sqrt(8), rel=1e-4)
    assert (decision.verdict, decision.windows, decision.global_loss) == ("accepted", 96, 1.0)


def test_the_oldest_windows_make_the_blocks_equal() -> None:
    uneven = decide(np.r_[[99.0] * 7, np.ones(96)], np.r_[[0.0] * 7, np.full(96, 0.9)], horizon=6)
    assert uneven.gain == pytest.approx(0.1)
    assert uneven.windows == 103


@pytest.mark.parametrize(("gain", "verdict"), [(0.0049, "rejected"), (0.0051, "accepted"), (-0.1, "rejected")])
def test_a_gain_too_small_to_matter_is_refused(gain: float, verdict: str) -> None:
    assert decide(np.ones(96), np.full(96, 1.0 - gain), horizon=6).verdict == verdict


@pytest.mark.parametrize(("windows", "horizon"), [(0, 1), (63, 1), (95, 6), (96, 7)])
def test_too_few_windows_are_insufficient(windows: int, horizon: int) -> None:
    decision = decide(np.ones(windows), np.zeros(windows), horizon)
    assert decision == Decision("insufficient", windows)
    assert not decision.accepted


@pytest.mark.parametrize("bad", [np.full(96, np.nan), np.ones(95), np.ones((96, 1))])
def test_losses_that_are_none_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(LearningError):
        decide(np.ones(96), bad, horizon=6)


def test_the_interval_covers_what_it_promises() -> None:
    chance = np.random.default_rng(5)
    covered = [abs(chance.normal()) <= half_width(chance.normal(size=99)) for _ in range(4000)]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.02)
    assert half_width(np.array([-4.0, 3.0, -2.0, 1.0])) == 4.0
    with pytest.raises(LearningError, match=r"training\.series_short"):
        half_width(np.array([1.0, 2.0, 3.0]))


def test_a_bootstrap_is_seeded_and_holds_the_mean() -> None:
    people = [1.0, 2.0, 4.0, 8.0, 16.0]
    interval = bootstrap(people, bytes(32))
    assert interval == bootstrap(people, bytes(32))
    assert interval.low < interval.mean == 6.2 < interval.high
    assert str(bootstrap([1.0, 1.0], bytes(32))) == "1.00 [1.00, 1.00]"


def test_the_root_mean_square_of_nothing_is_no_number() -> None:
    assert rmse(np.array([3.0, -4.0])) == pytest.approx(np.sqrt(12.5))
    assert np.isnan(rmse(np.array([])))
