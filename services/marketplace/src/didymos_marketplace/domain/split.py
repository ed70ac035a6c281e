"""Who gets which part of a pool, from contribution scores. Exact integers; marketplace-ledger.md section 9."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

RESOLUTION: Final = 1 << 20  # scores count in steps of 2^-20 of the largest
FLOOR: Final = Fraction(5, 100)  # of the median positive score: below it nothing is paid


def split(pool: int, scores: Sequence[float], cap: int = 3) -> tuple[int, ...]:
    """Shares of `pool` minor units for n scores: (n,) ints >= 0 with sum <= pool.

    Proportional to the score; nothing below 5 % of the median positive score; no share over `cap` times the median
    share of those who are paid, what a cap cuts is shared again until nothing moves. Rest units go by largest fraction,
    then lowest index. All scores <= 0: nobody is paid. What stays over returns to the buyer.
    Raises ValueError for a negative pool, a cap under 1, or a score that is not finite.
    """
    if pool < 0 or cap < 1:
        raise ValueError(f"pool {pool} must be >= 0 and cap {cap} >= 1")
    weights = _admitted(_quantised(scores))
    if not any(weights):
        return (0,) * len(weights)
    return _in_units(pool, _capped(pool, weights, cap))


def _quantised(scores: Sequence[float]) -> list[int]:
    exact = [_finite(index, score) for index, score in enumerate(scores)]
    largest = max(exact, default=Fraction(0))
    if largest <= 0:
        return [0] * len(exact)
    return [max(0, int(score * RESOLUTION / largest)) for score in exact]


def _finite(index: int, score: float) -> Fraction:
    try:
        return Fraction(score)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"score {index} is not finite") from error


def _median(values: Sequence[Fraction]) -> Fraction:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _admitted(weights: Sequence[int]) -> list[int]:
    positive = [Fraction(weight) for weight in weights if weight > 0]
    if not positive:
        return list(weights)
    least = FLOOR * _median(positive)
    return [weight if weight >= least else 0 for weight in weights]


def _capped(pool: int, weights: Sequence[int], cap: int) -> list[Fraction]:
    """Exact shares: those over the cap get the cap, the others share what is left, until nobody new is over it."""
    ceiling = cap * _median([Fraction(pool * weight, sum(weights)) for weight in weights if weight])
    at_cap: set[int] = set()
    while True:
        rest = pool - ceiling * len(at_cap)
        open_weight = sum(weight for index, weight in enumerate(weights) if index not in at_cap)
        if not open_weight or rest <= 0:
            return [min(ceiling, Fraction(pool)) if index in at_cap else Fraction(0) for index in range(len(weights))]
        shares = [ceiling if index in at_cap else rest * weight / open_weight for index, weight in enumerate(weights)]
        over = {index for index, share in enumerate(shares) if share > ceiling}
        if not over:
            return shares
        at_cap |= over


def _in_units(pool: int, shares: Sequence[Fraction]) -> tuple[int, ...]:
    floors = [int(share) for share in shares]
    spare = min(pool, int(sum(shares))) - sum(floors)
    by_fraction = sorted(range(len(shares)), key=lambda index: (-(shares[index] - floors[index]), index))
    for index in by_fraction[:spare]:
        floors[index] += 1
    return tuple(floors)


def fee(total: int, basis_points: int) -> int:
    """The operator's part of `total`, rounded down. Raises ValueError outside 0..10,000 basis points."""
    if not 0 <= basis_points <= 10_000:
        raise ValueError(f"{basis_points} basis points")
    return total * basis_points // 10_000
