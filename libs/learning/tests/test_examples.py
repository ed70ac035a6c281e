"""Rows of many columns: scaled by the fit part alone, refused when they are none; classes and numbers are learnt."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from didymos_learning import ClientData, Decision, LearningError, LocalSpec, RunSpec, TaskSpec, client_data, model_spec
from didymos_learning.engine import Engine
from didymos_learning.examples import FURTHEST, Examples, example_data
from didymos_learning.gate import LEAST_UNITS
from didymos_learning.inline import federate
from didymos_learning.personal import head_fit, one_hot, personalise, probabilities, squared_losses
from didymos_testing.learning import small_spec, waves

torch.set_num_threads(1)
THREE = TaskSpec("classify", "shape", "", 0, 8, 0, "none", 4, ("up", "down", "flat"))
NUMBER = TaskSpec("regress", "slope", "V", 60, 8, 1, "none", 4)
ARGS: dict[str, dict[str, int | float | str]] = {
    "mlp": {"width": 8, "skip": 0},
    "gru": {"units": 8, "skip": 1},
    "lstm": {"units": 8, "skip": 1},
    "cnn1d": {"width": 8, "groups": 2, "skip": 1},
    "cnn2d": {"width": 8, "groups": 2, "planes": 2, "skip": 1},
    "transformer": {"width": 8, "heads": 2, "layers": 1, "patch": 2, "skip": 1},
}


def spec(arch: str, task: TaskSpec, rounds: int = 6, epochs: int = 1) -> RunSpec:
    local = LocalSpec(epochs, 0, 32, "adam", 1e-2, 1e-3, 0.0, None, None, "float32")
    return replace(small_spec(), model=model_spec(arch, ARGS[arch], task), local=local, rounds=rounds)


def part(seed: int, count: int, task: TaskSpec, turn: float = 1.0) -> Examples:
    """Slopes in noise, in column 0; `turn` -1: what is up to others is down here."""
    chance = np.random.default_rng(seed)
    slope = chance.integers(-1, 2, count).astype(np.float64)
    inputs = chance.normal(5.0, 0.3, (count, task.input, task.columns))
    inputs[..., 0] += slope[:, None] * np.linspace(-1.0, 1.0, task.input) * turn
    truth = np.where(slope > 0, 0.0, np.where(slope < 0, 1.0, 2.0)) if task.kind == "classify" else slope * 3.0 + 7.0
    naive = np.full(count, 2.0 if task.kind == "classify" else 7.0)
    return Examples(inputs.astype(np.float32), truth, naive, np.arange(count))


def client(seed: int, task: TaskSpec, turn: float = 1.0) -> ClientData:
    return example_data(f"p{seed}", [part(seed * 9 + at, 120, task, turn) for at in range(4)], task)


def missed(engine: Engine, params: np.ndarray[tuple[int], np.dtype[np.float32]], people: Sequence[ClientData]) -> float:
    found = [np.argmax(engine.predict(params, one.test), axis=1) != one.test.truth for one in people]
    return float(np.concatenate(found).mean())


@pytest.mark.parametrize("arch", ["mlp", "cnn2d"])
def test_classes_are_learnt_and_shuffled_ones_are_not(arch: str) -> None:
    run, people, chance = (
        spec(arch, THREE, epochs=4),
        [client(seed, THREE) for seed in range(3)],
        np.random.default_rng(4),
    )
    engine = Engine(run.model)
    shuffled = [replace(p, fit=replace(p.fit, targets=chance.permutation(p.fit.targets))) for p in people]
    assert missed(engine, federate(run, [people]), people) < 0.25
    assert missed(engine, federate(run, [shuffled]), people) > 0.5


@pytest.mark.parametrize("arch", list(ARGS))
def test_every_architecture_answers_for_numbers_and_classes(arch: str) -> None:
    number, three = Engine(spec(arch, NUMBER).model), Engine(spec(arch, THREE).model)
    assert number.predict(number.params(), client(1, NUMBER).test).shape == (120,)
    assert three.predict(three.params(), client(1, THREE).test).shape == (120, 3)
    assert not three.predict(three.params(), client(1, THREE).test).any()


def test_numbers_are_learnt_from_the_naive_answer_on() -> None:
    run, people = spec("gru", NUMBER, 10), [client(seed, NUMBER) for seed in range(3)]
    engine = Engine(run.model)
    params = federate(run, [people])
    found = [one.test.last + engine.predict(params, one.test) * one.scale.move - one.test.truth for one in people]
    naive = [one.test.last - one.test.truth for one in people]
    assert np.square(found).mean() < 0.5 * np.square(naive).mean()


def test_who_tells_classes_apart_otherwise_gets_a_model_and_who_does_not_keeps_the_global_one() -> None:
    run = spec("mlp", THREE)
    engine, params = Engine(run.model), federate(run, [[client(seed, THREE) for seed in range(3)]])
    odd, like = client(7, THREE, -1.0), client(8, THREE)
    own = personalise(engine, odd, params, run)
    assert own.decision.accepted
    assert missed(engine, own.params, [odd]) < missed(engine, params, [odd])
    shuffled = replace(like, fit=replace(like.fit, targets=np.random.default_rng(1).permutation(like.fit.targets)))
    assert personalise(engine, shuffled, params, run).params.tobytes() == params.tobytes()


def test_the_head_of_classes_is_at_the_least_of_its_loss() -> None:
    run, one = spec("mlp", THREE), client(3, THREE, -1.0)
    engine = Engine(run.model)
    params = federate(run, [[client(seed, THREE) for seed in range(2)]])
    slots = [run.model.layout.slot(name) for name in ("head.weight", "head.bias")]

    def loss(of: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
        sure = (probabilities(engine.predict(of, one.fit)) * one_hot(one.fit, 3)).sum(axis=1)
        pull = np.square(run.model.layout.view(of - params, slots[0])).sum()
        return float(-np.log(sure).mean() + 0.05 * pull)

    fitted = head_fit(engine, one.fit, params, 0.1)
    assert loss(fitted) < loss(params) - 0.05
    for at in range(slots[0].offset, slots[0].offset + slots[0].size):
        for way in (-0.05, 0.05):
            near = fitted.copy()
            near[at] += np.float32(way)
            assert loss(near) > loss(fitted)
    assert squared_losses(engine, fitted, one.fit).max() <= 2.0


def test_nothing_after_the_fit_part_changes_the_scale() -> None:
    parts = [part(at, 50, NUMBER) for at in range(4)]
    loud = replace(parts[3], inputs=parts[3].inputs * 1000.0)
    one, other = example_data("a", parts, NUMBER), example_data("a", [*parts[:3], loud], NUMBER)
    assert np.array_equal(one.fit.inputs, other.fit.inputs)
    assert one.scale == other.scale
    assert np.abs(other.test.inputs).max() == FURTHEST


def test_plain_columns_stay_as_they_are() -> None:
    parts = [part(at, 50, NUMBER) for at in range(4)]
    made, scaled = example_data("a", parts, NUMBER, (1, 3)), example_data("a", parts, NUMBER)
    assert np.array_equal(made.test.inputs[..., [1, 3]], parts[3].inputs[..., [1, 3]])
    assert np.array_equal(made.test.inputs[..., [0, 2]], scaled.test.inputs[..., [0, 2]])


def test_the_gate_counts_the_units_of_the_reader() -> None:
    run, odd = spec("mlp", THREE), [part(63 + at, 120, THREE, -1.0) for at in range(4)]
    engine, params = Engine(run.model), federate(run, [[client(seed, THREE) for seed in range(3)]])

    def gated(units: int) -> Decision:
        parts = [*odd[:2], replace(odd[2], units=np.arange(120) % units), odd[3]]
        return personalise(engine, example_data("odd", parts, THREE), params, run).decision

    assert (gated(LEAST_UNITS).verdict, gated(LEAST_UNITS).units) == ("accepted", LEAST_UNITS)
    assert gated(1).verdict == "insufficient"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: replace(p, inputs=p.inputs[:, 1:]),
        lambda p: replace(p, truth=p.truth[1:]),
        lambda p: replace(p, truth=np.full(len(p.truth), np.nan)),
        lambda p: replace(p, truth=np.full(len(p.truth), 3.0)),
        lambda p: replace(p, times=p.times[::-1]),
        lambda p: replace(p, units=np.zeros(1, dtype=np.int64)),
        lambda p: replace(p, inputs=np.full_like(p.inputs, np.inf)),
    ],
    ids=["rows", "count", "nan", "class", "order", "units", "infinite"],
)
def test_rows_that_are_none_are_refused(spoil: object) -> None:
    good = part(1, 20, THREE)
    with pytest.raises(LearningError, match=r"training\.series_malformed"):
        example_data("a", [good, good, spoil(good), good], THREE)  # type: ignore[operator]
    empty = part(1, 0, THREE)
    with pytest.raises(LearningError, match=r"training\.series_short"):
        example_data("a", [empty, good, good, good], THREE)


def test_a_series_of_one_property_is_no_data_to_classes() -> None:
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        client_data("a", waves(1), THREE)


@pytest.mark.parametrize(
    "changes",
    [{"classes": ()}, {"classes": ("a", "a")}, {"columns": 0}, {"clock": "day"}, {"kind": "regress"}, {"input": 0}],
)
def test_tasks_that_are_none_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        replace(THREE, **changes)  # type: ignore[arg-type]
    assert RunSpec.from_json(spec("mlp", THREE).to_json()) == spec("mlp", THREE)
