"""The stacked engine trains as the loop does, to 1e-5, whatever the clients look like. learning.md section 16."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from didymos_learning import (
    ClientData,
    ClientFacts,
    CohortSpec,
    LearningError,
    RunSpec,
    StrategySpec,
    TaskSpec,
    Windows,
    demo_spec,
    model_spec,
)
from didymos_learning.devices import CPU, CUDA
from didymos_learning.engine import ChunkResult, Engine, train_chunk
from didymos_learning.models import initial
from didymos_learning.stackable import check_stackable
from didymos_learning.stacked import AT_ONCE, StackedEngine, _added, train_stacked
from didymos_learning.stacking import _Luck
from didymos_learning.windows import Scale

REGRESS = TaskSpec("regress", "load", "kW", 0, 2, 0, "none", columns=3)
CLASSIFY = TaskSpec("classify", "state", "", 0, 2, 0, "none", columns=3, classes=("calm", "odd", "bad"))
RAGGED = (5, 64, 1, 33, 32, 20)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def windows(count: int, task: TaskSpec, chance: np.random.Generator) -> Windows:
    inputs = chance.normal(size=(count, task.input, task.channels)).astype(np.float32)
    said = chance.integers(0, 3, count) if task.classes else inputs.sum(axis=(1, 2)) + chance.normal(size=count)
    targets = said.astype(np.float32)
    return Windows(inputs, targets, np.zeros(count), targets.astype(np.float64), np.arange(count))


def clients_of(sizes: tuple[int, ...], task: TaskSpec = REGRESS) -> list[ClientData]:
    chance, scale, none = np.random.default_rng(3), Scale(0.0, 1.0, 1.0, 1.0), np.random.default_rng(0)
    empty = windows(0, task, none)
    return [
        ClientData(f"c{at}", task, scale, windows(n, task, chance), empty, empty, empty, ClientFacts(n, 0, 0, 0))
        for at, n in enumerate(sizes)
    ]


def a_run(task: TaskSpec = REGRESS, skip: int = 0, strategy: str = "fedavg", **local: Any) -> RunSpec:
    demo = demo_spec(b"\x05" * 32)
    trained = {"epochs": 2, "batch": 16, "optimiser": "sgd", "lr": 0.05, "lr_end": 0.05, "clip": None, **local}
    return replace(
        demo, model=model_spec("mlp", {"width": 8, "skip": skip}, task), local=replace(demo.local, **trained),
        strategy=StrategySpec(strategy, {}), rounds=3, cohort=CohortSpec(1, 1, 1, 50.0), masking="none",
        engine="stacked", validation=b"",
    )  # fmt: skip


def start_of(spec: RunSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Parameters whose head is not zero: every gradient counts."""
    chance = np.random.default_rng(1).normal(size=spec.model.layout.size).astype(np.float32)
    used = initial(spec.model, 3)
    for slot in spec.model.layout.slots:
        used[slot.offset : slot.offset + slot.size] += 0.2 * chance[slot.offset : slot.offset + slot.size]
    return used


def both(spec: RunSpec, clients: list[ClientData]) -> tuple[ChunkResult, ChunkResult]:
    start, gradient = start_of(spec), np.ones(spec.model.layout.size, np.float32)
    looped = train_chunk(Engine(spec.model), clients, start, spec, 2, gradient)
    return train_stacked(StackedEngine(spec.model), clients, start, spec, 2, gradient), looped


