"""Protobuf events of the market out of its values, and runs of the training topic into them."""

from didymos.market.v1 import market_events_pb2 as events
from didymos.market.v1.market_types_pb2 import Money, NegotiationState
from didymos.training.v1.training_events_pb2 import RunCompleted, RunFailed
from didymos_did import Did, TwinId, jcs
from didymos_provenance import b64url, unb64url
from google.protobuf.message import Message

from didymos_marketplace.application.ports import Published, Settled
from didymos_marketplace.application.settle_run import RunEnded
from didymos_marketplace.domain.agreement import Agreement, Negotiation
from didymos_marketplace.domain.negotiation import State
from didymos_marketplace.domain.settlement import Contribution, Settlement, payout_id


def state_message(state: State) -> NegotiationState.ValueType:
    return NegotiationState.Value(f"NEGOTIATION_STATE_{state.value}")


def offer_published(published: Published) -> events.OfferPublished:
    offer = published.offer
    return events.OfferPublished(
        offer_id=offer.id, provider=offer.provider, offer=published.body, covering=published.covering
    )


def negotiation_moved(negotiation: Negotiation) -> events.NegotiationMoved:
    moved = events.NegotiationMoved(provider_pid=negotiation.provider_pid, consumer_pid=negotiation.consumer_pid)
    if negotiation.standing.state is not None:
        moved.state = state_message(negotiation.standing.state)
    moved.at.FromDatetime(negotiation.moved_at)
    return moved


def agreement_made(agreement: Agreement) -> events.AgreementMade:
    return events.AgreementMade(
        id=agreement.id, thread=agreement.thread, provider=agreement.provider, buyer=agreement.buyer,
        cap=Money(asset=agreement.price.asset, minor=agreement.price.minor), terms=jcs(dict(agreement.terms)),
        state=state_message(State.FINALIZED),
    )  # fmt: skip


def settlement_events(settled: Settled) -> list[Message]:
    """Computed, each payout, final: whoever has read the last one has read all."""
    settlement = settled.settlement
    paid = [(index, line) for index, line in enumerate(settlement.lines) if line.minor]
    agreement, seq = settlement.agreement, settlement.seq
    total = _money(settlement, sum(line.minor for _, line in paid))
    return [
        events.SettlementComputed(agreement=agreement, seq=seq, total=total, record_digest=settled.digest),
        *(
            events.PayoutPaid(
                agreement=agreement, seq=seq, index=index, thread=unb64url(line.thread),
                amount=_money(settlement, line.minor), transfer_id=payout_id(settlement, index),
            )
            for index, line in paid
        ),
        events.SettlementFinal(
            agreement=agreement, seq=seq, total=total, refund=_money(settlement, settlement.refund_minor),
            lines=len(paid),
        ),
    ]  # fmt: skip


def run_completed(value: bytes) -> RunEnded:
    """Raises DecodeError, and DidError for a DID that is none."""
    said = RunCompleted.FromString(value)
    contributions = [Contribution(b64url(one.thread), one.score, one.rounds) for one in said.contributions]
    return RunEnded(
        said.run, said.agreement, said.rounds, contributions, [TwinId(Did(one.twin)) for one in said.contributions]
    )


def run_failed(value: bytes) -> RunEnded:
    """A run without a model: nobody is paid, all returns."""
    said = RunFailed.FromString(value)
    return RunEnded(said.run, said.agreement, 0, [], [])


def _money(settlement: Settlement, minor: int) -> Money:
    return Money(asset=settlement.asset, minor=minor)
