"""A provider publishes what it signed, as far as owners' grants go."""

from collections.abc import Mapping
from typing import Any

from didymos_contracts.errors.market import MARKET_ID_TAKEN, MARKET_SIGNATURE_INVALID
from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_did import Did, DidError, jcs, verify_document
from didymos_kit.clock import Clock

from didymos_marketplace.application.check_cover import check_cover
from didymos_marketplace.application.ports import Consent, Owners, Published, Work
from didymos_marketplace.domain.offer import parse_offer


async def publish_offer(
    document: Mapping[str, Any], caller: Did, work: Work, consent: Consent, owners: Owners, clock: Clock
) -> Published:
    """The offer as published; the same again gets the first answer.

    Raises PLATFORM_FORBIDDEN unless the provider itself calls, MARKET_SIGNATURE_INVALID, MARKET_ID_TAKEN, and what
    `parse_offer` and `check_cover` raise.
    """
    offer = parse_offer(document)
    if offer.provider != caller:
        raise PLATFORM_FORBIDDEN.problem(detail="an offer is published by its provider")
    try:
        verify_document(dict(document), offer.provider)
    except DidError as error:
        raise MARKET_SIGNATURE_INVALID.problem(pointer="/proof", detail=error.detail) from error
    body = jcs(dict(document))
    known = await work.offers.find(offer.id)
    if known is not None:
        if known.body != body:
            raise MARKET_ID_TAKEN.problem(pointer="/@id")
        return known
    published = Published(offer, body, check_cover(offer, consent, owners, clock.now()), clock.now())
    await work.offers.add(published)
    work.announce.offer_published(published)
    return published
