"""Money as a double-entry book: every transfer sums to zero, only the outside world may stand below zero."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType

Account = NewType("Account", str)
OUTSIDE: Final = Account("outside")  # where deposits come from and withdrawals go: the one account that may be negative


def buyer_account(did: str) -> Account:
    return Account(f"buyer:{did}")


def escrow_account(agreement: str) -> Account:
    return Account(f"escrow:{agreement}")


def payee_account(thread: str) -> Account:
    """One per grant thread: what two grants of one person earn cannot be linked here."""
    return Account(f"payee:{thread}")


FEES: Final = Account("fees")


class Broken(Enum):
    """Why a transfer is refused."""

    NOT_POSITIVE = "the amount is not positive"
    SAME_ACCOUNT = "both accounts are the same"
    NOT_COVERED = "the account does not hold the amount"


@dataclass(frozen=True, slots=True)
class Transfer:
    """`minor` units of `asset` move from `source` to `target`. `id` is its idempotency key."""

    id: str
    asset: str
    source: Account
    target: Account
    minor: int


def check(transfer: Transfer, held: int) -> Broken | None:
    """Why `transfer` cannot be booked while `source` holds `held`; None if it can."""
    if transfer.minor <= 0:
        return Broken.NOT_POSITIVE
    if transfer.source == transfer.target:
        return Broken.SAME_ACCOUNT
    if transfer.source != OUTSIDE and held < transfer.minor:
        return Broken.NOT_COVERED
    return None


def balances(transfers: Iterable[Transfer]) -> Mapping[tuple[str, Account], int]:
    """Balance by (asset, account) of a history of transfers. The sum over accounts of an asset is 0."""
    found: dict[tuple[str, Account], int] = {}
    for transfer in transfers:
        for account, minor in ((transfer.source, -transfer.minor), (transfer.target, transfer.minor)):
            found[transfer.asset, account] = found.get((transfer.asset, account), 0) + minor
    return found
