"""What a round costs the grants under which it trains, and where that booking stands. privacy.md section 7.

There is no differential privacy in this version: a round costs one exact round, and grants say how many they admit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from didymos_did import GrantId, Usage


class Booking(Enum):
    """A spent round stays spent, whatever follows."""

    RESERVED = "reserved"
    SPENT = "spent"
    RELEASED = "released"


TABLE: Final[dict[tuple[Booking | None, Booking], bool]] = {
    (None, Booking.RESERVED): True,
    (Booking.RELEASED, Booking.RESERVED): True,
    (Booking.RESERVED, Booking.SPENT): True,
    (Booking.RESERVED, Booking.RELEASED): True,
}


def may_book(now: Booking | None, then: Booking) -> bool:
    """Whether an entry may go from `now` to `then`. A repeat of what it is changes nothing and is no move."""
    return TABLE.get((now, then), False)


@dataclass(frozen=True, slots=True)
class Account:
    """What was used under one grant: rounds in flight, and rounds that are final."""

    grant: GrantId
    reserved: int = 0
    spent: int = 0

    @property
    def usage(self) -> Usage:
        """As `decide` takes it. Each round is an exact one as yet."""
        used = self.reserved + self.spent
        return Usage(rounds=used, exact_rounds=used)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn from all budgets together, one a grant and round."""

    reserved: int
    spent: int


def usage_without(accounts: Mapping[GrantId, Account], own: Iterable[GrantId]) -> dict[GrantId, Usage]:
    """What was used apart from the round that is in flight under the grants `own`: it may not be refused by itself."""
    ours = set(own)
    usage = {}
    for grant, account in accounts.items():
        used = account.reserved + account.spent - (grant in ours)
        usage[grant] = Usage(rounds=used, exact_rounds=used)
    return usage
