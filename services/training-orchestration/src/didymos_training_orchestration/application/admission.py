"""Which cohort could train now: what is offered, what was granted, what the budgets have left."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.training import TRAINING_BUDGET_EXHAUSTED, TRAINING_COHORT_TOO_SMALL
from didymos_did import Did, Facts, Freshness, GrantId, Reason, TwinId, Usage

from didymos_training_orchestration.application.ports import Book, Consent
from didymos_training_orchestration.application.results import Offer
from didymos_training_orchestration.domain.budget import usage_without
from didymos_training_orchestration.domain.cohort import (
    Admission,
    Cohort,
    FactsOf,
    Member,
    admit,
    denied_among,
    short_of,
    use_of,
)
from didymos_training_orchestration.domain.run import Run

NOTHING: Final[Mapping[TwinId, Reason]] = MappingProxyType({})


async def admission(
    run: Run, offer: Offer, consent: Consent, book: Book, now: datetime, own: tuple[GrantId, ...] = ()
) -> Admission:
    """Who may take part. `own`: grants whose reservation belongs to this very round."""
    if run.clients == "simulated":
        return Admission(Cohort(tuple(Member(name, (), size) for name, size in sorted(offer.chunks.items()))), NOTHING)
    twins = {twin for offered in offer.sites.values() for twin in offered}
    facts_of = await facts_with_usage(twins, consent, book, own)
    return admit(offer.sites, use_of(run.terms.buyer, run.terms.purpose, run.terms.agreement, run.spec), facts_of, now)


async def facts_with_usage(twins: set[TwinId], consent: Consent, book: Book, own: tuple[GrantId, ...] = ()) -> FactsOf:
    """What `decide` may know of each twin, with what was used up under its grants."""
    grants = sorted({grant.id for twin in twins for grant in consent.facts(twin).grants})
    usage: Mapping[GrantId, Usage] = usage_without(await book.accounts(grants), own)

    def facts_of(twin: TwinId) -> Facts:
        return consent.facts(twin, usage)

    return facts_of


async def denied(run: Run, cohort: Cohort, consent: Consent, book: Book, now: datetime) -> Mapping[Did, Reason] | None:
    """Members of which a subject may not take part any more; None while nobody knows freshly what owners allow."""
    twins = {subject.twin for member in cohort.members for subject in member.subjects}
    if any(consent.facts(twin).freshness is not Freshness.FRESH for twin in twins):
        return None
    facts_of = await facts_with_usage(twins, consent, book, cohort.grants)
    use = use_of(run.terms.buyer, run.terms.purpose, run.terms.agreement, run.spec)
    return denied_among(cohort, use, facts_of, now)


async def share_used(cohort: Cohort, consent: Consent, book: Book) -> float:
    """The most that a grant of the cohort has used of the rounds it admits, in flight or for good: 0 to 1."""
    accounts = await book.accounts(cohort.grants)
    subjects = [subject for member in cohort.members for subject in member.subjects]
    budgets = {
        grant.id: min(grant.terms.budget.rounds, grant.terms.budget.exact_rounds)
        for subject in subjects
        for grant in consent.facts(subject.twin).grants
    }
    shares = [account.usage.rounds / budgets[name] for name, account in accounts.items() if budgets.get(name)]
    return max(shares, default=0.0)


def shortage(run: Run, found: Admission) -> Problem | None:
    """Why this cohort may not begin a round; None if it may."""
    missed = short_of([member.size for member in found.cohort.members], run.spec, run.spec.cohort.sites)
    if run.clients == "simulated":
        missed = None if found.cohort.size >= run.spec.cohort.subjects else missed
    if missed is None:
        return None
    reasons = sorted({reason.value for reason in found.refused.values()})
    row = TRAINING_BUDGET_EXHAUSTED if Reason.BUDGET_EXHAUSTED in found.refused.values() else TRAINING_COHORT_TOO_SMALL
    return row.problem(
        run=run.id, missed=missed.value, sites=len(found.cohort.members), subjects=found.cohort.size,
        sites_needed=run.spec.cohort.sites, subjects_needed=run.spec.cohort.subjects, refused=reasons,
    )  # fmt: skip
