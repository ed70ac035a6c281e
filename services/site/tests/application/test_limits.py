"""A site trains when, and as often as, whoever runs it allows."""

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

from didymos_site.domain.hours import Hours, Limits

ALONE = {"min-cohort": 1}


async def opened(world: Any, round_: int, attempt: int = 1) -> str:
    """The code of the refusal, or nothing if the site trained and advertises."""
    site = world.first
    raw = await site.answer(world.coordinator.opening(site.did, round_, attempt))
    body = world.coordinator.hear(raw).body
    assert body.WhichOneof("step") in ("refusal", "advert")
    return str(body.refusal.code)


def limited(world: Any, hours: str = "", rounds: int = 0) -> None:
    world.first.limits = Limits(Hours.parse(hours), rounds, UTC)
    world.first.ports = replace(world.first.ports, limits=world.first.limits)


async def test_outside_its_hours_a_site_refuses_to_train(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    now = world.first.clock.now()
    limited(world, f"{now + timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}")
    assert await opened(world, 1) == "training.site_resting"
    assert [row[4] for row in world.first.store.refusals()] == ["training.site_resting"]
    limited(world, f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}")
    assert await opened(world, 1) == ""


async def test_rounds_of_a_day_are_counted_over_restarts_and_the_next_day_is_new(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    limited(world, rounds=1)
    assert await opened(world, 1) == ""
    world.restart(world.first.did)
    assert await opened(world, 2) == "training.site_resting"
    assert await opened(world, 1, attempt=2) == ""  # what it trained today it goes on with
    assert world.first.store.trained_on(world.first.limits.day(world.first.clock.now()), "", 0) == 1
    assert world.first.store.trained_on("2099-01-01", "", 0) == 0
