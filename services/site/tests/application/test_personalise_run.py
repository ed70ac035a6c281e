"""After the run: what a site reports of personal models, and what of them may leave."""

from typing import Any

import pytest
from didymos_learning import flat_bytes
from didymos_learning.serving import ServedModel
from didymos_privacy import Done, Recipient, model_info
from didymos_testing.site import a_spec

SERVER = Recipient(b"twin-state" + bytes(22))


async def a_run(world: Any, rounds: int = 1) -> None:
    for round_ in range(1, rounds + 1):
        assert isinstance(await world.coordinator.round(world.answer, round_), Done)
        for name in world.sites:
            assert await world.answer(name, world.coordinator.close(name, round_)) is None


async def report(world: Any, site: Any, round_: int = 5) -> Any:
    raw = await world.answer(site, world.coordinator.personalise(site, round_, SERVER.public))
    return world.coordinator.hear(raw).body.personal.subjects


async def test_each_subject_that_took_part_has_a_line_with_its_errors_and_its_score(a_world: Any) -> None:
    world = a_world(count=1400)
    world.coordinator.gradient = world.coordinator.post.put(flat_bytes(world.coordinator.params))
    await a_run(world, 2)
    lines = await report(world, world.first.did)
    assert [line.twin for line in lines] == sorted(person.twin for person in world.first.people)
    for line in lines:
        assert line.test_windows > 0
        assert 0 < line.rmse_last_value < 100
        assert line.rmse_global > 0
        assert line.rmse_gate > 0
        assert line.gain_low <= line.gain_high
        assert bool(line.gain_high) == line.accepted
        assert line.rmse_personal > 0
        assert line.interval_high == -line.interval_low > 0
        assert line.reason in ("accepted", "rejected", "insufficient")
        assert line.score != 0


@pytest.mark.parametrize("placement", ["platform", "site"])
async def test_parameters_leave_sealed_and_only_where_the_owner_placed_them_on_the_platform(
    a_world: Any, placement: str
) -> None:
    world = a_world(count=1400, placement=placement)
    await a_run(world)
    accepted = 0
    for name in world.sites:
        for line in await report(world, name):
            if placement == "site" or not line.accepted:
                assert line.model == b""
                continue
            accepted += 1
            sealed = world.coordinator.post.objects.get(line.model, line.model)
            plain = SERVER.open(sealed, model_info("run-1", line.twin))
            served = ServedModel.from_bytes(plain, world.coordinator.spec.model.layout)
            assert 50 < served.scale.level < 300
            assert served.width == line.interval_high
    assert bool(accepted) == (placement == "platform")


async def test_the_report_is_the_same_bytes_when_it_is_asked_for_again(a_world: Any) -> None:
    world = a_world(count=1400)
    await a_run(world)
    order = world.coordinator.personalise(world.first.did, 5, SERVER.public)
    first = await world.answer(world.first.did, order)
    world.restart(world.first.did)
    assert await world.answer(world.first.did, order) == first


async def test_scores_of_rounds_that_had_no_effect_do_not_count(a_world: Any) -> None:
    world = a_world()
    await world.coordinator.round(world.answer, 1)
    await world.answer(world.first.did, world.coordinator.close(world.first.did, 1, "aborted"))
    assert world.first.store.scores("run-1") == {}
    assert list(await report(world, world.first.did)) == []


async def test_a_run_in_clear_delivers_the_sum_with_its_weight(a_world: Any) -> None:
    world = a_world(spec=a_spec(masking="none"), constraints={})
    name = world.first.did
    order = world.coordinator.opening(name, 1)
    said = world.coordinator.hear(await world.answer(name, order)).body.clear
    assert said.count == 2
    assert said.weight > 0
    assert len(world.coordinator.post.objects[said.vector]) == 4 * world.coordinator.spec.model.layout.size
    again = world.coordinator.hear(await world.answer(name, order)).body.clear
    assert again == said
