"""`python -m tests.bench.attacks [--rounds N]`: bad clients against strategies and scores, on data/glucose.

15 honest people of 19 and four that attack in each round. Scores: where the bad ones rank, of 19, worst last, summed
over the rounds that are scored. Effect: RMSE on the test part of the honest, in mg/dL.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from didymos_learning import (
    ByIndividual,
    BySum,
    ClientData,
    Contribution,
    Flat,
    LearningError,
    RunSpec,
    StrategySpec,
    Total,
    client_data,
    demo_spec,
    derive,
    dot_score,
    errors,
    gtg_shapley,
    last_value_errors,
    leave_one_out,
    ordered_sum,
    read_glucose,
    rmse,
    settings_of,
    strategy_of,
    validation_windows,
)
from didymos_learning.engine import Engine, validation_gradient
from didymos_learning.inline import initial_params
from didymos_learning.local import EngineLocal
from didymos_learning.strategies import plain
from didymos_learning.vector import clipped

DATA: Final = Path("data/glucose")
BAD: Final = 4
AUDITED: Final = 1  # of the rounds, in which leave-one-out and GTG-Shapley are computed
EPS: Final = 1e-4
Attack = Callable[[Flat, Flat], Flat]  # the honest update of the client, that of another: what it sends
ATTACKS: Final[Mapping[str, Attack | None]] = {
    "none": None,
    "label flip": lambda own, _: own,  # its data are what is changed
    "sign flip x50": lambda own, _: own * np.float32(-50.0),
    "free rider": lambda own, _: own * np.float32(0.0),
    "copied update": lambda _, other: other,
    "NaN": lambda own, _: own * np.float32("nan"),
}
STRATEGIES: Final[Mapping[str, Mapping[str, float]]] = {
    "fedavg": {},
    "median": {},
    "trimmed-mean": {"share": 0.25},
    "multi-krum": {"share": 0.22},
}


def poisoned(people: Sequence[ClientData], attack: str) -> list[ClientData]:
    """The last `BAD` people attack; label flip turns the changes that they saw around."""
    if attack != "label flip":
        return list(people)
    liars = [replace(one, fit=replace(one.fit, targets=-one.fit.targets)) for one in people[-BAD:]]
    return [*people[:-BAD], *liars]


def sent(honest: Sequence[Contribution], attack: str, clip: float | None) -> list[Contribution | None]:
    """What arrives of each client: the sender bounds nothing, the coordinator clips; None: refused, not finite."""
    turn, arrived = ATTACKS[attack], list[Contribution | None](honest)
    if turn is None:
        return arrived
    for at in range(len(honest) - BAD, len(honest)):
        try:
            update = clipped(turn(honest[at].update, honest[at - BAD].update), clip)
        except LearningError:
            arrived[at] = None
            continue
        arrived[at] = replace(honest[at], update=update, vector=_as_sent(honest[at], update))
    return arrived


def _as_sent(honest: Contribution, update: Flat) -> Flat:
    """The vector that says `update`; the curvature of q-FFL stays what the client says it is."""
    plain_vector = np.multiply(update, np.float32(honest.weight))
    if honest.vector.size == update.size:
        return plain_vector
    length = float(np.abs(honest.update).sum()) or 1.0
    factor = np.float32(float(np.abs(honest.vector[:-1]).sum()) / (length * honest.weight))
    return np.concatenate([plain_vector * factor, honest.vector[-1:]])


class Bench:
    """One run at a time over the same people."""

    def __init__(self, rounds: int) -> None:
        torch.set_num_threads(1)
        self.spec: RunSpec = replace(demo_spec(bytes(32)), masking="none", rounds=rounds)
        task = self.spec.model.task
        self.people = [client_data(name, one, task) for name, one in read_glucose(DATA / "readings.csv.gz").items()]
        held = read_glucose(DATA / "validation.csv.gz").values()
        self.validation = validation_windows(list(held), task)
        thinned = np.arange(0, len(self.validation), 64)
        self.small = replace(
            self.validation,
            **{name: getattr(self.validation, name)[thinned] for name in self.validation.__dataclass_fields__},
        )
        self.engine = Engine(self.spec.model)

    def utility(self, params: Flat) -> float:
        """Minus the mean squared error on every 64th validation window, in scaled units."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = -float(np.square(self.engine.predict(params, self.small) - self.small.targets).mean())
        return found if np.isfinite(found) else -1e9

    def run(self, name: str, attack: str, *, scored: bool) -> tuple[float, dict[str, list[float]]]:
        """The error of the honest on test, and by each score the sums of all clients."""
        spec = replace(self.spec, strategy=StrategySpec(name, STRATEGIES[name]))
        strategy, people = strategy_of(spec.strategy, "none"), poisoned(self.people, attack)
        settings = settings_of(strategy, spec.strategy)
        state = strategy.init(initial_params(spec), settings)
        scores: dict[str, list[float]] = {}
        audited = {int(at) for at in np.linspace(1, spec.rounds, AUDITED)}
        for round_ in range(1, spec.rounds + 1):
            contribute = strategy.contribute if isinstance(strategy, BySum) else plain
            locals_ = [EngineLocal(self.engine, one, spec, round_) for one in people]
            honest = [contribute(one, state.params, (), None, settings) for one in locals_]
            arrived = sent(honest, attack, spec.local.clip)
            if scored:
                self._score(scores, state.params, arrived, round_, audit=round_ in audited)
            here = [one for one in arrived if one is not None]
            if isinstance(strategy, ByIndividual):
                state = strategy.apply(state, [one.update for one in here], settings)
            else:
                width = strategy.width(state.params.size, settings)
                whole = ordered_sum((one.vector for one in here), width)
                state = strategy.apply(state, Total(whole, sum(one.weight for one in here), len(here)), settings)
        return self._error(state.params), scores

    def _error(self, params: Flat) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            good = self.people[:-BAD]
            each = [rmse(errors(self.engine.predict(params, one.test), one.test, one.scale)) for one in good]
        return float(np.mean(each))

    def _score(
        self,
        scores: dict[str, list[float]],
        params: Flat,
        arrived: Sequence[Contribution | None],
        at: int,
        *,
        audit: bool,
    ) -> None:
        gradient = validation_gradient(self.engine, params, self.validation, self.spec)
        found = {"dot": {str(i): dot_score(one.update, gradient) for i, one in enumerate(arrived) if one is not None}}
        if audit:
            updates = {str(i): one.update for i, one in enumerate(arrived) if one is not None}
            weights = {str(i): one.weight for i, one in enumerate(arrived) if one is not None}
            found["leave-one-out"] = leave_one_out(params, updates, weights, self.utility)
            found["GTG-Shapley"] = gtg_shapley(
                params, updates, weights, self.utility, eps=EPS, permutations=19, seed=derive(self.spec.seed, "gtg", at)
            )
        for name, said in found.items():
            sums = scores.setdefault(name, [0.0] * len(arrived))
            for i in range(len(arrived)):
                sums[i] += said.get(str(i), 0.0)


