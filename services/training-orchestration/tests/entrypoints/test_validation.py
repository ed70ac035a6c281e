"""Scores are against committed data, and against no other; another machine is noted; leases are respected."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from didymos_testing.training import People, a_spec
from didymos_training_orchestration.adapters.mathematics import TorchMathematics
from didymos_training_orchestration.adapters.objects import FileObjects


def validation_in(path: Path) -> Path:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "time", "gl"])
        for at in range(200):
            when = (begun + timedelta(minutes=5 * at)).strftime("%Y-%m-%d %H:%M:%S")
            rows.writerow(["somebody", when, round(120 + 40 * float(np.sin(at / 7)), 1)])
    return path


async def test_sites_get_the_gradient_at_the_parameters_of_their_round(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    file = validation_in(tmp_path / "validation.csv")
    spec = a_spec(rounds=2, validation=sha256(file.read_bytes()).digest())
    sites = people.doubles(spec)
    async with run_of(tmp_path / "house", spec, sites, people, validation=file) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
        objects = FileObjects(coordinator.world.house.files)
        expected = []
        for round_ in rounds:
            params = np.frombuffer(await objects.get(bytes.fromhex(round_["params_digest"])) or b"", "<f4")
            gradient = await TorchMathematics(file).validation_gradient(spec, params)
            assert gradient is not None
            expected.append(sha256(gradient.astype("<f4").tobytes()).digest())
    assert ended["state"] == "completed"
    assert sites[0].gradients == expected
    assert expected[0] != expected[1]


async def test_other_validation_data_than_the_committed_pause_the_run(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    file = validation_in(tmp_path / "validation.csv")
    spec = a_spec(rounds=1, validation=b"\x09" * 32)
    for name, held in (("other", file), ("none", None)):
        async with run_of(tmp_path / name, spec, people.doubles(spec), people, validation=held) as (coordinator, run):
            assert (await coordinator.start(run)).status_code == 200
            ended = await coordinator.ended(run)
        assert (ended["state"], ended["reason"]) == ("paused", "training.validation_mismatched")


async def test_a_run_that_goes_on_elsewhere_is_not_called_reproducible(
    tmp_path: Path, people: People, run_of: Callable[..., Any], coordinator_in: Callable[..., Any],
    attend: Callable[..., Any], told: Callable[..., Any], monkeypatch: Any,
) -> None:  # fmt: skip
    spec = a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[0].silent.add("advert 1")
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await told(sites[0], "open 1.1")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")  # what another machine would differ in
    sites[0].silent.clear()
    sites[0].forget_answers()
    async with coordinator_in(tmp_path) as coordinator, attend(coordinator.world, sites):
        ended = await coordinator.ended(run)
        (shared,) = [
            model
            for model in (await coordinator.buyer.get("/v1/models", params={"run": run})).json()["models"]
            if model["kind"] == "global"
        ]
        card = (await coordinator.buyer.get(f"/v1/models/{shared['model']}/card")).json()
    assert (ended["state"], ended["bitwise"], card["bitwise"]) == ("completed", False, False)


async def test_an_advert_of_more_subjects_than_were_admitted_is_not_listed(
    tmp_path: Path, run_of: Callable[..., Any]
) -> None:
    from didymos_training_orchestration.settings import PaceSettings

    people, spec = People.at(6, 2), a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[0].boast = 7
    async with run_of(tmp_path, spec, sites, people, pace=PaceSettings(first_training_seconds=4)) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await coordinator.ended(run)
        (round_,) = await coordinator.rounds(run)
    assert round_["accepted"] == 5
    assert {"member": sites[0].did, "attempt": 1, "outcome": "deadline"} in round_["members"]
