"""A masked round over real sites, real orders and the real coordinator machine, in memory."""

from typing import Any

import numpy as np
import pytest
from didymos_learning import flat_view
from didymos_privacy import Done
from didymos_testing.haystack import Haystack
from didymos_testing.site import readings

pytestmark = pytest.mark.filterwarnings("ignore:.*NumPy.*")


def plain_sum(world: Any, names: Any) -> tuple[Any, float]:
    """What the sites trained, added in clear."""
    total, weight = np.zeros(world.coordinator.spec.model.layout.size), 0.0
    for name in names:
        row = world.sites[name].store._file.execute("select total, weight from trained").fetchone()
        total += flat_view(row[0], total.size)
        weight += row[1]
    return total, weight


async def test_the_coordinator_gets_the_sum_of_what_sites_trained_and_nothing_else(a_world: Any) -> None:
    world = a_world()
    state = await world.coordinator.round(world.answer, 1)
    assert isinstance(state, Done), state
    total, weight = world.coordinator.total(state)
    wanted, wanted_weight = plain_sum(world, world.sites)
    assert weight == pytest.approx(wanted_weight, rel=1e-5)
    np.testing.assert_allclose(total / weight, wanted / wanted_weight, atol=1e-5)
    assert np.abs(wanted).max() > 0.1


async def test_a_site_that_drops_out_after_the_set_up_is_not_in_the_sum(a_world: Any) -> None:
    world = a_world()
    lost = max(world.sites)
    state = await world.coordinator.round(world.answer, 1, silent={"MASK": [lost]})
    assert isinstance(state, Done), state
    total, weight = world.coordinator.total(state)
    wanted, wanted_weight = plain_sum(world, [name for name in world.sites if name != lost])
    assert weight == pytest.approx(wanted_weight, rel=1e-5)
    np.testing.assert_allclose(total / weight, wanted / wanted_weight, atol=1e-5)


async def test_no_three_readings_ever_leave_a_site(a_world: Any) -> None:
    world = a_world(count=1400)
    state = await world.coordinator.round(world.answer, 1)
    assert isinstance(state, Done)
    for name in world.sites:
        await world.answer(name, world.coordinator.close(name, 1))
        raw = await world.answer(name, world.coordinator.personalise(name, 5))
        world.coordinator.hear(raw)
    sent = bytes(world.coordinator.post.sent)
    assert len(sent) > 50_000
    haystack = Haystack(sent)
    for site in world.sites.values():
        for person in site.people:
            series = readings(person.name, 1400)
            assert not haystack.found(series).size
            assert person.name.encode() not in sent


@pytest.mark.parametrize("write", [
    lambda series: np.array(series).tobytes(),
    lambda series: np.array(series, ">f8").tobytes(),
    lambda series: np.array(series, "<f4").tobytes(),
    lambda series: np.array([round(value * 10) for value in series], "<i4").tobytes(),
    lambda series: ",".join(map(str, series)).encode(),
])  # fmt: skip
def test_the_search_finds_readings_that_are_there(write: Any) -> None:
    series = readings("somebody", 30)
    haystack = Haystack(b"\xfe" * 999 + write(series) + b"\x01" * 999)
    assert haystack.found(series).tolist() == list(range(28))
    assert not haystack.found(readings("another", 3)).size


async def test_the_same_order_gets_the_same_bytes_also_from_a_site_that_was_killed(a_world: Any) -> None:
    world = a_world()
    told: list[tuple[Any, Any, bytes]] = []

    async def recording(site: Any, order: Any) -> Any:
        raw = await world.answer(site, order)
        told.append((site, order, raw))
        return raw

    await world.coordinator.round(recording, 1)
    for site in world.sites:
        world.restart(site)
    for site, order, raw in told:
        assert await world.answer(site, order) == raw


async def test_a_moved_deadline_is_the_same_order(a_world: Any) -> None:
    world = a_world()
    name = world.first.did
    first = await world.answer(name, world.coordinator.opening(name, 1))

    def later(_site: Any, body: Any) -> None:
        body.deadline_us = 999

    world.coordinator.tamper = later
    assert await world.answer(name, world.coordinator.opening(name, 1)) == first


async def test_the_same_training_gives_the_same_bits_under_another_name(a_world: Any) -> None:
    """Keys and masks are fresh each time, and ids differ; what the coordinator gets does not."""
    world, sums = a_world(), []
    for run in ("run-1", "run-2"):
        world.coordinator.run = run
        state = await world.coordinator.round(world.answer, 1)
        assert isinstance(state, Done), state
        sums.append(world.coordinator.total(state)[0].tobytes())
    assert sums[0] == sums[1]


FAULTS = ["site.trained", "site.advertised", "site.stepped", "site.masked", "site.kept", "site.delivered"]


class Killed(BaseException):
    """What kill -9 looks like from inside a test: nothing after it runs."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_site_killed_at_any_point_goes_on_and_the_sum_is_right(
    a_world: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    world = a_world()
    victim, armed = world.first.did, [True]

    def point(name: str) -> None:
        if name == fault and armed and world.sites[victim].did == current[0]:
            armed.clear()
            raise Killed

    current: list[Any] = [None]
    for module in ("train_round", "mask_round"):
        monkeypatch.setattr(f"didymos_site.application.{module}.fault_point", point)

    async def dying(site: Any, order: Any) -> Any:
        current[0] = site
        try:
            return await world.answer(site, order)
        except Killed:
            world.restart(site)
            return await world.answer(site, order)

    state = await world.coordinator.round(dying, 1)
    assert not armed
    assert isinstance(state, Done), state
    total, weight = world.coordinator.total(state)
    wanted, wanted_weight = plain_sum(world, world.sites)
    np.testing.assert_allclose(total / weight, wanted / wanted_weight, atol=1e-5)