def ranks(sums: Sequence[float]) -> str:
    """The places of the bad clients, 1 the best; equal scores share the middle of their places."""
    values = np.asarray(sums)
    places = [1 + int((values > value).sum()) + (int((values == value).sum()) - 1) / 2 for value in values]
    return ", ".join(f"{place:g}" for place in sorted(places[-BAD:]))


def main(arguments: Sequence[str]) -> None:
    rounds = int(arguments[arguments.index("--rounds") + 1]) if "--rounds" in arguments else 2
    bench = Bench(rounds)
    good = bench.people[:-BAD]
    floor = np.mean([rmse(last_value_errors(one.test)) for one in good])
    print(f"{rounds} rounds, {len(good)} honest and {BAD} bad clients; last value {floor:.2f} mg/dL", flush=True)
    print(f"| attack | {' | '.join(STRATEGIES)} |", flush=True)
    told: list[str] = []
    for attack in ATTACKS:
        cells = []
        for name in STRATEGIES:
            error, scores = bench.run(name, attack, scored=name == "fedavg" and attack != "NaN")
            cells.append(f"{error:.2f}")
            if scores:
                told.append(f"| {attack} | {' | '.join(ranks(sums) for sums in scores.values())} |")
        print(f"| {attack} | {' | '.join(cells)} |", flush=True)
    print("| attack | dot | leave-one-out | GTG-Shapley |", *told, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
