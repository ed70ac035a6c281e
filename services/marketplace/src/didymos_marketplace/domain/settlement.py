"""A settlement: contributions and a funded agreement become lines, fee and refund that add up to the price."""

from collections.abc import Sequence
from dataclasses import dataclass

from didymos_marketplace.domain.split import fee, split


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one grant contributed, as its site attested it: self-reported."""

    thread: str
    score: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Line:
    """What one grant is paid, and why."""

    thread: str
    score: float
    rounds: int
    minor: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """funded = fee + sum of lines + refund, exactly."""

    agreement: str
    seq: int
    asset: str
    funded_minor: int
    earned_minor: int
    fee_minor: int
    refund_minor: int
    lines: tuple[Line, ...]
    method: str


def settle(
    agreement: str,
    seq: int,
    asset: str,
    funded_minor: int,
    rounds: tuple[int, int],
    contributions: Sequence[Contribution],
    fee_basis_points: int,
) -> Settlement:
    """Pay for `rounds` = (done, agreed) of a run: the earned part less the fee is split by score, the rest returns.

    Lines are ordered by thread, so the same contributions in any order make the same settlement.
    """
    done, agreed = rounds
    earned = funded_minor * min(done, agreed) // agreed if agreed else 0
    ordered = sorted(contributions, key=lambda one: one.thread)
    charged = fee(earned, fee_basis_points)
    shares = split(earned - charged, [one.score for one in ordered])
    if not any(shares):
        charged = 0  # nobody contributed: the buyer owes nothing
    lines = tuple(Line(one.thread, one.score, one.rounds, minor) for one, minor in zip(ordered, shares, strict=True))
    refund = funded_minor - charged - sum(shares)
    return Settlement(
        agreement, seq, asset, funded_minor, earned, charged, refund, lines, method="attested-dot, self-reported"
    )


def payout_id(settlement: Settlement, index: int) -> str:
    """Names the transfer of a line, and its proof: the same for the same line, ever."""
    return f"{settlement.agreement}:{settlement.seq}:{index}"
