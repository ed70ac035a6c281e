"""A run ended: what its agreement holds is split by contribution, and the rest returns. marketplace-ledger.md 9."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

from didymos_contracts.errors.market import MARKET_CONTRIBUTION_INVALID
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import TwinId, jcs
from didymos_kit.clock import Clock

from didymos_marketplace.application.ports import Payee, Settled, Work
from didymos_marketplace.domain.agreement import Agreement
from didymos_marketplace.domain.book import FEES, Transfer, buyer_account, escrow_account, payee_account
from didymos_marketplace.domain.settlement import Contribution, Settlement, payout_id, settle

FIRST: int = 1


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run of `rounds` rounds under an agreement. A run that failed contributed nothing: all returns."""

    run: str
    agreement: str
    rounds: int
    contributions: Sequence[Contribution]
    twins: Sequence[TwinId]  # beside the contributions


async def settle_run(ended: RunEnded, work: Work, clock: Clock) -> Settled | None:
    """Compute, pay, refund, and make it final in one transaction; None if the agreement was settled before.

    Raises PLATFORM_NOT_FOUND for no final agreement, MARKET_CONTRIBUTION_INVALID for a score that is no number.
    """
    agreement = await work.agreements.find(ended.agreement)
    if agreement is None:
        raise PLATFORM_NOT_FOUND.problem(agreement=ended.agreement)
    if await work.settlements.find(ended.agreement) is not None:
        return None
    if not all(isfinite(one.score) for one in ended.contributions):
        raise MARKET_CONTRIBUTION_INVALID.problem(run=ended.run, detail="a score is not finite")
    funded = await work.book.held(agreement.price.asset, escrow_account(agreement.id))
    settlement = settle(
        agreement.id, FIRST, agreement.price.asset, funded, (ended.rounds, agreement.rounds), ended.contributions,
        agreement.fee_basis_points,
    )  # fmt: skip
    record = jcs(record_of(settlement, ended.run))
    settled = Settled(settlement, ended.run, record, sha256(record).digest(), clock.now())
    for transfer in transfers_of(settlement, agreement):
        await work.book.book(transfer, clock.now())
    payees = [Payee(one.thread, twin) for one, twin in zip(ended.contributions, ended.twins, strict=True)]
    await work.settlements.add(settled, payees)
    work.announce.settled(settled)
    return settled


def transfers_of(settlement: Settlement, agreement: Agreement) -> list[Transfer]:
    """All that leaves the escrow: each line to its payee, the fee, the refund. They add up to what it held."""
    escrow, asset = escrow_account(agreement.id), settlement.asset
    wanted = [
        Transfer(payout_id(settlement, index), asset, escrow, payee_account(line.thread), line.minor)
        for index, line in enumerate(settlement.lines)
    ]
    ended = f"{settlement.agreement}:{settlement.seq}"
    wanted.append(Transfer(f"{ended}:fee", asset, escrow, FEES, settlement.fee_minor))
    wanted.append(Transfer(f"{ended}:refund", asset, escrow, buyer_account(agreement.buyer), settlement.refund_minor))
    return [transfer for transfer in wanted if transfer.minor]


def record_of(settlement: Settlement, run: str) -> dict[str, object]:
    """What parties can recompute the split from. Scores are text: hashed records hold no floats."""
    return {
        "agreement": settlement.agreement, "seq": settlement.seq, "run": run, "asset": settlement.asset,
        "funded": settlement.funded_minor, "earned": settlement.earned_minor, "fee": settlement.fee_minor,
        "refund": settlement.refund_minor, "method": settlement.method,
        "lines": [
            {
                "index": index, "thread": line.thread, "score": repr(line.score), "rounds": line.rounds,
                "minor": line.minor, "transfer": payout_id(settlement, index),
            }
            for index, line in enumerate(settlement.lines)
        ],
    }  # fmt: skip
