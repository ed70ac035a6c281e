"""The sum of a masked round is the plain sum of its survivors, whoever falls silent and when."""

from random import Random

import numpy as np
import pytest
from didymos_privacy import Aborted, Done, stage, survivors_of
from didymos_testing.privacy import SMALL, a_world, an_attempt, names
from hypothesis import given, settings
from hypothesis import strategies as st

STAGES = ["ADVERTISE", "AGREE", "SHARE", "MASK"]


def test_the_sum_is_the_plain_sum_when_all_stay() -> None:
    world = a_world(6)
    assert isinstance(world.run(), Done)
    np.testing.assert_array_equal(world.opened(), world.plain())
    assert world.codes() == set()


@pytest.mark.parametrize("at", [*STAGES, "CONFIRM", "UNMASK"])
def test_a_site_that_falls_silent_changes_nothing_but_the_survivors(at: str) -> None:
    world = a_world(8, silent={at: [names(8)[2]]})
    assert isinstance(world.run(), Done)
    np.testing.assert_array_equal(world.opened(), world.plain())


@pytest.mark.parametrize("at", ["MASK", "CONFIRM", "UNMASK"])
def test_a_quarter_of_the_sites_may_fall_silent_after_their_shares(at: str) -> None:
    """Before their vectors (MASK), or after them."""
    world = a_world(8, silent={at: [names(8)[1], names(8)[6]]})
    assert isinstance(world.run(), Done), world.state
    np.testing.assert_array_equal(world.opened(), world.plain())
    assert len(survivors_of(world.state)) == (6 if at == "MASK" else 8)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_order_of_messages_said_any_number_of_times_gives_the_same_sum(random: Random, repeats: int) -> None:
    world = a_world(6, order=lambda said: random.sample(said, len(said)), repeats=repeats)
    assert isinstance(world.run(), Done), world.state
    np.testing.assert_array_equal(world.opened(), world.plain())
    assert world.codes() == set()


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 9), st.data())
def test_any_survivor_set_of_at_least_the_threshold_gives_the_plain_sum(count: int, data: st.DataObject) -> None:
    attempt = an_attempt(minima=SMALL)
    everyone, needed = names(count), 2 * (count - 1) // 3 + 1
    spare = count - needed - 1
    dropped = data.draw(st.lists(st.sampled_from(everyone), max_size=max(spare, 0), unique=True))
    silent: dict[str, list[str]] = {}
    for name in dropped:
        silent.setdefault(data.draw(st.sampled_from(["MASK", "CONFIRM", "UNMASK"])), []).append(name)
    world = a_world(count, attempt, silent=silent)
    assert isinstance(world.run(), Done), world.state
    np.testing.assert_array_equal(world.opened(), world.plain())


@pytest.mark.parametrize(("at", "charged"), [("AGREE", False), ("MASK", False), ("CONFIRM", False), ("UNMASK", True)])
def test_below_the_threshold_nothing_is_opened(at: str, charged: bool) -> None:
    world = a_world(6, silent={at: names(6)[:3]})
    state = world.run()
    assert isinstance(state, Aborted)
    assert state.charged == charged
    assert state.code in {"privacy.threshold_missed", "privacy.neighbours_too_few"}


def test_four_sites_are_below_the_minima() -> None:
    state = a_world(4).run()
    assert isinstance(state, Aborted)
    assert state.code == "privacy.neighbours_too_few"
    assert stage(state) == "CLOSE"
