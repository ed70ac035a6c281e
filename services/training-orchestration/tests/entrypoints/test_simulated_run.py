"""A run over simulated clients: the same state machine, chunks instead of sites, nobody to ask."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from didymos_learning import CohortSpec, StrategySpec
from didymos_testing.training import a_spec
from didymos_training_orchestration.settings import SimulationSettings


def people_in(path: Path, count: int = 6) -> Path:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "time", "gl"])
        for person in range(count):
            for at in range(200):
                when = (begun + timedelta(minutes=5 * at)).strftime("%Y-%m-%d %H:%M:%S")
                rows.writerow([f"p{person}", when, round(120 + 40 * float(np.sin(at / (5 + person))), 1)])
    return path


async def test_the_same_seed_gives_the_same_bits_also_after_a_restart(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    source = people_in(tmp_path / "people.csv")
    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0), strategy=StrategySpec("fedavgm", {}))
    found = []
    for name, restarts in (("calm", 0), ("restarted", 1)):
        settings = {"simulation": SimulationSettings(source=source, engine="inline", clients_per_chunk=2)}
        async with coordinator_in(tmp_path / name, **settings) as coordinator:
            run = await coordinator.make(spec, agreement="", clients="simulated")
            assert (await coordinator.start(run)).status_code == 200
            if restarts:
                await coordinator.until(run, lambda shown: shown["round"] >= 1)
            else:
                ended = await coordinator.ended(run)
        if restarts:
            async with coordinator_in(tmp_path / name, **settings) as coordinator:
                ended = await coordinator.ended(run)
        assert (ended["state"], ended["committed"]) == ("completed", 3), ended
        found.append(ended["params_digest"])
    assert found[0] == found[1]


async def test_too_few_simulated_clients_start_nothing(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    source = people_in(tmp_path / "people.csv", 2)
    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0))
    simulation = SimulationSettings(source=source, engine="inline")
    async with coordinator_in(tmp_path / "house", simulation=simulation) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        assert (await coordinator.start(run)).json()["code"] == "training.cohort_too_small"
