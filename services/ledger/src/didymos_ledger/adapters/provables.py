"""What the events of other services say, as records to be proved. Pure: bytes in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from didymos.market.v1 import market_events_pb2 as market
from didymos.market.v1.market_types_pb2 import NegotiationState
from didymos.training.v1 import training_events_pb2 as training
from didymos_did import Did, parse_strict
from didymos_did.proofs import instant_text
from didymos_provenance import Fact, Json, b64url, thread_of
from google.protobuf.timestamp_pb2 import Timestamp

from didymos_ledger.application.ports import Payout
from didymos_ledger.domain.provable import Follows, Provable, of_agreement, of_twin, round_id, settlement_id

TERMS_BYTES: Final = 1 << 20
HASH_BYTES: Final = 32


def negotiation_moved(value: bytes) -> Provable:
    said = market.NegotiationMoved.FromString(value)
    state = _state(said.state)
    subject = f"{said.provider_pid}/{state}/{said.at.ToNanoseconds()}"
    record: dict[str, Json] = {
        "id": said.provider_pid, "consumer_pid": said.consumer_pid, "state": state, "at": _text(said.at),
    }  # fmt: skip
    return Provable(
        "negotiation.moved", subject, thread_of(said.provider_pid), record, of_agreement(""), {"state": state}
    )


def agreement_made(value: bytes) -> tuple[Provable, market.AgreementMade]:
    """The record is the agreement itself, with both proofs."""
    said = market.AgreementMade.FromString(value)
    record = parse_strict(said.terms, limit=TERMS_BYTES)
    facts: dict[str, Fact] = {"state": _state(said.state)}
    made = Provable(
        "agreement.made", said.id, thread_of(said.id), record, of_agreement(said.id), facts, agreement=said.id
    )
    return made, said


def settlement_computed(value: bytes) -> Provable:
    said = market.SettlementComputed.FromString(value)
    record: dict[str, Json] = {
        "id": settlement_id(said.agreement, said.seq), "agreement": b64url(thread_of(said.agreement)),
        "seq": said.seq, "asset": said.total.asset, "cum_total": said.total.minor,
        "split": b64url(said.record_digest),
    }  # fmt: skip
    return _settled("settlement.computed", said.agreement, said.seq, record, said.total.minor)


def settlement_final(said: market.SettlementFinal, paid: Sequence[Payout]) -> Provable:
    subject = settlement_id(said.agreement, said.seq)
    transfers: list[Json] = [
        {
            "id": one.transfer, "index": one.index, "payee": b64url(one.thread), "asset": one.asset, "minor": one.minor,
        }
        for one in paid
    ]  # fmt: skip
    record: dict[str, Json] = {
        "id": subject, "seq": said.seq, "asset": said.total.asset, "cum_total": said.total.minor,
        "refund": said.refund.minor, "transfers": transfers,
    }  # fmt: skip
    follows = Follows("computed", "settlement.computed", subject)
    return _settled("settlement.final", said.agreement, said.seq, record, said.total.minor, follows)


def payout_paid(value: bytes) -> Payout:
    said = market.PayoutPaid.FromString(value)
    return Payout(
        said.transfer_id, said.agreement, said.seq, said.index, said.thread, said.amount.asset, said.amount.minor
    )


def run_started(value: bytes) -> list[Provable]:
    said = training.RunStarted.FromString(value)
    record: dict[str, Json] = {
        "id": said.run, "agreement": b64url(thread_of(said.agreement)), "spec": b64url(said.spec_digest),
        "params": b64url(said.params_digest), "rounds": said.rounds, "at": _text(said.at),
    }  # fmt: skip
    return [_Run(said.run, said.agreement).provable("run.opened", said.run, record)]


def round_closed(value: bytes) -> list[Provable]:
    """Two entries: what was committed to, then what it became."""
    said = training.RoundClosed.FromString(value)
    subject, number = round_id(said.run, said.round), said.round
    committed: dict[str, Json] = {
        "id": subject, "agreement": b64url(thread_of(said.agreement)), "round": number,
        "updates": b64url(said.total_digest), "accepted": said.accepted, "masking": said.masking,
        "transcript": b64url(said.transcript),
    }  # fmt: skip
    closed: dict[str, Json] = {"id": subject, "round": number, "params": b64url(said.params_digest)}
    run, follows = _Run(said.run, said.agreement, number), Follows("committed", "round.committed", subject)
    return [
        run.provable("round.committed", subject, committed, {"updates": said.total_digest}),
        run.provable("round.closed", subject, closed, {"params": said.params_digest}, follows),
    ]


def round_aborted(value: bytes) -> list[Provable]:
    said = training.RoundAborted.FromString(value)
    subject = round_id(said.run, said.round)
    record: dict[str, Json] = {"id": subject, "round": said.round, "reason": said.reason, "charged": said.charged}
    return [_Run(said.run, round=said.round).provable("round.aborted", f"{subject}/{said.reason}", record)]


def model_registered(said: training.ModelRegistered, owner: Did | None) -> Provable:
    """A model of a twin is sealed under the key of that twin: it goes with it."""
    record: dict[str, Json] = {
        "id": said.model_id, "round": b64url(thread_of(said.run)), "task": said.task,
        "params": b64url(said.params_digest), "kind": int(said.kind),
    }  # fmt: skip
    return Provable(
        "model.published", said.model_id, thread_of(said.model_id), record,
        of_twin(said.twin) if said.twin else of_agreement(""), _hashes({"params": said.params_digest}), owner,
        run=said.run,
    )  # fmt: skip


def grant_issued(grant: str, twin: str, owner: Did, credential: bytes) -> Provable:
    """The record is the credential itself, as its owner signed it."""
    record = parse_strict(credential, limit=TERMS_BYTES)
    return Provable("grant.issued", grant, thread_of(grant), record, of_twin(twin), owner=owner)


def grant_ended(kind: str, grant: str, twin: str, owner: Did, at: Timestamp) -> Provable:
    """`grant.revoked` or `grant.expired`: the house attests what the owner signed or the calendar says."""
    record: dict[str, Json] = {"id": grant, "grant": b64url(thread_of(grant)), "at": _text(at)}
    return Provable(kind, grant, thread_of(grant), record, of_twin(twin), owner=owner)


def erasure_done(event: str, at: str) -> Provable:
    """Says that something was erased and when; whose it was is what was erased."""
    return Provable("erasure.done", event, thread_of(event), {"id": event, "at": at}, of_agreement(""))


def _settled(
    kind: str, agreement: str, seq: int, record: Mapping[str, Json], total: int, follows: Follows | None = None
) -> Provable:
    facts: dict[str, Fact] = {"seq": seq, "cum_total": total}
    subject = settlement_id(agreement, seq)
    return Provable(
        kind, subject, thread_of(agreement), record, of_agreement(agreement), facts, agreement=agreement,
        follows=follows,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Run:
    """What a record is about: a run, its agreement, one of its rounds."""

    run: str
    agreement: str = ""
    round: int = 0

    def provable(
        self, kind: str, subject: str, record: Mapping[str, Json], hashes: Mapping[str, bytes] | None = None,
        follows: Follows | None = None,
    ) -> Provable:  # fmt: skip
        facts = _hashes(hashes or {}) | ({"round": self.round} if kind.startswith("round.") else {})
        return Provable(
            kind, subject, thread_of(self.run), record, of_agreement(self.agreement), facts,
            agreement=self.agreement, run=self.run, round=self.round, follows=follows,
        )  # fmt: skip


def _hashes(given: Mapping[str, bytes]) -> dict[str, Fact]:
    """Those that are SHA-256: an entry holds no others."""
    return {name: b64url(raw) for name, raw in given.items() if len(raw) == HASH_BYTES}


def _state(state: NegotiationState.ValueType) -> str:
    return NegotiationState.Name(state).removeprefix("NEGOTIATION_STATE_")


def _text(at: Timestamp) -> str:
    return instant_text(at.ToDatetime(UTC))
