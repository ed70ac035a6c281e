"""What a run leaves: a shared model, personal ones, their cards and lineage, and events that tell of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from didymos.training.v1.training_events_pb2 import ModelRegistered, RoundClosed, RunCompleted
from didymos_contracts.topics import MODEL, TRAINING
from didymos_did import jcs
from didymos_kit.eventlog.envelope import event_type
from didymos_provenance import thread_of
from didymos_testing.did import STRANGER
from didymos_testing.training import BUYER, People, a_spec
from didymos_training_orchestration.bootstrap import NAME


async def events(coordinator: Any, topic: Any, kind: type, count: int) -> list[Any]:
    """The events of a kind in a topic, once so many are there."""
    found: list[Any] = []

    def take(record: Any) -> None:
        if record.value is not None and event_type(record.headers) == kind.DESCRIPTOR.full_name:  # type: ignore[attr-defined]
            found.append(kind.FromString(record.value))  # type: ignore[attr-defined]

    async with coordinator.world.house.event_log.tail(topic.name, take) as tail:
        await tail.ready()
    assert len(found) == count
    return found


async def test_a_completed_run_leaves_models_reports_and_events(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    spec = a_spec(rounds=2)
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        buyer = coordinator.buyer
        models = (await buyer.get("/v1/models", params={"run": run})).json()["models"]
        shared = next(model for model in models if model["kind"] == "global")
        personal = [model for model in models if model["kind"] == "personal"]
        evaluation = (await buyer.get(f"/v1/runs/{run}/evaluation")).json()
        assert shared["params_digest"] == ended["params_digest"]
        assert evaluation["self_reported"] is True
        assert (len(evaluation["subjects"]), evaluation["mean"]["accepted"]) == (10, 5)

        lineage = (await buyer.get(f"/v1/models/{shared['model']}/lineage")).json()
        assert lineage["parents"] == [{"parent": f"run-{run}", "relation": "aggregate"}]
        assert {child["child"] for child in lineage["children"]} == {model["model"] for model in personal}
        card = (await buyer.get(f"/v1/models/{shared['model']}/card")).json()
        assert card["privacy"]["differential_privacy"] == "no differential privacy"

        one = personal[0]
        owner = people.owners[one["twin"]]
        async with coordinator.world.rest(owner, NAME) as own, coordinator.world.rest(STRANGER, NAME) as stranger:
            assert (await own.get(f"/v1/models/{one['model']}/card")).json()["sealed"] is True
            assert (await own.get(f"/v1/models/{shared['model']}")).status_code == 404
            for form in ("safetensors", "onnx"):
                refused = (await own.get(f"/v1/models/{one['model']}/export", params={"format": form})).json()
                assert refused["code"] == "training.export_unsupported"
                assert "sealed" in refused["detail"]
            assert (await stranger.get(f"/v1/models/{one['model']}")).status_code == 404

        (completed,) = await events(coordinator, TRAINING, RunCompleted, 1)
        assert (completed.run, completed.rounds, len(completed.contributions)) == (run, 2, 10)
        threads = {thread_of(people.grant(coordinator.world, twin).id) for twin in people.owners}
        assert {line.thread for line in completed.contributions} == threads
        assert {line.rounds for line in completed.contributions} == {2}
        closed = await events(coordinator, TRAINING, RoundClosed, 2)
        assert [each.round for each in closed] == [1, 2]
        registered = await events(coordinator, MODEL, ModelRegistered, 6)
        assert {said.model_id for said in registered} == {model["model"] for model in models}
        assert jcs(card) == next(said.card for said in registered if said.model_id == shared["model"])


async def test_a_site_that_does_not_report_costs_its_subjects_their_models_only(
    tmp_path: Path, people: People, run_of: Callable[..., Any]
) -> None:
    from didymos_training_orchestration.settings import PaceSettings

    spec = a_spec(rounds=1)
    sites = people.doubles(spec)
    sites[0].silent.add("personal")
    async with run_of(tmp_path, spec, sites, people, pace=PaceSettings(personal_seconds=2)) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        evaluation = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()
    assert ended["state"] == "completed"
    assert not {line["twin"] for line in evaluation["subjects"]} & set(sites[0].twins)
    assert len(evaluation["subjects"]) == 8
    assert BUYER.did == ended["buyer"]
