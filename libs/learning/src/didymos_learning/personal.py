"""A model of one's own: candidates from the global one, the best on gate-a, the gate on gate-b; and own data only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from didymos_learning.engine import Engine
from didymos_learning.gate import Decision, decide
from didymos_learning.models import initial
from didymos_learning.spec import RunSpec, derive
from didymos_learning.vector import Flat, Wide
from didymos_learning.windows import ClientData, Windows

HEAD_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to a personal model, by name, with the parameters (d,) it gave and its mean squared error on gate-a."""

    name: str
    params: Flat
    gate_a: float


@dataclass(frozen=True, slots=True)
class Personal:
    """What one person gets: `params` (d,) are the candidate's if the gate accepted it, else the global ones."""

    subject: str
    params: Flat
    candidate: Candidate
    decision: Decision


def squared_losses(engine: Engine, params: Flat, windows: Windows) -> Wide:
    """The squared error (n,) of each window, in scaled units; of classes the squared distance of their probabilities
    from the truth (Brier's score: proper, and never above 2, so one sure mistake decides nothing)."""
    found = engine.predict(params, windows)
    if engine.model.task.kind != "classify":
        losses: Wide = np.square(found - windows.targets)
        return losses
    scores: Wide = np.square(probabilities(found) - one_hot(windows, found.shape[1])).sum(axis=1)
    return scores


def probabilities(scores: Wide) -> Wide:
    """Scores (n, classes) as probabilities."""
    powers: Wide = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def one_hot(windows: Windows, classes: int) -> Wide:
    """The truth as probabilities (n, classes)."""
    return np.equal(windows.targets[:, None], np.arange(classes)).astype(np.float64)


def personalise(engine: Engine, client: ClientData, params: Flat, spec: RunSpec) -> Personal:
    """The best candidate on gate-a, through the gate on gate-b. Nobody sees test. learning.md 9.

    A client without a window in gate-a keeps the global parameters, `insufficient`.
    """
    found = list(candidates(engine, client, params, spec)) if len(client.gate_a) else []
    if not found:
        nothing = Decision("insufficient", len(client.gate_b))
        return Personal(client.subject, params, Candidate("global", params, float("inf")), nothing)
    best = min(found, key=lambda candidate: candidate.gate_a)
    decision = decide(
        squared_losses(engine, params, client.gate_b),
        squared_losses(engine, best.params, client.gate_b),
        client.task.horizon,
        client.gate_units,
    )
    return Personal(client.subject, best.params if decision.accepted else params, best, decision)


def own_only(engine: Engine, client: ClientData, spec: RunSpec) -> Candidate:
    """The baseline: a model from this person's data alone; its epochs are chosen on gate-a."""
    local = replace(
        spec.local, epochs=spec.personal.own_epochs, max_steps=0, mu=0.0, lr=spec.personal.own_lr,
        lr_end=spec.personal.own_lr,
    )  # fmt: skip
    start = initial(spec.model, derive(spec.seed, "own", client.subject))
    best = Candidate("own 0", start, _gate_a(engine, start, client))
    seed = derive(spec.seed, "own-order", client.subject)
    engine.load(start)
    for epoch, _ in enumerate(engine.train(client.fit, local, local.lr, seed), start=1):
        params = engine.params()
        reached = _gate_a(engine, params, client)  # loads the same parameters: training goes on where it was
        if reached < best.gate_a:
            best = Candidate(f"own {epoch}", params, reached)
    return best


def candidates(engine: Engine, client: ClientData, params: Flat, spec: RunSpec) -> Iterator[Candidate]:
    """Every candidate of the run, in the order of its specification."""
    wanted = spec.personal
    longest = max(wanted.fine_tune)
    for pull in (0.0, *wanted.ditto):
        local = replace(spec.local, epochs=longest, max_steps=0, mu=pull, lr=wanted.lr, lr_end=wanted.lr)
        engine.load(params)
        seed = derive(spec.seed, "personal", client.subject)
        for epoch, _ in enumerate(engine.train(client.fit, local, local.lr, seed), start=1):
            if epoch == longest or (not pull and epoch in wanted.fine_tune):
                tuned = engine.params()
                name = f"ditto {pull:g}" if pull else f"fine-tune {epoch}"
                yield _candidate(engine, client, name, params, tuned, wanted.step)
                engine.load(tuned)
    for ridge in wanted.head_ridge:
        fitted = head_fit(engine, client.fit, params, ridge)
        yield _candidate(engine, client, f"head-only {ridge:g}", params, fitted, wanted.step)


def head_fit(engine: Engine, windows: Windows, params: Flat, ridge: float) -> Flat:
    """`params` (d,) with the head that minimises the mean squared error + `ridge` |head - old head|^2, exactly.

    The bias is free of the penalty. Features are those of the global body. Of classes it is the mean log loss, by steps
    that each lower it (Boehning 1992: one half bounds the curvature); HEAD_STEPS of them, which is nearly exact.
    """
    engine.load(params)
    with torch.no_grad():
        read = engine.module.features(torch.from_numpy(windows.inputs)).numpy().astype(np.float64)
    found = engine.predict(params, windows)
    design = np.hstack([read, np.ones((len(read), 1))])
    penalty = np.diag([ridge] * read.shape[1] + [1e-9])
    out = params.copy()
    weight, bias = engine.layout.slot("head.weight"), engine.layout.slot("head.bias")
    if engine.model.task.kind == "classify":
        change = _head_of_classes(design, found, one_hot(windows, found.shape[1]), penalty)
        engine.layout.view(out, weight)[:] += change[:-1].T.astype(np.float32)
        engine.layout.view(out, bias)[:] += change[-1].astype(np.float32)
        return out
    left = windows.targets - found
    change = np.asarray(
        np.linalg.solve(design.T @ design / len(read) + penalty, design.T @ left / len(read)), np.float64
    )
    engine.layout.view(out, weight)[0] += change[:-1].astype(np.float32)
    engine.layout.view(out, bias)[0] += np.float32(change[-1])
    return out


def _head_of_classes(design: Wide, scores: Wide, truth: Wide, penalty: Wide) -> Wide:
    """(features + 1, classes): what to add to the head that gives `scores` (n, classes)."""
    change = np.zeros((design.shape[1], scores.shape[1]))
    curvature = np.linalg.inv(0.5 * design.T @ design / len(design) + penalty)
    for _ in range(HEAD_STEPS):
        left = truth - probabilities(scores + design @ change)
        change += curvature @ (design.T @ left / len(design) - penalty @ change)
    return change


def _candidate(engine: Engine, client: ClientData, name: str, params: Flat, fitted: Flat, step: float) -> Candidate:
    """`step` of the way: what one person's few days say of the rest is kept half in doubt (learning.md 9, ADR 32)."""
    reached = params + np.multiply(fitted - params, np.float32(step))
    return Candidate(name, reached, _gate_a(engine, reached, client))


def _gate_a(engine: Engine, params: Flat, client: ClientData) -> float:
    return float(squared_losses(engine, params, client.gate_a).mean()) if len(client.gate_a) else float("inf")
