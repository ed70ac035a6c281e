"""Bodies that come in and answers that go out, as JSON."""

from typing import Annotated, Any

from didymos_did import parse_strict
from didymos_kit.http.body import Strict
from didymos_provenance import b64url
from pydantic import Field

from didymos_marketplace.application.negotiate import Open
from didymos_marketplace.application.ports import Published
from didymos_marketplace.application.read_market import Account, Held, Shown
from didymos_marketplace.domain.agreement import Negotiation, draft
from didymos_marketplace.domain.negotiation import State
from didymos_marketplace.domain.offer import MAX_MINOR

Urn = Annotated[str, Field(max_length=200)]
Minor = Annotated[int, Field(ge=1, le=MAX_MINOR)]
Json = dict[str, Any]


class PublishBody(Strict):
    """The offer as its provider signed it."""

    document: Json


class RequestBody(Strict):
    """A buyer asks for an offer under a name of its own; `minor`: for another price."""

    offer: Urn
    consumer_pid: Urn
    minor: Minor | None = None


class PriceBody(Strict):
    minor: Minor


class EventBody(Strict):
    """ACCEPTED of the buyer, FINALIZED of the provider."""

    state: Annotated[str, Field(pattern="^(ACCEPTED|FINALIZED)$")]


class AgreementBody(Strict):
    """The agreement as drafted, with the proof of the provider."""

    document: Json


class VerificationBody(Strict):
    """The buyer's proof over the same document."""

    proof: Json


class DepositBody(Strict):
    """`id` names the payment outside."""

    id: Annotated[str, Field(min_length=1, max_length=128)]
    asset: Annotated[str, Field(max_length=16)]
    minor: Minor


def shown_offer(published: Published) -> Json:
    return {
        "id": published.offer.id, "covering": published.covering, "published_at": published.at.isoformat(),
        "document": parse_strict(published.body),
    }  # fmt: skip


def shown_negotiation(found: Open) -> Json:
    """Both sides see the same; `agreement` is what they sign, until both have."""
    negotiation, published = found
    drafts = negotiation.standing.state in _DRAFTED
    drafted = negotiation.terms or (draft(negotiation, published.offer) if drafts else None)
    return {**shown_standing(negotiation), "agreement": drafted}


def shown_standing(negotiation: Negotiation) -> Json:
    state = negotiation.standing.state
    return {
        "provider_pid": negotiation.provider_pid, "consumer_pid": negotiation.consumer_pid,
        "state": None if state is None else state.value, "offer": negotiation.offer,
        "provider": negotiation.provider, "buyer": negotiation.buyer,
        "price": {"asset": negotiation.price.asset, "minor": negotiation.price.minor},
        "agreement_id": negotiation.agreement,
    }  # fmt: skip


_DRAFTED = frozenset({State.REQUESTED, State.OFFERED, State.ACCEPTED})


def shown_agreement(held: Held) -> Json:
    agreement = held.agreement
    return {
        "id": agreement.id, "thread": b64url(agreement.thread), "state": State.FINALIZED.value,
        "provider": agreement.provider, "buyer": agreement.buyer, "offer": agreement.offer,
        "price": {"asset": agreement.price.asset, "minor": agreement.price.minor}, "rounds": agreement.rounds,
        "fee_basis_points": agreement.fee_basis_points, "funded_minor": held.funded_minor,
        "made_at": agreement.made_at.isoformat(), "terms": dict(agreement.terms),
    }  # fmt: skip


def shown_settlement(shown: Shown) -> Json:
    """The record whose digest is in the ledger; an owner gets the sums and the own lines."""
    settled = shown.settled
    record: Json = parse_strict(settled.record, limit=len(settled.record))
    if shown.lines is not None:
        record["lines"] = [line for line in record["lines"] if line["index"] in shown.lines]
    complete = shown.lines is None
    return {
        "state": "FINAL", "settled_at": settled.at.isoformat(), "record_digest": b64url(settled.digest),
        "complete": complete, "record": record,
    }  # fmt: skip


def shown_account(account: Account) -> Json:
    return {
        "balances": [{"asset": asset, "minor": minor} for asset, minor in account.holdings],
        "earned": [
            {
                "agreement": one.agreement, "seq": one.seq, "index": one.index, "thread": one.thread,
                "asset": one.asset, "minor": one.minor, "rounds": one.rounds, "transfer": one.transfer,
            }
            for one in account.earned
        ],
    }  # fmt: skip
