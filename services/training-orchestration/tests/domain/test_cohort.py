"""Who may take part: `decide` twin by twin, and the minima."""

from dataclasses import replace
from typing import Any

import pytest
from didymos_did import Did, Facts, Reason, Task, TwinId
from didymos_learning import GLUCOSE_TASK
from didymos_testing.access import some_facts
from didymos_testing.did import INSTITUTE, NOON, RESEARCH, a_grant, a_grant_id, a_signer, a_terms
from didymos_testing.training import a_spec
from didymos_training_orchestration.domain.cohort import (
    Admission,
    Cohort,
    Member,
    Short,
    Subject,
    admit,
    denied_among,
    grant_task,
    short_of,
    use_of,
)

USE = use_of(INSTITUTE.did, RESEARCH, "urn:x", a_spec())


def twins(count: int) -> list[TwinId]:
    return sorted(TwinId(a_signer(f"twin {number}").did) for number in range(count))


def facts_of(least: int = 2, **odd: Any) -> Any:
    """Every twin grants training in a cohort of `least`; those in `odd` ask for a larger one."""

    def facts(twin: TwinId) -> Facts:
        terms = a_terms(constraints={"min-cohort": odd.get(twin, least)})
        number = int.from_bytes(twin.encode()[-3:], "big")
        return some_facts(a_grant(id=a_grant_id(number), twin=twin, terms=terms))

    return facts


def a_site(name: str) -> Did:
    return a_signer(name).did


def test_a_twin_that_two_sites_offer_belongs_to_one() -> None:
    own = twins(3)
    found = admit({a_site("a"): own, a_site("b"): own}, USE, facts_of(), NOON)
    assert found.cohort.size == 3
    assert len(found.cohort.members) == 1
    assert found.cohort.names == (min(a_site("a"), a_site("b")),)


def test_a_refusal_that_shrinks_the_cohort_may_bring_the_next() -> None:
    first, second, *rest = twins(4)
    demanding = facts_of(2, **{first: 5, second: 4})  # the first wants five, so there are three: too few for the second
    found = admit({a_site("a"): [first, second, *rest]}, USE, demanding, NOON)
    assert {subject.twin for member in found.cohort.members for subject in member.subjects} == set(rest)
    assert found.refused == {first: Reason.CONSTRAINT_FAILED, second: Reason.CONSTRAINT_FAILED}


def test_the_order_of_offers_does_not_change_the_cohort() -> None:
    own = twins(6)
    one = admit({a_site("a"): own[:3], a_site("b"): own[3:]}, USE, facts_of(), NOON)
    other = admit({a_site("b"): own[:2:-1], a_site("a"): own[2::-1]}, USE, facts_of(), NOON)
    assert one.cohort == other.cohort
    assert one.cohort.digest == other.cohort.digest


def test_nobody_offered_is_nobody_admitted() -> None:
    assert admit({}, USE, facts_of(), NOON) == Admission(Cohort(()), {})


def test_who_is_denied_later_is_told_with_the_reason() -> None:
    own = twins(3)
    cohort = admit({a_site("a"): own}, USE, facts_of(), NOON).cohort
    assert denied_among(cohort, USE, facts_of(), NOON) == {}
    assert denied_among(cohort, USE, facts_of(4), NOON) == {a_site("a"): Reason.CONSTRAINT_FAILED}


@pytest.mark.parametrize(
    ("sizes", "missed"),
    [
        ([2] * 5, None),
        ([2] * 4, Short.SITES),
        ([1] * 5, Short.SUBJECTS),
        ([20, 1, 1, 1, 1], Short.WITHOUT_LARGEST),  # one party could hold the largest site
    ],
)
def test_the_minima_of_a_masked_round(sizes: list[int], missed: Short | None) -> None:
    assert short_of(sizes, a_spec(), 5) is missed


def test_in_clear_the_largest_site_does_not_matter() -> None:
    assert short_of([20, 1, 1, 1, 1], a_spec(masking="none"), 5) is None


@pytest.mark.parametrize(("horizon", "said"), [(6, "PT30M"), (12, "PT1H"), (24, "PT2H")])
def test_a_task_is_named_as_grants_name_it(horizon: int, said: str) -> None:
    assert grant_task(replace(GLUCOSE_TASK, horizon=horizon)) == Task("forecast", "features/glucose/level", said)


def test_a_task_of_seconds_is_named_in_seconds() -> None:
    assert grant_task(replace(GLUCOSE_TASK, horizon=1, period_s=90)).horizon == "PT90S"


def test_a_member_is_found_by_its_name() -> None:
    member = Member(a_site("a"), (Subject(twins(1)[0], a_grant_id()),), 1)
    cohort = Cohort((member,))
    assert (cohort.member(member.name), cohort.member(a_site("b"))) == (member, None)
    assert cohort.grants == (a_grant_id(),)
