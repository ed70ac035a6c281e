"""A model of one's own: who gets one, what it is chosen on, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from didymos_learning import (
    ClientData,
    Flat,
    LearningError,
    RunSpec,
    Series,
    Windows,
    client_data,
    errors,
    half_width,
    layout_for,
    scale_of,
)
from didymos_learning.engine import Engine
from didymos_learning.forecasting import Together
from didymos_learning.inline import federate
from didymos_learning.personal import candidates, head_fit, own_only, personalise, squared_losses
from didymos_learning.report import PersonReport, evaluate, interval, served
from didymos_learning.serving import Forecast, ServedModel, forecasts
from didymos_testing.learning import SMALL_TASK, small_spec, waves

torch.set_num_threads(1)
SPEC = small_spec(rounds=12, strategy="fedavgm")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(SPEC.model)


@pytest.fixture(scope="module")
def shared(engine: Engine) -> Flat:
    """Parameters of people whose changes go on."""
    return federate(SPEC, [[client_data(f"p{seed}", waves(seed), SMALL_TASK) for seed in range(4)]])


def odd_one() -> ClientData:
    """Someone whose changes turn round instead."""
    return client_data("odd", waves(50, 2000, carry=-0.8), SMALL_TASK)


def like_all() -> ClientData:
    return client_data("like", waves(51, 2000), SMALL_TASK)


def test_who_is_unlike_the_others_gets_a_model(engine: Engine, shared: Flat) -> None:
    odd = odd_one()
    personal = personalise(engine, odd, shared, SPEC)
    assert personal.decision.accepted
    assert squared_losses(engine, personal.params, odd.test).mean() < squared_losses(engine, shared, odd.test).mean()


def test_who_is_refused_keeps_the_global_parameters(engine: Engine, shared: Flat) -> None:
    chance = np.random.default_rng(1)
    like = like_all()
    fit = replace(like.fit, targets=chance.permutation(like.fit.targets))
    personal = personalise(engine, replace(like, fit=fit), shared, SPEC)
    assert not personal.decision.accepted
    assert np.array_equal(personal.params, shared)


def test_nobody_sees_test_and_choosing_sees_no_gate_b(engine: Engine, shared: Flat) -> None:
    odd = odd_one()
    hidden = replace(odd, test=nan_windows(odd.test))
    assert (
        personalise(engine, hidden, shared, SPEC).params.tobytes()
        == personalise(engine, odd, shared, SPEC).params.tobytes()
    )
    assert own_only(engine, hidden, SPEC).params.tobytes() == own_only(engine, odd, SPEC).params.tobytes()
    other_b = replace(odd, gate_b=like_all().gate_b)
    one, other = personalise(engine, odd, shared, SPEC), personalise(engine, other_b, shared, SPEC)
    assert one.candidate.name == other.candidate.name
    assert np.array_equal(one.candidate.params, other.candidate.params)


def nan_windows(windows: Windows) -> Windows:
    return replace(windows, targets=np.full_like(windows.targets, np.nan), inputs=np.full_like(windows.inputs, np.nan))


def test_too_little_data_is_insufficient(engine: Engine, shared: Flat) -> None:
    short = client_data("short", waves(52, 400), SMALL_TASK)
    assert personalise(engine, short, shared, SPEC).decision.verdict == "insufficient"
    tiny = client_data("tiny", waves(53, 40), SMALL_TASK)
    assert not len(tiny.gate_a)
    personal = personalise(engine, tiny, shared, SPEC)
    assert (personal.decision.verdict, personal.candidate.name) == ("insufficient", "global")
    assert own_only(engine, tiny, SPEC).name == "own 0"


def test_the_head_is_fitted_exactly_and_the_body_stays(engine: Engine, shared: Flat) -> None:
    odd = odd_one()
    fitted = head_fit(engine, odd.fit, shared, 0.01)
    changed = np.flatnonzero(fitted != shared)
    assert changed.min() >= SPEC.model.layout.slot("head.weight").offset

    def objective(params: Flat) -> float:
        moved = params[SPEC.model.layout.slot("head.weight").offset :][: SPEC.model.layout.slot("head.weight").size]
        start = shared[SPEC.model.layout.slot("head.weight").offset :][: len(moved)]
        return float(squared_losses(engine, params, odd.fit).mean() + 0.01 * np.square(moved - start).sum())

    least = objective(fitted)
    for place in changed:
        for way in (-0.01, 0.01):
            near = fitted.copy()
            near[place] += np.float32(way)
            assert objective(near) > least


def test_candidates_go_part_of_the_way(engine: Engine, shared: Flat) -> None:
    def first(step: float) -> Flat:
        only = replace(SPEC.personal, fine_tune=(1,), ditto=(), head_ridge=(), step=step)
        return personalise(engine, odd_one(), shared, replace(SPEC, personal=only)).candidate.params - shared

    np.testing.assert_allclose(first(0.5), 0.5 * first(1.0), atol=1e-6)


def test_a_candidate_does_not_depend_on_those_before_it(engine: Engine, shared: Flat) -> None:
    def of(epochs: tuple[int, ...]) -> dict[str, Flat]:
        only = replace(SPEC.personal, fine_tune=epochs)
        return {one.name: one.params for one in candidates(engine, odd_one(), shared, replace(SPEC, personal=only))}

    alone, among = of((3,)), of((1, 3))
    assert list(among) == ["fine-tune 1", "fine-tune 3", "ditto 0.3", "head-only 1", "head-only 3", "head-only 10"]
    assert all(np.array_equal(among[name], params) for name, params in alone.items())


def test_blocks_of_the_gate_are_long_enough_for_the_horizon_of_the_task() -> None:
    far = replace(SMALL_TASK, horizon=6)
    spec = small_spec(task=far)
    client = client_data("a", waves(54, 900), far)
    assert 64 <= len(client.gate_b) < 8 * 2 * far.horizon
    start = np.zeros(spec.model.layout.size, dtype=np.float32)
    assert personalise(Engine(spec.model), client, start, spec).decision.verdict == "insufficient"


def test_the_interval_is_that_of_gate_residuals(engine: Engine, shared: Flat) -> None:
    odd = odd_one()
    left = [errors(engine.predict(shared, part), part, odd.scale) for part in (odd.gate_a, odd.gate_b)]
    assert interval(engine, odd, shared) == half_width(np.concatenate(left))
    assert interval(engine, client_data("tiny", waves(53, 40), SMALL_TASK), shared) is None


def test_own_epochs_are_chosen_on_gate_a(engine: Engine) -> None:
    odd = odd_one()
    spec: RunSpec = replace(SPEC, personal=replace(SPEC.personal, own_epochs=6, own_lr=1e-2))
    best = own_only(engine, odd, spec)
    assert best.gate_a == pytest.approx(squared_losses(engine, best.params, odd.gate_a).mean())
    assert best.gate_a < np.square(odd.gate_a.targets).mean()
    alone = own_only(engine, odd, replace(spec, personal=replace(spec.personal, own_epochs=1)))
    assert best.gate_a <= alone.gate_a


def test_a_report_says_what_was_measured_and_comes_back(engine: Engine, shared: Flat) -> None:
    odd = odd_one()
    personal, own = personalise(engine, odd, shared, SPEC), own_only(engine, odd, SPEC)
    report = evaluate(engine, odd, shared, own, personal)
    assert PersonReport.from_json(report.to_json()) == report
    assert report.personal_rmse == report.candidate_rmse < report.global_rmse
    assert report.last_value_rmse == pytest.approx(np.sqrt(np.mean(np.square(odd.test.truth - odd.test.last))))
    assert report.covered == pytest.approx(0.8, abs=0.1)
    with pytest.raises(LearningError, match=r"training\.series_short"):
        evaluate(engine, client_data("tiny", waves(53, 20), SMALL_TASK), shared, own, personal)


def test_a_served_model_forecasts_as_it_did_in_its_site(engine: Engine, shared: Flat) -> None:
    series, like = waves(51, 2000), like_all()
    model = served(engine, like, personalise(engine, like, shared, SPEC))
    again = ServedModel.from_bytes(model.to_bytes(), SPEC.model.layout)
    assert (again.scale, again.width) == (model.scale, model.width)
    row = int(np.flatnonzero(series.times == like.test.anchors[-1])[0])
    together = Together(SPEC.model)
    packed = replace(again, params=together.pack(again.params))
    made = forecasts(together, [packed], [Series(series.times[: row + 1], series.values[: row + 1])])[0]
    expected = like.test.last[-1] + engine.predict(model.params, like.test)[-1] * like.scale.move
    assert made.value == pytest.approx(expected, rel=1e-6)
    assert made.fallback == "none"
    assert made.low is not None
    assert made.high is not None
    assert made.high - made.low == pytest.approx(2 * (model.width or 0.0))
    assert made.made_at_us == like.test.anchors[-1]


def test_without_a_model_or_after_a_gap_it_stays_as_it_is(shared: Flat) -> None:
    series, together = waves(1, 20), Together(SPEC.model)
    last, at = float(series.values[-1]), int(series.times[-1])
    model = ServedModel(together.pack(shared), scale_of(waves(1), SMALL_TASK), None)
    times = series.times.copy()
    times[-1] += 10 * 300_000_000
    without, made, after = forecasts(together, [None, model, model], [series, series, Series(times, series.values)])
    assert without == Forecast(last, None, None, at, "no_model")
    assert (made.low, made.fallback) == (None, "none")
    assert after.fallback == "gap"
    with pytest.raises(LearningError, match=r"training\.series_short"):
        forecasts(together, [model], [Series(times[:0], series.values[:0])])


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-1], lambda raw: raw[:20], lambda raw: bytes(40) + raw[40:]])
def test_bytes_that_are_no_model_are_refused(spoil: object, shared: Flat) -> None:
    raw = ServedModel(shared, scale_of(waves(1), SMALL_TASK), 3.0).to_bytes()
    with pytest.raises(LearningError):
        ServedModel.from_bytes(spoil(raw), SPEC.model.layout)  # type: ignore[operator]


def test_the_layout_of_a_model_follows_from_its_name() -> None:
    model = SPEC.model
    assert layout_for(model.arch, model.version, model.args, model.task) == model.layout
