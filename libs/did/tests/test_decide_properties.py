"""What holds of `decide` and `covers` for all grants, requests and facts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from didymos_did import (
    DPV,
    PURPOSES,
    AccessRequest,
    Action,
    Budget,
    Context,
    Decision,
    Did,
    Facts,
    Freshness,
    Grant,
    GrantId,
    GrantState,
    Ownership,
    Purpose,
    Reason,
    SubjectStatus,
    Task,
    Terms,
    TwinId,
    Usage,
    covers,
    decide,
    decision_id,
    make_terms,
)
from didymos_did.jcs import digest
from didymos_did.terms import terms_json
from didymos_testing.did import GLUCOSE_TASK, INSTITUTE, NOON, OWNER, STRANGER, TWIN, a_grant_id
from hypothesis import assume, given, settings
from hypothesis import strategies as st

DIDS = st.sampled_from([OWNER.did, INSTITUTE.did, STRANGER.did])
OWNERS = st.sampled_from([OWNER.did] * 5 + [STRANGER.did])
GRANTEES = st.sampled_from([INSTITUTE.did] * 4 + [STRANGER.did])
TWINS = st.sampled_from([TwinId(TWIN.did), TwinId(TWIN.did), TwinId(STRANGER.did)])
PATHS = st.sampled_from(["a", "a/b", "a/c", "a/b/c"])
PATTERNS = st.sampled_from(["**", "**", "a", "a/*", "a/**", "a/b", "*/b", "a/b/**"])
SOME_PURPOSES = st.sampled_from([
    Purpose(DPV + name) for name in (
        "ResearchAndDevelopment", "ScientificResearch", "CommercialPurpose", "CommercialResearch", "ServiceProvision",
        "OptimisationForConsumer",
    )
])  # fmt: skip
TASKS = st.sampled_from([None, GLUCOSE_TASK, GLUCOSE_TASK, Task("anomaly", "a", "PT1H")])
ACTIONS = st.sampled_from(Action)
SMALL = st.integers(0, 3)
CONSTRAINTS: dict[str, st.SearchStrategy[Any]] = {
    "min-cohort": st.integers(1, 3), "max-rate": st.integers(1, 3), "place": st.sampled_from(["EU", ("EU", "NL")]),
    "secure-aggregation": st.booleans(), "model-family": st.sampled_from(["cnn", ("cnn", "lstm")]),
    "agreement": st.just("urn:a"), "value-range": st.sampled_from([(0, 2), (1, 2), (0, 3)]),
    "max-epsilon-per-round": st.just(1000), "hours": st.just((8, 18)), "moon-phase": st.just(1),
    "min-cohort ": st.just("x"),
}  # fmt: skip
DUTIES: dict[str, st.SearchStrategy[Any]] = {
    "delete-after": st.sampled_from(["P1D", "P2D", "PT36H"]), "compensate": st.integers(1, 3),
    "report-use": st.booleans(), "sing": st.just(True),
}  # fmt: skip
ROOM = st.integers(0, 9)
BUDGETS = st.builds(Budget, ROOM, st.integers(-3, 0), ROOM, ROOM, ROOM, ROOM)
HOURS = st.integers(-2, 2)


@st.composite
def some_terms(draw: st.DrawFn) -> Terms:
    begins = draw(st.integers(-3, 0))
    window = (NOON + timedelta(hours=begins), NOON + timedelta(hours=begins + draw(st.integers(2, 6))))
    return make_terms(
        draw(st.lists(ACTIONS, min_size=1, max_size=8)),
        draw(st.lists(PATTERNS, min_size=1, max_size=3)),
        draw(st.lists(SOME_PURPOSES, min_size=1, max_size=3)),
        window,
        task=draw(TASKS),
        constraints=draw(st.fixed_dictionaries({}, optional=CONSTRAINTS)) if draw(st.integers(0, 3)) == 3 else {},
        budget=draw(BUDGETS),
        duties=draw(st.fixed_dictionaries({}, optional=DUTIES)) if draw(st.integers(0, 3)) == 3 else {},
    )


@st.composite
def some_grants(draw: st.DrawFn) -> Grant:
    terms, twin, owner, grantee = draw(some_terms()), draw(TWINS), draw(OWNERS), draw(GRANTEES)
    said = [terms_json(terms), terms.valid_from.isoformat(), terms.valid_until.isoformat(), twin, owner, grantee]
    states = st.sampled_from([GrantState.ACTIVE] * 8 + list(GrantState))
    return Grant(
        a_grant_id(draw(st.integers(1, 3))), twin, owner, grantee, terms, digest(said), draw(states),
        draw(st.integers(1, 3)),
    )  # fmt: skip


CONTEXTS = st.builds(
    Context, cohort=st.none() | SMALL, secure_aggregation=st.none() | st.booleans(),
    model_family=st.sampled_from([None, "cnn", "lstm"]), agreement=st.sampled_from([None, "urn:a"]),
    place=st.sampled_from([None, "EU", "NL"]), value=st.none() | st.integers(-1, 4) | st.floats(),
    uses_last_hour=st.none() | SMALL,
)  # fmt: skip
REQUESTS = st.builds(
    AccessRequest, actor=DIDS, action=ACTIONS, twin=TWINS, paths=st.lists(PATHS, min_size=1, max_size=2).map(tuple),
    purpose=SOME_PURPOSES, task=TASKS, context=CONTEXTS, principal=st.none(),
)  # fmt: skip
USAGES = st.builds(Usage, SMALL, SMALL, SMALL, SMALL, st.frozensets(st.sampled_from(sorted(DUTIES)), max_size=1))
FACTS = st.builds(
    Facts, ownership=st.builds(Ownership, OWNERS), grants=st.lists(some_grants(), max_size=5).map(tuple),
    freshness=st.just(Freshness.FRESH), subjects=st.just({}),
    usage=st.dictionaries(st.sampled_from([a_grant_id(n) for n in (1, 2, 3)]), USAGES, max_size=1),
)  # fmt: skip
# every member at its strangest: nothing here was parsed
TEXTS = st.text(max_size=8)
ANY_REQUESTS = st.builds(
    AccessRequest, actor=DIDS | TEXTS.map(Did), action=ACTIONS, twin=TWINS, paths=st.lists(PATHS | TEXTS).map(tuple),
    purpose=st.none() | SOME_PURPOSES | TEXTS.map(Purpose), task=TASKS, context=CONTEXTS, principal=st.none() | DIDS,
)  # fmt: skip
ANY_FACTS = st.builds(
    Facts, ownership=st.builds(Ownership, st.none() | DIDS, st.booleans()),
    grants=st.lists(some_grants(), max_size=4).map(tuple), freshness=st.sampled_from(Freshness),
    subjects=st.dictionaries(DIDS, st.sampled_from(SubjectStatus)),
    usage=st.dictionaries(TEXTS.map(GrantId), USAGES, max_size=2),
)  # fmt: skip


def fitted(request: AccessRequest, facts: Facts, at: int) -> AccessRequest:
    """The request, bent towards a grant of the facts, so that many are allowed."""
    if not facts.grants:
        return request
    grant = facts.grants[at % len(facts.grants)]
    return replace(
        request, actor=grant.grantee, twin=grant.twin, action=grant.terms.actions[0], task=grant.terms.task,
        purpose=grant.terms.purposes[0],
    )  # fmt: skip


@given(ANY_REQUESTS, ANY_FACTS, HOURS)
def test_decide_is_total_and_says_one_of_its_reasons(request: AccessRequest, facts: Facts, hours: int) -> None:
    decision = decide(request, facts, NOON + timedelta(hours=hours))
    assert isinstance(decision, Decision)
    assert decision.allowed == (decision.reason in (Reason.OWNER, Reason.GRANT))
    assert decision_id(request, facts, NOON)


@given(ANY_REQUESTS, ANY_FACTS)
def test_only_an_owner_is_allowed_without_a_fresh_grant(request: AccessRequest, facts: Facts) -> None:
    decision = decide(request, facts, NOON)
    if decision.allowed and request.actor != facts.ownership.owner:
        assert facts.freshness is Freshness.FRESH
        assert request.purpose in PURPOSES
        held = [grant for grant in facts.grants if grant.id == decision.grant]
        assert any(grant.grantee == request.actor and grant.owner == facts.ownership.owner for grant in held)


@settings(max_examples=150)
@given(REQUESTS, FACTS, SMALL, st.data())
def test_decide_is_blind_to_order_and_repeats(
    request: AccessRequest, facts: Facts, at: int, draws: st.DataObject
) -> None:
    request = fitted(request, facts, at)
    shuffled = draws.draw(st.permutations(facts.grants + facts.grants[::2]))
    assert decide(request, replace(facts, grants=tuple(shuffled)), NOON) == decide(request, facts, NOON)


@settings(max_examples=150)
@given(REQUESTS, FACTS, SMALL, st.data())
def test_adding_a_revocation_never_allows(request: AccessRequest, facts: Facts, at: int, draws: st.DataObject) -> None:
    assume(facts.grants)
    request = fitted(request, facts, at)
    ended = draws.draw(st.sampled_from(facts.grants))
    revision = draws.draw(st.integers(1, 5))
    revocation = replace(ended, state=GrantState.REVOKED, revision=revision)
    after = decide(request, replace(facts, grants=(*facts.grants, revocation)), NOON)
    if not decide(request, facts, NOON).allowed:
        assert not after.allowed
    if after.allowed and after.reason is Reason.GRANT:
        assert (after.grant, request.actor, request.twin) != (ended.id, ended.grantee, ended.twin)


@settings(max_examples=150)
@given(REQUESTS, FACTS, SMALL, st.data())
def test_adding_a_condition_never_allows(request: AccessRequest, facts: Facts, at: int, draws: st.DataObject) -> None:
    request = fitted(request, facts, at)
    name = draws.draw(st.sampled_from(sorted(CONSTRAINTS)))
    more = draws.draw(st.sampled_from([{}, {name: draws.draw(CONSTRAINTS[name])}]))
    due = {} if more else {"report-use": True}

    def narrowed(grant: Grant) -> Grant:
        said = {each.name: each.value for each in grant.terms.constraints}
        owed = {each.name: each.value for each in grant.terms.duties}
        changed = make_terms(
            grant.terms.actions, grant.terms.paths, grant.terms.purposes,
            (grant.terms.valid_from, grant.terms.valid_until), task=grant.terms.task, budget=grant.terms.budget,
            constraints={**said, **more}, duties={**owed, **due},
        )  # fmt: skip
        return replace(grant, terms=changed)

    if decide(request, replace(facts, grants=tuple(map(narrowed, facts.grants))), NOON).allowed:
        assert decide(request, facts, NOON).allowed


@settings(max_examples=150)
@given(REQUESTS, some_terms(), some_terms(), USAGES, HOURS, st.data())
def test_what_a_covered_offer_permits_the_grant_permits(
    request: AccessRequest, given_terms: Terms, other: Terms, used: Usage, hours: int, draws: st.DataObject
) -> None:
    offer = given_terms
    for name in draws.draw(st.permutations(sorted(Terms.__slots__))):
        changed = replace(offer, **{name: getattr(other, name)})
        offer = changed if covers(given_terms, changed) else offer
    assume(covers(given_terms, offer))
    now = NOON + timedelta(hours=hours)
    request = replace(
        request, actor=INSTITUTE.did, twin=TwinId(TWIN.did), action=draws.draw(st.sampled_from(offer.actions)),
        purpose=draws.draw(SOME_PURPOSES), task=draws.draw(st.sampled_from([request.task, offer.task])),
    )  # fmt: skip

    def under(terms: Terms) -> bool:
        grant = Grant(a_grant_id(), TwinId(TWIN.did), OWNER.did, INSTITUTE.did, terms, b"d")
        facts = Facts(Ownership(OWNER.did), (grant,), Freshness.FRESH, usage={grant.id: used})
        return decide(request, facts, now).allowed

    if under(offer):
        assert under(given_terms)


@given(some_terms(), some_terms(), some_terms())
def test_covering_is_an_order(one: Terms, two: Terms, three: Terms) -> None:
    if covers(one, two) and covers(two, three):
        assert covers(one, three)
