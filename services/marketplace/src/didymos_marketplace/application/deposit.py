"""An administrator books money that came from outside to the account of a buyer."""

from collections.abc import Collection
from dataclasses import dataclass

from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN
from didymos_did import Did
from didymos_kit.clock import Clock

from didymos_marketplace.application.ports import Work
from didymos_marketplace.domain.book import OUTSIDE, Transfer, buyer_account
from didymos_marketplace.domain.offer import Price


@dataclass(frozen=True, slots=True)
class Deposit:
    """`id` names the payment outside: the same again is booked once."""

    id: str
    buyer: Did
    price: Price


async def deposit(wanted: Deposit, caller: Did, administrators: Collection[Did], work: Work, clock: Clock) -> int:
    """What the account holds then. Raises PLATFORM_FORBIDDEN, MARKET_ID_TAKEN."""
    if caller not in administrators:
        raise PLATFORM_FORBIDDEN.problem(detail="money comes in by an administrator of this house")
    account = buyer_account(wanted.buyer)
    asset, minor = wanted.price.asset, wanted.price.minor
    await work.book.book(Transfer(f"deposit:{wanted.id}", asset, OUTSIDE, account, minor), clock.now())
    return await work.book.held(asset, account)
