"""The market over REST, in a running house: from an offer to a settlement, and who is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from didymos_testing.market import PRICE, Market, a_market


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    async with a_market(tmp_path) as made:
        yield made


async def test_an_offer_becomes_an_agreement_and_its_run_is_settled_to_the_last_unit(market: Market) -> None:
    negotiation = await market.agreed()
    agreement = negotiation["agreement_id"]
    assert negotiation["state"] == "FINALIZED"
    await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0]), "run")
    record = (await market.settled(agreement))["record"]
    paid = [line["minor"] for line in record["lines"]]
    assert sum(paid) + record["fee"] + record["refund"] == PRICE
    assert min(paid) == 0
    assert sorted(paid)[2] > sorted(paid)[1] > 0
