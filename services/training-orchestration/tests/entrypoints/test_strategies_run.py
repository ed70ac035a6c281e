"""Runs whose strategy sends more than parameters, over simulated clients: states outlive the coordinator."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from didymos_learning import CohortSpec, CompressionSpec, RunSpec, StrategySpec
from didymos_testing.simulation import people_in
from didymos_testing.training import a_spec
from didymos_training_orchestration.settings import SimulationSettings


def spec_of(strategy: StrategySpec, **local: Any) -> RunSpec:
    from dataclasses import replace

    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0), strategy=strategy)
    return replace(spec, local=replace(spec.local, **local))


async def ended_with(
    coordinator_in: Callable[..., Any], folder: Path, source: Path, spec: RunSpec, *, restart: bool
) -> dict[str, Any]:
    settings = {"simulation": SimulationSettings(source=source, engine="inline", clients_per_chunk=2)}
    async with coordinator_in(folder, **settings) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        assert (await coordinator.start(run)).status_code == 200
        if not restart:
            return dict(await coordinator.ended(run))
        await coordinator.until(run, lambda shown: shown["round"] >= 1)
    async with coordinator_in(folder, **settings) as coordinator:
        return dict(await coordinator.ended(run))


CASES = {
    "scaffold": spec_of(StrategySpec("scaffold", {}), optimiser="sgd", lr=0.05, lr_end=0.05),
    "ifca, top-k": spec_of(StrategySpec("ifca", {}, CompressionSpec("top-k", 0.1))),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_clients_keep_survives_a_restart(
    name: str, tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    source = people_in(tmp_path / "people.csv")
    found = [
        await ended_with(coordinator_in, tmp_path / str(restart), source, CASES[name], restart=restart)
        for restart in (False, True)
    ]
    assert [(one["state"], one["committed"]) for one in found] == [("completed", 3)] * 2, found
    assert found[0]["params_digest"] == found[1]["params_digest"]


async def test_a_strategy_that_compares_takes_each_chunk_for_one(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    source = people_in(tmp_path / "people.csv")
    spec = spec_of(StrategySpec("median", {}))
    ended = await ended_with(coordinator_in, tmp_path / "house", source, spec, restart=False)
    assert (ended["state"], ended["committed"]) == ("completed", 3), ended
