"""A run over simulated clients: the same state machine, chunks instead of sites, nobody to ask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from didymos_learning import CohortSpec, StrategySpec
from didymos_testing.simulation import people_in
from didymos_testing.training import a_spec
from didymos_training_orchestration.settings import SimulationSettings


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


async def test_an_ended_run_is_judged_round_by_round_on_what_nobody_trained_on(
    tmp_path: Path, coordinator_in: Callable[..., Any], until: Callable[..., Any]
) -> None:
    source = people_in(tmp_path / "people.csv")
    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0))
    simulation = SimulationSettings(source=source, engine="inline")
    async with coordinator_in(tmp_path / "house", simulation=simulation) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        address = f"/v1/runs/{run}/evaluation"
        assert (await coordinator.buyer.get(address)).json()["losses"] is None
        await coordinator.start(run)
        await coordinator.ended(run)

        async def judged() -> bool:
            return (await coordinator.buyer.get(address)).json()["losses"] is not None

        await until(judged)
        said = (await coordinator.buyer.get(address)).json()["losses"]
    assert [number for number, _ in said["losses"]] == [0, 1, 2, 3]
    assert said["losses"][0][1] == pytest.approx(said["naive"])  # a head of zeros answers that it stays as it is
    assert said["losses"][-1][1] < said["naive"]
    assert (said["source"], said["windows"] > 0) == ("the newest fifth of each simulated client's time", True)


async def test_too_few_simulated_clients_start_nothing(tmp_path: Path, coordinator_in: Callable[..., Any]) -> None:
    source = people_in(tmp_path / "people.csv", 2)
    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0))
    simulation = SimulationSettings(source=source, engine="inline")
    async with coordinator_in(tmp_path / "house", simulation=simulation) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        assert (await coordinator.start(run)).json()["code"] == "training.cohort_too_small"


@pytest.mark.slow
@pytest.mark.timeout(400)  # Ray starts three times
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
async def test_a_run_that_two_workers_began_and_three_ended_has_the_bits_of_one_process(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    source = people_in(tmp_path / "people.csv")
    spec = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0), rounds=40)

    def on(**where: Any) -> dict[str, Any]:
        return {"simulation": SimulationSettings(source=source, clients_per_chunk=1, **where)}

    async with coordinator_in(tmp_path / "resumed", **on(engine="ray", workers=2)) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        assert (await coordinator.start(run)).status_code == 200
        begun = await coordinator.until(run, lambda shown: shown["round"] >= 1)
    assert begun["state"] == "running", "the run ended before it was stopped"
    async with coordinator_in(tmp_path / "resumed", **on(engine="ray", workers=3)) as coordinator:
        resumed = await coordinator.ended(run)
    async with coordinator_in(tmp_path / "whole", **on(engine="inline")) as coordinator:
        run = await coordinator.make(spec, agreement="", clients="simulated")
        await coordinator.start(run)
        whole = await coordinator.ended(run)
    assert (resumed["committed"], whole["committed"]) == (40, 40)
    assert resumed["params_digest"] == whole["params_digest"]