@pytest.mark.parametrize(
    "spec",
    [
        a_run(),
        a_run(skip=2),
        a_run(optimiser="adam", lr=0.01, lr_end=0.01),
        a_run(mu=0.3),
        a_run(clip=0.05),
        a_run(huber=0.5),
        a_run(epochs=3, max_steps=4),
        a_run(epochs=3, max_steps=4, optimiser="adam", lr=0.01, lr_end=0.01, mu=0.1),
        a_run(CLASSIFY, skip=1),
    ],
    ids=["sgd", "skip", "adam", "pull", "clip", "huber", "steps", "adam-steps-pull", "classes"],
)
def test_ragged_and_one_sample_clients_train_as_in_the_loop(spec: RunSpec) -> None:
    stacked, looped = both(spec, clients_of(RAGGED, spec.model.task))
    assert (stacked.weight, stacked.count) == (looped.weight, looped.count)
    for mine, other in zip(stacked.trained, looped.trained, strict=True):
        assert (mine.subject, mine.weight) == (other.subject, other.weight)
        assert mine.loss == pytest.approx(other.loss, rel=1e-5, abs=1e-6)
        assert mine.score == pytest.approx(other.score, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(stacked.total / stacked.weight, looped.total / looped.weight, atol=1e-5, rtol=0)


def test_an_empty_client_changes_nothing_and_weighs_nothing() -> None:
    spec = a_run(optimiser="adam", lr=0.01, lr_end=0.01)
    engine, start = StackedEngine(spec.model), start_of(spec)
    with_it = train_stacked(engine, clients_of((0, 5, 40)), start, spec, 1)
    assert (with_it.trained[0].weight, with_it.trained[0].loss, with_it.count) == (0.0, 0.0, 3)
    only = train_stacked(engine, clients_of((0,)), start, spec, 1)
    assert not only.total.any()
    assert only.weight == 0.0
    looped = train_chunk(Engine(spec.model), clients_of((0, 5, 40))[1:], start, spec, 1)
    np.testing.assert_allclose(with_it.total, looped.total, atol=1e-5 * looped.weight)


def test_more_clients_than_one_stack_holds_and_the_same_bits_each_time() -> None:
    spec = a_run(epochs=1)
    clients = clients_of(tuple(1 + at % 7 for at in range(AT_ONCE + 9)))
    stacked, looped = both(spec, clients)
    np.testing.assert_allclose(stacked.total / stacked.weight, looped.total / looped.weight, atol=1e-5, rtol=0)
    engine = StackedEngine(spec.model)
    for _ in range(2):  # the second time its windows are there already
        again = train_stacked(engine, clients, start_of(spec), spec, 2)
        assert again.total.tobytes() == stacked.total.tobytes()


def test_what_does_not_stack_is_refused() -> None:
    check_stackable(a_run())
    for refused in (
        replace(a_run(), model=model_spec("lstm", {"units": 4, "skip": 0}, REGRESS)),
        a_run(strategy="scaffold"),
        a_run(strategy="median"),
    ):
        with pytest.raises(LearningError, match="stacked"):
            check_stackable(refused)


def test_an_update_that_is_not_finite_is_refused() -> None:
    spec = a_run(lr=10.0, lr_end=10.0, epochs=50)
    with pytest.raises(LearningError, match=r"training\.update_not_finite"):
        train_stacked(StackedEngine(spec.model), clients_of((64,)), start_of(spec), spec, 1)


def test_a_sum_of_rows_has_the_bits_of_a_loop() -> None:
    chance = np.random.default_rng(3)
    updates = (chance.normal(size=(50, 5_200)) * 10.0 ** chance.integers(-9, 9, size=(50, 1))).astype(np.float32)
    weights, total = [float(weight) for weight in chance.integers(0, 99, 50)], np.zeros(5_200, np.float32)
    total[::2] = -0.0
    looped = total.copy()
    for update, weight in zip(updates, weights, strict=True):
        looped += np.multiply(update, np.float32(weight))
    assert _added(total, updates.copy(), weights).tobytes() == looped.tobytes()


def test_one_generator_draws_what_a_new_one_of_each_seed_draws() -> None:
    luck = _Luck()
    for seed in (0, 1, 2**64 - 1, 1):
        fresh = np.random.Generator(np.random.Philox(key=seed))
        again = luck.of(seed)
        for count in (64, 3, 1, 0):
            assert again.permutation(count).tolist() == fresh.permutation(count).tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("local", [{}, {"optimiser": "adam", "lr": 0.01}], ids=["sgd", "adam"])
def test_both_engines_give_on_cuda_what_they_give_on_the_cpu_to_1e_4(local: dict[str, Any]) -> None:
    spec, clients = a_run(**local), clients_of(RAGGED)
    start = initial(spec.model, 1)
    for made in (
        [train_chunk(Engine(spec.model, device), clients, start, spec, 1) for device in (CPU, CUDA)],
        [train_stacked(StackedEngine(spec.model, device), clients, start, spec, 1) for device in (CPU, CUDA)],
    ):
        np.testing.assert_allclose(made[1].total / made[1].weight, made[0].total / made[0].weight, atol=1e-4)
        for there, here in zip(made[1].trained, made[0].trained, strict=True):
            assert there.loss == pytest.approx(here.loss, rel=1e-3)
