"""Training: the same bits in any process and chunk, and nothing learnt where there is nothing to learn."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from didymos_learning import (
    ClientData,
    Flat,
    LearningError,
    client_data,
    dot_score,
    norm,
    ordered_sum,
    validation_windows,
)
from didymos_learning.engine import Engine, train_chunk, validation_gradient
from didymos_learning.inline import federate, initial_params
from didymos_learning.models import initial
from didymos_testing.learning import SMALL_TASK, digest_of_run, small_spec, waves

torch.set_num_threads(1)


def clients(count: int) -> list[ClientData]:
    return [client_data(f"p{seed}", waves(seed, gaps=5), SMALL_TASK) for seed in range(count)]


@pytest.mark.slow
def test_one_seed_gives_the_same_bits_in_another_process() -> None:
    models = ["lstm", "cnn1d", "transformer"]
    program = f"from didymos_testing.learning import digest_of_run as of; print(*(of(1, arch) for arch in {models}))"
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=100)
    assert other.stdout.split() == [digest_of_run(1, arch) for arch in models]
    assert digest_of_run(1, "lstm") != digest_of_run(2, "lstm")


def test_a_client_is_trained_to_the_same_bits_in_whatever_chunk_it_is() -> None:
    spec, people = small_spec(), clients(4)
    engine, start = Engine(spec.model), initial_params(spec)
    alone = [train_chunk(engine, [one], start, spec, 1) for one in people]
    together = train_chunk(engine, people, start, spec, 1)
    backwards = train_chunk(Engine(spec.model), people[::-1], start, spec, 1)
    assert [one.trained[0] for one in alone] == list(together.trained) == list(backwards.trained[::-1])
    in_float32 = alone[0].total + alone[1].total + alone[2].total + alone[3].total
    assert np.array_equal(in_float32, together.total)
    assert together.count == 4
    assert together.weight == sum(len(one.fit) for one in people)


def test_the_total_is_the_sum_of_weighted_clipped_updates() -> None:
    spec, people = small_spec(), clients(2)
    engine, start = Engine(spec.model), initial_params(spec)
    free = train_chunk(engine, people[:1], start, spec, 1)
    tight = replace(spec, local=replace(spec.local, clip=0.05), cohort=replace(spec.cohort, max_weight=100.0))
    bound = train_chunk(engine, people, start, tight, 1)
    assert norm(free.total) > 0.05 * free.weight
    assert bound.weight == 200.0
    assert norm(bound.total) <= 2 * 100.0 * 0.05 * (1 + 1e-5)
    one = train_chunk(engine, people[:1], start, tight, 1)
    assert norm(one.total) == pytest.approx(100.0 * 0.05, rel=1e-5)


def test_training_learns_what_can_be_foretold_and_nothing_from_shuffled_labels() -> None:
    spec, people = small_spec(rounds=15, strategy="fedavgm"), clients(4)
    chance = np.random.default_rng(3)

    def reached(of: list[ClientData]) -> float:
        """Squared error on gate parts, over that of "no change"."""
        engine, params = Engine(spec.model), federate(spec, [of])
        losses = [np.square(engine.predict(params, one.gate_a) - one.gate_a.targets).sum() for one in of]
        return float(sum(losses) / sum(np.square(one.gate_a.targets).sum() for one in of))

    shuffled = [replace(one, fit=replace(one.fit, targets=chance.permutation(one.fit.targets))) for one in people]
    assert reached(people) < 0.8
    assert reached(shuffled) > 0.95


def test_fedprox_pulls_to_the_start_and_without_a_pull_is_fedavg() -> None:
    spec, people = small_spec(), clients(1)
    engine, start = Engine(spec.model), initial_params(spec)
    moved = []
    for mu in (0.0, 10.0):
        pulled = replace(spec, local=replace(spec.local, mu=mu, epochs=5, optimiser="sgd"))
        moved.append(norm(train_chunk(engine, people, start, pulled, 1).total))
    assert moved[1] < 0.7 * moved[0]


def test_no_more_steps_than_allowed() -> None:
    spec, people = small_spec(), clients(1)
    engine, start = Engine(spec.model), initial_params(spec)
    none = replace(spec, local=replace(spec.local, max_steps=2, epochs=100))
    two = replace(spec, local=replace(spec.local, max_steps=2, epochs=1))
    totals = [train_chunk(engine, people, start, each, 1).total for each in (none, two, spec)]
    assert np.array_equal(totals[0], totals[1])
    assert not np.array_equal(totals[0], totals[2])


def test_the_gradient_is_that_of_finite_differences() -> None:
    spec = small_spec()
    engine = Engine(spec.model)
    validation = validation_windows([waves(8), waves(9)], SMALL_TASK)
    params = federate(spec, [clients(2)])
    gradient = validation_gradient(engine, params, validation, spec)

    def loss(at: Flat) -> float:
        return float(np.square(engine.predict(at, validation) - validation.targets).mean())

    direction = initial(spec.model, 3)
    small = np.float32(1e-2)
    slope = (loss(params + small * direction) - loss(params - small * direction)) / (2 * small)
    assert -dot_score(direction, gradient) == pytest.approx(slope, rel=2e-2)  # float32, and the loss bends


def test_useful_clients_score_above_a_liar() -> None:
    spec, people = small_spec(), clients(3)
    engine, start = Engine(spec.model), initial_params(spec)
    gradient = validation_gradient(engine, start, validation_windows([waves(8), waves(9)], SMALL_TASK), spec)
    liar = replace(people[2], subject="liar", fit=replace(people[2].fit, targets=-people[2].fit.targets))
    scores = {one.subject: one.score for one in train_chunk(engine, [*people, liar], start, spec, 1, gradient).trained}
    assert all(scores[f"p{seed}"] > 0.0 for seed in range(3))  # type: ignore[operator]
    assert scores["liar"] < 0.0  # type: ignore[operator]
    assert train_chunk(engine, people, start, spec, 1).trained[0].score is None


def test_parameters_that_are_none_are_refused() -> None:
    spec, people = small_spec(), clients(1)
    engine = Engine(spec.model)
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        train_chunk(engine, people, np.zeros(3, dtype=np.float32), spec, 1)
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        train_chunk(engine, people, np.full(spec.model.layout.size, np.nan, dtype=np.float32), spec, 1)
    with pytest.raises(LearningError, match=r"training\.strategy_needs_individual"):
        federate(replace(spec, strategy=replace(spec.strategy, name="median"), masking="pairwise"), [people])


def test_the_order_of_chunks_is_the_order_of_the_sum() -> None:
    spec, people = small_spec(), clients(4)
    engine, start = Engine(spec.model), initial_params(spec)
    chunks = [train_chunk(engine, part, start, spec, 1).total for part in (people[:1], people[1:3], people[3:])]
    again = [train_chunk(engine, part, start, spec, 1).total for part in (people[3:], people[1:3], people[:1])]
    assert np.array_equal(ordered_sum(chunks, start.size), ordered_sum(again[::-1], start.size))
