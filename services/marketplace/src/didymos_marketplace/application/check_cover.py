"""An offer never exceeds grants: asked when it is published, agreed on and made final. marketplace-ledger.md 8."""

from datetime import datetime

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.market import MARKET_BELOW_COHORT, MARKET_OFFER_EXCEEDS_GRANTS

from didymos_marketplace.application.ports import Consent, Owners
from didymos_marketplace.domain.offer import Offer, standing


def check_cover(offer: Offer, consent: Consent, owners: Owners, now: datetime) -> int:
    """How many twins are covered now, by grants of those who own them.

    Raises CONSENT_STALE; MARKET_OFFER_EXCEEDS_GRANTS (dimension and both sides) where no grant covers it;
    MARKET_BELOW_COHORT where too few do.
    """
    if not consent.fresh:
        raise CONSENT_STALE.problem()
    granted = [
        grant
        for twin in consent.twins()
        if not owners.destroyed(twin)
        for grant in consent.grants(twin)
        if grant.owner == owners.owner_of(twin)
    ]
    found = standing(offer, granted, now)
    if not found.covering and found.nearest is not None:
        beyond = found.nearest
        raise MARKET_OFFER_EXCEEDS_GRANTS.problem(
            pointer="/terms", detail=f"{beyond.dimension}: granted {beyond.given}, asked {beyond.asked}",
            dimension=beyond.dimension,
        )  # fmt: skip
    if found.covering < found.needed:
        raise MARKET_BELOW_COHORT.problem(covering=found.covering, needed=found.needed)
    return found.covering
