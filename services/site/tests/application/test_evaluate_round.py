"""Sites evaluate the shared model together: the coordinator gets the sum of their histograms, and of no single one."""

from dataclasses import replace
from datetime import UTC
from typing import Any

import numpy as np
import pytest
from didymos_did import Budget
from didymos_learning import EvaluationSpec, log_edges
from didymos_learning.error_histogram import spreads
from didymos_learning.evaluate_chunk import evaluate_chunk
from didymos_privacy import Done, survivors_of
from didymos_site.domain.hours import Hours, Limits
from didymos_testing.site import a_spec

pytestmark = pytest.mark.filterwarnings("ignore:.*NumPy.*")
SPEC = a_spec(evaluation=EvaluationSpec(2, log_edges()))
EVALUATION = "run-1/evaluation"


@pytest.fixture
def world(a_world: Any) -> Any:
    made = a_world(spec=SPEC)
    made.coordinator.evaluates = True
    return made


def plain(world: Any, names: Any) -> tuple[Any, dict[Any, Any]]:
    """The histograms of these sites, in clear: their sum, and each."""
    found = {}
    for name in names:
        site = world.sites[name]
        clients = [site.learner._client(subject, SPEC.model.task) for subject in site.ports.subjects.values()]
        engine = site.learner._engine_of(SPEC.model)
        found[name] = evaluate_chunk(engine, clients, world.coordinator.params, SPEC.evaluation.edges).total
    return np.sum([one.astype(np.float64) for one in found.values()], axis=0), found


async def test_the_sum_is_that_of_all_subjects_and_each_vector_is_masked(world: Any) -> None:
    state = await world.coordinator.round(world.answer, 2)
    assert isinstance(state, Done), state
    total, count = world.coordinator.total(state)
    wanted, each = plain(world, world.sites)
    assert count == pytest.approx(12.0, abs=1e-3)
    np.testing.assert_allclose(total, wanted, atol=1e-3)
    model, naive = spreads(total, 12, SPEC.evaluation.edges, count)
    exact, _ = spreads(wanted, 12, SPEC.evaluation.edges)
    assert model.median.value == pytest.approx(exact.median.value, rel=1e-3)
    assert naive.median.value > 0.0
    for name, digest in survivors_of(state):
        seen = np.frombuffer(world.coordinator.post.objects[digest], "<u4")
        clear = np.rint(each[name] / (np.sqrt(2.0) / 2**20)).astype(np.int64)
        assert len(seen) == len(clear) + 1
        assert np.mean(np.abs(seen[:-1].astype(np.int64) - clear) > 2**20) > 0.9  # of 2^32: nowhere near its own
        assert len(set(seen.tolist())) > 0.9 * len(seen)  # most bins are empty, and none shows it


async def test_a_site_lost_after_masks_were_set_up_is_not_in_the_sum(world: Any) -> None:
    lost = max(world.sites)
    state = await world.coordinator.round(world.answer, 2, silent={"MASK": [lost]})
    assert isinstance(state, Done), state
    total, count = world.coordinator.total(state)
    wanted, _ = plain(world, [name for name in world.sites if name != lost])
    assert count == pytest.approx(10.0, abs=1e-3)
    np.testing.assert_allclose(total, wanted, atol=1e-3)


async def test_under_ten_survivors_nothing_is_opened(world: Any) -> None:
    lost = sorted(world.sites)[-2:]
    state = await world.coordinator.round(world.answer, 2, silent={"MASK": lost})
    assert not isinstance(state, Done)
    said = {body.refusal for body in world.coordinator.heard if body.refusal}
    assert said <= {"privacy.threshold_missed"}


async def code(world: Any, round_: int = 2, attempt: int = 1) -> str:
    name = world.first.did
    raw = await world.answer(name, world.coordinator.opening(name, round_, attempt))
    refused: str = world.coordinator.hear(raw).refusal
    return refused


async def test_fewer_than_ten_subjects_are_told_of_by_nobody(a_world: Any) -> None:
    few = a_world(sites=4, each=2, spec=SPEC, constraints={"min-cohort": 1})
    few.coordinator.evaluates = True
    assert await code(few) == "training.cohort_too_small"
    few.coordinator.tamper = lambda _site, body: setattr(body.evaluate, "cohort", 10)
    assert await code(few) == ""  # believed so far; then the adverts tell how many there are
    state = await few.coordinator.round(few.answer, 2)
    assert not isinstance(state, Done)


async def test_what_the_specification_does_not_ask_for_is_refused(world: Any, a_world: Any) -> None:
    assert await code(world, 1) == "training.spec_malformed"  # not due
    assert await code(world, 0) == "training.spec_malformed"
    assert await code(world, 4) == ""  # the last round
    world.coordinator.spec = replace(SPEC, masking="none")
    assert await code(world) == "training.spec_malformed"
    world.coordinator.spec = a_spec()
    assert await code(world) == "training.spec_malformed"


async def test_what_the_order_names_must_be_what_lies_there(world: Any) -> None:
    def renamed(_site: Any, body: Any) -> None:
        body.params = world.coordinator.post.put(b"\x00" * 16)  # other bytes under their own digest

    world.coordinator.tamper = renamed
    assert await code(world) == "training.layout_mismatched"
    world.coordinator.tamper = lambda _site, body: setattr(body, "layout", b"\x01" * 32)
    assert await code(world) == "training.layout_mismatched"


async def test_a_model_that_gives_no_numbers_is_not_evaluated(world: Any) -> None:
    world.coordinator.params = np.full_like(world.coordinator.params, np.nan)
    assert await code(world) == "training.update_not_finite"


async def test_it_is_booked_as_a_round_of_its_own_with_one_vector_and_no_score(a_world: Any) -> None:
    world = a_world(spec=SPEC, budget=Budget(rounds=1, exact_rounds=1))
    world.coordinator.evaluates = True
    state = await world.coordinator.round(world.answer, 2)
    assert isinstance(state, Done), state
    site = world.first
    grants = [person.grant.id for person in site.people]
    assert dict(site.store.booked("another run", 1)) == dict.fromkeys(grants, 1)
    assert await code(world, attempt=2) == "privacy.second_vector_refused"
    await world.answer(site.did, world.coordinator.close(site.did, 2))
    assert site.store.scores(EVALUATION) == {}
    assert site.store.rounds() == [(EVALUATION, 1, 0)]
    assert await code(world, 4) == "privacy.not_granted"  # the budget of its grants is used up
    world.coordinator.evaluates = False
    assert await code(world, 3) == "privacy.not_granted"  # for training, too


async def test_a_site_evaluates_within_its_hours(world: Any) -> None:
    site = world.first
    closed = Limits(Hours.parse("01:00-02:00"), 0, UTC)
    site.ports = replace(site.ports, limits=closed)
    assert await code(world) == "training.site_resting"
    site.ports = replace(site.ports, limits=Limits(Hours.parse(""), 1, UTC))
    assert await code(world) == ""  # it is no round of the day's
