"""A run from its agreement to its models, over real REST and gRPC."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from didymos_testing.training import People, a_spec


async def test_a_run_in_clear_ends_with_models(tmp_path: Path, people: People, run_of: Callable[..., Any]) -> None:
    spec = a_spec(masking="none")
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        started = await coordinator.start(run)
        assert started.status_code == 200, started.text
        ended = await coordinator.ended(run)
        assert (ended["state"], ended["committed"]) == ("completed", 3), ended


async def test_a_masked_run_ends_with_models(tmp_path: Path, people: People, run_of: Callable[..., Any]) -> None:
    spec = a_spec()
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        started = await coordinator.start(run)
        assert started.status_code == 200, started.text
        ended = await coordinator.ended(run)
        assert (ended["state"], ended["committed"]) == ("completed", 3), (ended, await coordinator.rounds(run))
        models = (await coordinator.buyer.get("/v1/models", params={"run": run})).json()["models"]
        assert sorted(model["kind"] for model in models) == ["global"] + ["personal"] * 5
