"""An owner is told which runs, rounds and models used the twin; an erased twin leaves no model of its own behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from didymos_did import TwinId
from didymos_provenance import event_id
from didymos_testing.did import STRANGER
from didymos_testing.training import BUYER, People, a_spec
from didymos_training_orchestration.bootstrap import NAME


async def test_the_owner_learns_what_was_made_of_the_twin_and_what_stays(
    tmp_path: Path, people: People, run_of: Callable[..., Any], until: Callable[..., Any]
) -> None:
    spec = a_spec(rounds=2)
    async with run_of(tmp_path, spec, people.doubles(spec), people) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        await coordinator.ended(run)
        models = (await coordinator.buyer.get("/v1/models", params={"run": run})).json()["models"]
        shared = next(model for model in models if model["kind"] == "global")
        mine = next(model for model in models if model["kind"] == "personal")
        twin, address = TwinId(mine["twin"]), f"/v1/twins/{mine['twin']}/erasure-report"
        sealed = coordinator.world.house.files
        async with coordinator.world.rest(people.owners[twin], NAME) as owner:
            report = (await owner.get(address)).json()
            (trace,) = report["runs"]
            assert (report["state"], report["rounds_used"], trace["buyer"]) == ("live", 2, BUYER.did)
            assert [use["outcome"] for use in trace["rounds"]] == ["used", "used"]
            assert trace["rounds"][0]["event"] == event_id("round.closed", f"{run}/rounds/1").hex()
            assert trace["rounds"][1]["params_digest"] == shared["params_digest"]
            assert report["lasting"]["models"] == [shared["model"]]
            assert any("without differential privacy" in line for line in report["lasting"]["why"])
            assert [own["model"] for own in report["erasable"]["models"]] == [mine["model"]]
            assert report["erasable"]["reports"] == 1
            assert report["budget"][0]["rounds_spent"] == 2
            for other in (STRANGER, BUYER):
                async with coordinator.world.rest(other, NAME) as caller:
                    assert (await caller.get(address)).status_code == 404

            await coordinator.world.house.wait(await coordinator.world.identity.destroy(twin))

            async def gone() -> bool:
                return bool((await owner.get(address)).json()["erasable"]["models"][0]["erased_at"])

            await until(gone)
            after = (await owner.get(address)).json()
            assert (after["state"], after["erasable"]["reports"], after["rounds_used"]) == ("erased", 0, 2)
            assert await sealed.get(f"training/objects/{mine['params_digest']}") is None
            card = (await owner.get(f"/v1/models/{mine['model']}/card")).json()
            assert (card["state"], set(card)) == ("erased", {"at", "kind", "model", "state"})
        said = (await coordinator.buyer.get(f"/v1/runs/{run}/evaluation")).json()
        assert twin not in {line["twin"] for line in said["subjects"]}
