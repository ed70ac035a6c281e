"""What an offer permits, owners granted; otherwise it is not published."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Action, Budget, DidError, sign_document
from didymos_marketplace.application.publish_offer import publish_offer
from didymos_marketplace.domain.offer import offer_document, parse_offer
from didymos_testing.clock import NOON
from didymos_testing.did import PERSONAL, STRANGER, a_signer
from didymos_testing.market import Desk, an_offer_at
from hypothesis import given
from hypothesis import strategies as st


def a_document() -> dict[str, Any]:
    signer = a_signer("hospital")
    return sign_document(offer_document(an_offer_at(NOON, signer.did)), signer, NOON)


MEMBERS = sorted(a_document())
values = st.one_of(
    st.none(), st.integers(-5, 5), st.text(max_size=5), st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip


async def refused(desk: Desk, **changes: Any) -> Problem:
    offer = desk.offer()
    terms = replace(offer.terms, **changes)
    with pytest.raises(Problem) as raised:
        await desk.publish(replace(offer, terms=terms))
    assert desk.published == []
    return raised.value


async def test_an_offer_inside_all_grants_is_published_with_how_many_cover_it(desk: Desk) -> None:
    published = await desk.publish()
    assert published.covering == 3
    assert desk.published == ["OfferPublished"]


async def test_the_same_offer_again_gets_the_first_answer_and_no_second_event(desk: Desk) -> None:
    offer = desk.offer()
    assert await desk.publish(offer) == await desk.publish(offer)
    assert desk.published == ["OfferPublished"]


async def test_one_id_names_one_offer(desk: Desk) -> None:
    offer = desk.offer()
    await desk.publish(offer)
    with pytest.raises(Problem, match=r"market\.id_taken"):
        await desk.publish(replace(offer, rounds=3))


@pytest.mark.parametrize(
    ("changes", "dimension"),
    [
        ({"purposes": (PERSONAL,)}, "purposes"),
        ({"paths": ("features/heart/rate",)}, "paths"),
        ({"actions": (Action.SHARE, Action.TRAIN)}, "actions"),
        ({"budget": Budget(rounds=31, exact_rounds=4)}, "budget:rounds"),
        ({"constraints": ()}, "constraint:min-cohort"),
    ],
)
async def test_an_offer_beyond_the_grants_names_the_dimension(
    desk: Desk, changes: dict[str, Any], dimension: str
) -> None:
    problem = await refused(desk, **changes)
    assert (problem.row.code, problem.values["dimension"]) == ("market.offer_exceeds_grants", dimension)


async def test_an_offer_outlives_no_grant(desk: Desk) -> None:
    problem = await refused(desk, valid_until=desk.clock.now() + timedelta(days=31))
    assert problem.values["dimension"] == "window"


async def test_too_few_covering_twins_are_no_cohort(desk: Desk) -> None:
    desk.allowed.people = desk.allowed.people[:1]
    with pytest.raises(Problem, match=r"market\.below_cohort") as raised:
        await desk.publish()
    assert raised.value.values == {"covering": 1, "needed": 2}


async def test_a_revoked_grant_an_erased_twin_and_a_foreign_one_do_not_count(desk: Desk) -> None:
    first, second, third = desk.allowed.people
    desk.allowed.revoked.add(first.grant.id)
    assert (await desk.publish()).covering == 2
    desk.allowed.erased.add(second.grant.twin)
    with pytest.raises(Problem, match=r"market\.below_cohort"):
        await desk.publish()
    desk.allowed.erased.clear()
    desk.allowed.people[2] = replace(third, owner=STRANGER)  # the twin has another owner by now
    with pytest.raises(Problem, match=r"market\.below_cohort"):
        await desk.publish()


async def test_nothing_is_published_on_old_consent(desk: Desk) -> None:
    desk.allowed.fresh = False
    with pytest.raises(Problem, match=r"consent\.stale"):
        await desk.publish()


async def test_only_the_provider_publishes_and_only_under_its_own_proof(desk: Desk) -> None:
    document = sign_document(offer_document(desk.offer()), a_signer("mallory"), desk.clock.now())
    for caller, code in ((STRANGER.did, "platform.forbidden"), (desk.org.did, "market.signature_invalid")):
        with pytest.raises(Problem) as raised:
            await desk(
                lambda work, by=caller: publish_offer(document, by, work, desk.allowed, desk.allowed, desk.clock)  # type: ignore[misc]
            )
        assert raised.value.row.code == code


def test_an_offer_reads_as_it_was_written() -> None:
    document = a_document()
    again = offer_document(parse_offer(document))
    assert again == {name: member for name, member in document.items() if name != "proof"}


@given(st.sampled_from(MEMBERS), values)
def test_a_member_of_another_shape_is_refused_by_name(name: str, value: object) -> None:
    document = {**a_document(), name: value}
    try:
        offer = parse_offer(document)
    except DidError as error:
        assert error.code.split(".")[0] in ("platform", "did", "key", "grant")  # noqa: PT017
    else:
        assert name in ("rounds", "fee_basis_points", "proof") or offer_document(offer)[name] == value


@given(st.sampled_from(MEMBERS))
def test_a_missing_member_is_pointed_at(name: str) -> None:
    document = a_document()
    del document[name]
    with pytest.raises(DidError) as raised:
        parse_offer(document)
    assert raised.value.values["pointer"] == f"/{name}"
