"""Errors of the market room. marketplace-ledger.md sections 7 to 9."""

from didymos_contracts.errors.row import Row

MARKET_OFFER_EXCEEDS_GRANTS = Row(
    "market.offer_exceeds_grants", 422, "INVALID_ARGUMENT", "never", "The offer permits more than owners granted"
)
MARKET_BELOW_COHORT = Row(
    "market.below_cohort", 409, "FAILED_PRECONDITION", "later", "Fewer grants cover this than the smallest cohort"
)
MARKET_OUT_OF_ORDER = Row(
    "market.out_of_order", 409, "FAILED_PRECONDITION", "never", "The negotiation cannot move so from where it stands"
)
MARKET_WRONG_SIDE = Row("market.wrong_side", 403, "PERMISSION_DENIED", "never", "The other side makes this move")
MARKET_TOO_MANY_OFFERS = Row(
    "market.too_many_offers", 409, "FAILED_PRECONDITION", "never", "Each side may propose ten times"
)
MARKET_EXPIRED = Row(
    "market.expired", 409, "FAILED_PRECONDITION", "never", "Open for 14 days without an end: begin another"
)
MARKET_TERMS_DIFFER = Row("market.terms_differ", 409, "ABORTED", "refresh", "Signed for other terms than those here")
MARKET_SIGNATURE_INVALID = Row(
    "market.signature_invalid", 422, "INVALID_ARGUMENT", "never", "The party that must sign this did not"
)
MARKET_NOT_COVERED = Row(
    "market.not_covered", 409, "FAILED_PRECONDITION", "later", "The account does not hold the amount"
)
MARKET_ID_TAKEN = Row("market.id_taken", 409, "ALREADY_EXISTS", "never", "This id names something else")
MARKET_CONTRIBUTION_INVALID = Row(
    "market.contribution_invalid", 422, "INVALID_ARGUMENT", "never", "A contribution that cannot be settled"
)
