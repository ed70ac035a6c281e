"""`make bench AREA=learning_tasks ARGS="activity"`: one real task (or more) by every kind of model, as a table.

The folder of data sets is DIDYMOS_DATA_SETS (glucose needs none; activity, beats and wind need pyarrow on PYTHONPATH).
Each trained model is kept in build/bench/learning_tasks under the digest of its run, so a broken run goes on.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from inspect import getsource
from pathlib import Path
from typing import Final

import numpy as np
import torch
from didymos_learning import ClientData, Flat, Windows, decide, demo_spec, derive, rmse
from didymos_learning import errors as errors_of
from didymos_learning.engine import Engine
from didymos_learning.inline import federate, initial_params
from didymos_learning.personal import own_only, personalise
from didymos_learning.vector import Wide

from tests.bench.task_runs import TASKS, Fold, Task
from tests.bench.task_table import printed

KEPT: Final = Path("build/bench/learning_tasks")


@dataclass(frozen=True)
class Outcome:
    """One client: errors on test by row of the table (share wrong in %, or RMSE), and what the gate said.

    `gate`: the global model's error on gate parts. `gain`: global minus personal error in 20 blocks of test, in order.
    `confusion`: by row, of classes: truth by answer.
    """

    subject: str
    windows: int
    gate: float
    errors: dict[str, float]
    verdict: str
    candidate: str
    gain: list[float]
    confusion: dict[str, list[list[int]]]


def wrong(engine: Engine, params: Flat, client: ClientData, windows: Windows) -> Wide:
    """(n,): the error of each window: 0 or 100 where classes are told apart, else in the unit of the task."""
    found = engine.predict(params, windows)
    if client.task.kind == "classify":
        missed: Wide = 100.0 * (found.argmax(axis=1) != windows.truth)
        return missed
    return errors_of(found, windows, client.scale)


def said(of: Wide, client: ClientData) -> float:
    return float(of.mean()) if client.task.kind == "classify" and len(of) else rmse(of)


def outcome(engine: Engine, client: ClientData, shared: dict[str, Flat], task: Task) -> Outcome:
    """One look at test by every model."""
    spec, of = task.spec, shared["global"]
    personal = personalise(engine, client, of, spec)
    models = {
        "own only": own_only(engine, client, spec).params, "global": of, "central": shared["central"],
        "best candidate": personal.candidate.params, "gated": personal.params, "leak": shared["leak"],
    }  # fmt: skip
    test, classify = client.test, client.task.kind == "classify"
    each = {name: wrong(engine, params, client, test) for name, params in models.items()}
    each["floor"] = 100.0 * (test.last != test.truth) if classify else test.last - test.truth
    gate = np.concatenate([wrong(engine, of, client, part) for part in (client.gate_a, client.gate_b)])
    blocks = [np.array_split(each[name], min(20, len(test))) for name in ("global", "gated")]
    gain = [said(a, client) - said(b, client) for a, b in zip(*blocks, strict=True)]
    confusion = {}
    if classify:
        classes = len(client.task.classes)
        for name, params in models.items():
            answers = engine.predict(params, test).argmax(axis=1)
            flat = np.bincount(test.truth.astype(np.int64) * classes + answers, minlength=classes**2)
            confusion[name] = flat.reshape(classes, classes).tolist()
    return Outcome(
        client.subject, len(test), said(gate, client), {name: said(of_, client) for name, of_ in each.items()},
        personal.decision.verdict, personal.candidate.name, gain, confusion,
    )  # fmt: skip


def central(task: Task, fold: Fold) -> Flat:
    """The same model on all windows in one place, as many epochs (or steps) at the same rates: what nobody may."""
    spec, engine = task.spec, Engine(task.spec.model)
    local = replace(spec.local, max_steps=spec.local.max_steps * len(fold.train))
    names = [field.name for field in fields(Windows)]
    pooled = Windows(*(np.concatenate([getattr(one.fit, name) for one in fold.train]) for name in names))
    engine.load(initial_params(spec))
    for epoch in range(1, spec.rounds + 1):
        seed = derive(spec.seed, "central", epoch)
        for _ in engine.train(pooled, local, local.rate(epoch, spec.rounds), seed):
            pass
    return engine.params()


def leak(task: Task, fold: Fold) -> Flat:
    """The federated run on labels that were shuffled inside each client: it must be no better than the floor."""
    chance = np.random.default_rng(1)
    shuffled = [replace(c, fit=replace(c.fit, targets=chance.permutation(c.fit.targets))) for c in fold.train]
    return federated(task, replace(fold, train=shuffled))


def federated(task: Task, fold: Fold) -> Flat:
    return federate(task.spec, [list(fold.train[site::8]) for site in range(8)])


def kept(name: str, make: Callable[[], Flat]) -> Flat:
    """The vector of this name, made once."""
    path = KEPT / f"{name}.npy"
    if path.exists():
        found: Flat = np.load(path, allow_pickle=False)
        return found
    begun = time.process_time()
    made = make()
    np.save(path, made)
    print(f"  {name}: {time.process_time() - begun:.1f} CPU s", file=sys.stderr)
    return made


def trained_digest(task: Task) -> str:
    """What the shared models depend on: all of the run but its personal models."""
    other = demo_spec(task.spec.seed).personal
    return replace(task.spec, personal=other).digest.hex()[:10]


def judged_by() -> str:
    """What an outcome depends on beside run and data: the code of candidates and gate."""
    code = "".join(getsource(sys.modules[part.__module__]) for part in (personalise, decide))
    return hashlib.sha256(code.encode()).hexdigest()[:6]


def remembered(stem: str, task: Task, client: ClientData, make: Callable[[], Outcome]) -> Outcome:
    """The outcome of this client, made once."""
    path = KEPT / f"{stem}-{client.subject}-{task.spec.digest.hex()[:6]}-{judged_by()}.json"
    if path.exists():
        return Outcome(**json.loads(path.read_text()))
    made = make()
    path.write_text(json.dumps(asdict(made)))
    return made


def measure(task: Task, folder: Path) -> None:
    """Trains, tests, writes build/bench/learning_tasks/TASK.json."""
    begun, outcomes, shared = time.process_time(), list[Outcome](), dict[str, Flat]()
    engine = Engine(task.spec.model)
    for number, fold in enumerate(task.folds(folder, task.spec.model.task)):
        stem = f"{task.name}-{number}-{trained_digest(task)}"
        made = {"global": federated, "central": central, "leak": leak}
        if number:  # one model on shuffled labels serves all folds: it must be bad for everyone
            made.pop("leak")
        found = {name: kept(f"{stem}-{name}", partial(how, task, fold)) for name, how in made.items()}
        shared.update(found)
        outcomes += [
            remembered(stem, task, client, partial(outcome, engine, client, shared, task)) for client in fold.held
        ]
    path = KEPT / f"{task.name}.json"
    path.write_text(json.dumps({"spec": task.spec.digest.hex(), "clients": [asdict(one) for one in outcomes]}) + "\n")
    print(f"  {task.name}: {time.process_time() - begun:.1f} CPU s in all", file=sys.stderr)


def main(asked: Sequence[str]) -> int:
    torch.set_num_threads(1)
    KEPT.mkdir(parents=True, exist_ok=True)
    folder = os.environ.get("DIDYMOS_DATA_SETS", "")
    for name in asked:
        if name not in TASKS or not (folder or name == "glucose"):
            print(f"one of {', '.join(TASKS)}; DIDYMOS_DATA_SETS is the folder of the data sets", file=sys.stderr)
            return 2
        measure(TASKS[name], Path(folder))
    for name, task in TASKS.items():
        path = KEPT / f"{name}.json"
        if path.exists() and (not asked or name in asked):
            print(printed(task.name, task.what, task.floor, json.loads(path.read_text())["clients"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
