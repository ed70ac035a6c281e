"""What the market shows to whom: agreements and settlements to their parties, earnings to owners."""

from collections.abc import Sequence
from dataclasses import dataclass

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did

from didymos_marketplace.application.ports import Earned, Owners, Settled, Tables
from didymos_marketplace.domain.agreement import Agreement
from didymos_marketplace.domain.book import buyer_account, escrow_account


@dataclass(frozen=True, slots=True)
class Held:
    """An agreement and what its escrow holds now."""

    agreement: Agreement
    funded_minor: int


async def read_agreement(agreement: str, caller: Did, services: frozenset[Did], work: Tables) -> Held:
    """For its parties and the services of this house. Raises PLATFORM_NOT_FOUND, for all others as well."""
    found = await work.agreements.find(agreement)
    if found is None or (caller not in (found.provider, found.buyer) and caller not in services):
        raise PLATFORM_NOT_FOUND.problem(agreement=agreement)
    return Held(found, await work.book.held(found.price.asset, escrow_account(found.id)))


@dataclass(frozen=True, slots=True)
class Shown:
    """A settlement; all its lines, or only those of the caller's twins."""

    settled: Settled
    lines: frozenset[int] | None


async def read_settlement(agreement: str, caller: Did, owners: Owners, work: Tables) -> Shown:
    """Whole for the parties; an owner whose twin contributed sees the own lines. Raises PLATFORM_NOT_FOUND."""
    found, settled = await work.agreements.find(agreement), await work.settlements.find(agreement)
    if found is None or settled is None:
        raise PLATFORM_NOT_FOUND.problem(agreement=agreement)
    if caller in (found.provider, found.buyer):
        return Shown(settled, None)
    own = [one.index for one in await work.settlements.earned(owners.twins_of(caller)) if one.agreement == agreement]
    if not own:
        raise PLATFORM_NOT_FOUND.problem(agreement=agreement)
    return Shown(settled, frozenset(own))


@dataclass(frozen=True, slots=True)
class Account:
    """What somebody holds as a buyer, and has earned as an owner."""

    holdings: Sequence[tuple[str, int]]
    earned: Sequence[Earned]


async def read_account(caller: Did, owners: Owners, work: Tables) -> Account:
    """The caller's own."""
    twins = owners.twins_of(caller)
    earned = await work.settlements.earned(twins) if twins else ()
    return Account(await work.book.holdings(buyer_account(caller)), earned)
