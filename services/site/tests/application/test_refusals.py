"""What a site refuses, and with which code, whoever orders it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from didymos.training.v1 import training_types_pb2 as pb
from didymos_contracts.errors import Problem
from didymos_did import DPV, Budget, GrantState, Purpose
from didymos_privacy import Aborted, Done
from didymos_testing.did import STRANGER
from didymos_testing.site import COORDINATOR, a_beat, a_spec, told_grant

ALONE = {"min-cohort": 1}  # one site is enough for such a grant


async def opened(world: Any, site: Any = None, round_: int = 1, attempt: int = 1, **said: Any) -> pb.SignalBody:
    """What a site answers to an opening."""
    name = site or world.first.did
    raw = await world.answer(name, world.coordinator.opening(name, round_, attempt, **said))
    body: pb.SignalBody = world.coordinator.hear(raw).body
    return body


async def code(world: Any, **said: Any) -> str:
    body = await opened(world, **said)
    assert body.WhichOneof("step") in ("refusal", "advert")
    return body.refusal.code


async def test_an_order_of_another_coordinator_is_not_even_answered(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    world.coordinator.signer = STRANGER
    with pytest.raises(Problem, match=r"privacy\.order_invalid"):
        await opened(world)
    world.coordinator.signer = COORDINATOR
    order = world.coordinator.opening(world.first.did, 1)
    order.body += b"\x00"
    with pytest.raises(Problem, match=r"privacy\.order_invalid"):
        await world.answer(world.first.did, order)


async def test_a_site_alone_advertises_if_its_owner_lets_it(a_world: Any) -> None:
    assert await code(a_world(sites=1, constraints=ALONE)) == ""


async def test_stale_consent_means_no(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    world.first.clock.advance(6)
    assert await code(world) == "consent.stale"


@pytest.mark.parametrize(
    "terms",
    [
        {"purposes": [Purpose(DPV + "CommercialResearch")]},
        {"constraints": {"min-cohort": 10, "model-family": ("cnn1d",)}},
        {"constraints": {"min-cohort": 13}},
        {"constraints": {"agreement": ("urn:uuid:01930000-0000-7000-8000-0000000000bb",)}},
        {"budget": Budget(rounds=30)},
        {"paths": ["features/heart/**"]},
    ],
    ids=["purpose", "family", "cohort", "agreement", "exact rounds", "path"],
)
async def test_what_the_owner_did_not_grant_is_not_trained(a_world: Any, terms: dict[str, Any]) -> None:
    assert await code(a_world(sites=6, **terms)) == "privacy.not_granted"


async def test_a_grant_without_its_credential_in_the_folder_is_no_grant(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    for file in (world.first.path / "grants").iterdir():
        file.unlink()
    assert world.first.consent.reload() == ()
    assert await code(world) == "privacy.not_granted"


async def test_a_credential_that_was_altered_is_no_grant(a_world: Any) -> None:
    world = a_world(sites=1, each=1, constraints=ALONE)
    for file in (world.first.path / "grants").iterdir():
        file.write_bytes(file.read_bytes().replace(b'"rounds":30', b'"rounds":99'))
    assert world.first.consent.reload() == ()
    assert await code(world) == "privacy.not_granted"


async def test_a_twin_of_nobody_here_is_not_trained(a_world: Any) -> None:
    world = a_world(sites=2, constraints=ALONE)
    one, other = sorted(world.sites)
    world.coordinator.twins = {one: world.coordinator.twins[other], other: []}
    assert await code(world, site=one) == "privacy.not_granted"


async def test_a_subject_whose_grant_ended_is_left_out_and_the_others_train(a_world: Any) -> None:
    world = a_world(sites=6, each=2)
    gone = world.first.people[0].grant
    world.first.consent.told(told_grant(gone, GrantState.REVOKED, 2))
    assert (await opened(world)).advert.subjects == 1


async def test_a_revocation_in_mid_round_keeps_the_vector_at_home(a_world: Any) -> None:
    world = a_world()
    victim = world.first

    async def revoking(site: Any, order: Any) -> Any:
        body = pb.OrderBody.FromString(order.body)
        if site == victim.did and body.setup.WhichOneof("stage") == "boxes":
            victim.consent.told(told_grant(victim.people[0].grant, GrantState.REVOKED, 2))
        return await world.answer(site, order)

    state = await world.coordinator.round(revoking, 1)
    assert isinstance(state, Done)
    assert victim.store.vector("run-1", 1) is None
    assert "privacy.not_granted" in {heard.refusal for heard in world.coordinator.heard if heard.site == victim.did}
    assert len(state.masked) == 5


@pytest.mark.parametrize(("back_seconds", "masked"), [(0.05, 6), (None, 5)], ids=["a moment", "for good"])
async def test_silence_before_it_masks_is_waited_out_and_refused_as_silence(
    a_world: Any, monkeypatch: pytest.MonkeyPatch, back_seconds: float | None, masked: int
) -> None:
    world = a_world()
    victim = world.first
    monkeypatch.setattr(victim.consent, "_patience", 5.0 if back_seconds else 0.01)

    async def silenced(site: Any, order: Any) -> Any:
        body = pb.OrderBody.FromString(order.body)
        if site == victim.did and body.setup.WhichOneof("stage") == "boxes":
            victim.clock.advance(6)
            if back_seconds:
                asyncio.get_running_loop().call_later(back_seconds, victim.consent.told, a_beat())
        return await world.answer(site, order)

    state = await world.coordinator.round(silenced, 1)
    assert isinstance(state, Done)
    assert len(state.masked) == masked
    refusals = {heard.refusal for heard in world.coordinator.heard if heard.site == victim.did and heard.refusal}
    assert refusals == (set() if back_seconds else {"consent.stale"})


async def test_the_book_of_the_site_ends_before_the_coordinator_does(a_world: Any) -> None:
    world = a_world(budget=Budget(rounds=2, exact_rounds=2))
    for round_ in (1, 2):
        assert isinstance(await world.coordinator.round(world.answer, round_), Done)
        for name in world.sites:
            await world.answer(name, world.coordinator.close(name, round_))
    body = await opened(world, round_=3)
    assert (body.refusal.code, body.refusal.detail) == ("privacy.not_granted", "budget_exhausted")


async def test_one_vector_a_round_also_in_another_attempt_and_after_its_end(a_world: Any) -> None:
    world = a_world()
    await world.coordinator.round(world.answer, 1)
    assert await code(world, attempt=2) == "privacy.second_vector_refused"
    for name in world.sites:
        await world.answer(name, world.coordinator.close(name, 1, "aborted"))
    world.restart(world.first.did)
    assert await code(world, attempt=3) == "privacy.second_vector_refused"


async def test_an_attempt_that_masked_nothing_is_followed_by_another(a_world: Any) -> None:
    world = a_world()
    lost = sorted(world.sites)[:2]
    state = await world.coordinator.round(world.answer, 1, silent={"AGREE": lost})
    assert isinstance(state, Aborted)
    assert isinstance(await world.coordinator.round(world.answer, 1, attempt=2), Done)


async def test_neighbours_of_an_organisation_that_is_not_pinned_are_refused(a_world: Any) -> None:
    world = a_world()
    victim = world.first
    victim.trust = replace(victim.trust, organisations=frozenset({STRANGER.did}))
    state = await world.coordinator.round(world.answer, 1)
    assert isinstance(state, Done)
    assert "privacy.neighbour_unknown" in {heard.refusal for heard in world.coordinator.heard}
    assert victim.did not in [state.cohort.adverts[place].site for place, _ in state.masked]


async def test_orders_that_contradict_the_specification_are_refused(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)

    def other_masking(_site: Any, body: Any) -> None:
        body.open.masking = "none"

    world.coordinator.tamper = other_masking
    assert await code(world) == "training.spec_malformed"

    def other_layout(_site: Any, body: Any) -> None:
        body.layout = b"l" * 32

    world.coordinator.tamper = other_layout
    assert await code(world, attempt=2) == "training.layout_mismatched"

    def short_params(_site: Any, body: Any) -> None:
        body.params = world.coordinator.post.put(b"1234")

    world.coordinator.tamper = short_params
    assert await code(world, attempt=3) == "training.layout_mismatched"


async def test_an_opening_that_comes_again_in_other_words_is_refused(a_world: Any) -> None:
    world = a_world()
    await opened(world)

    def other(_site: Any, body: Any) -> None:
        body.open.cohort = 99

    world.coordinator.tamper = other
    assert await code(world) == "privacy.list_inconsistent"


def change(body: Any, step: str) -> None:
    """Each step with one lie in it."""
    match step:
        case "expected":
            body.expected = b"e" * 32
        case "round":
            body.round = 7
        case "advert":
            body.setup.list.adverts[0].signature = b"s" * 64
        case "swapped":
            body.setup.list.adverts[0].CopyFrom(body.setup.list.adverts[1])


LIES = [
    ("boxes", "expected", "privacy.list_inconsistent"),
    ("list", "round", "privacy.list_inconsistent"),
    ("ciphertexts", "round", "privacy.step_out_of_order"),
    ("list", "advert", "privacy.advert_invalid"),
    ("list", "swapped", "privacy.list_inconsistent"),
]


@pytest.mark.parametrize(("stage", "lie", "wanted"), LIES)
async def test_a_coordinator_that_lies_to_one_site_is_told_so(a_world: Any, stage: str, lie: str, wanted: str) -> None:
    world = a_world()
    victim = world.first.did

    def lying(site: Any, body: Any) -> None:
        if site == victim and body.setup.WhichOneof("stage") == stage:
            change(body, lie)

    world.coordinator.tamper = lying
    state = await world.coordinator.round(world.answer, 1)
    assert isinstance(state, Done)
    assert wanted in {heard.refusal for heard in world.coordinator.heard if heard.site == victim}


async def test_confirmations_that_were_not_signed_for_this_list_open_nothing(a_world: Any) -> None:
    world = a_world()
    victim = world.first.did

    def lying(site: Any, body: Any) -> None:
        if site == victim and body.WhichOneof("step") == "unmask":
            body.unmask.confirmations[1].CopyFrom(body.unmask.confirmations[2])

    world.coordinator.tamper = lying
    await world.coordinator.round(world.answer, 1)
    assert "privacy.list_inconsistent" in {heard.refusal for heard in world.coordinator.heard}


async def test_steps_of_an_attempt_without_this_site_are_refused(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    name = world.first.did
    for step in ("confirm", "unmask", "setup"):
        body = world.coordinator.header(1)
        getattr(body, step).SetInParent()
        if step == "setup":
            body.setup.ciphertexts.SetInParent()
        raw = await world.answer(name, world.coordinator.signed(name, body))
        assert world.coordinator.hear(raw).refusal == "privacy.step_out_of_order"


async def test_steps_that_are_not_known_are_refused(a_world: Any) -> None:
    world = a_world(sites=1, constraints=ALONE)
    name = world.first.did
    for fill in (lambda body: body.close.SetInParent(), lambda body: body.setup.SetInParent(), lambda _: None):
        body = world.coordinator.header(1)
        fill(body)
        raw = await world.answer(name, world.coordinator.signed(name, body))
        assert world.coordinator.hear(raw).refusal == "privacy.order_invalid"


async def test_updates_without_a_bound_are_not_masked(a_world: Any) -> None:
    spec = a_spec()
    world = a_world(spec=replace(spec, local=replace(spec.local, clip=None)))
    await world.coordinator.round(world.answer, 1)
    assert "privacy.vector_mismatched" in {heard.refusal for heard in world.coordinator.heard}
