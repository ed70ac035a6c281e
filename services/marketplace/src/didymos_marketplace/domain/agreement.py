"""The agreement that comes out of a negotiation: one document, signed by provider and buyer over the same bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from didymos_did import Did, verify_document
from didymos_did.proofs import instant_text
from didymos_did.terms import terms_json

from didymos_marketplace.domain.negotiation import Standing
from didymos_marketplace.domain.offer import Offer, Price

SCORER: Final = "attested-dot"
OPEN_FOR: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Where two parties stand over one offer. `terms`: the agreement as far as it is signed; `moved_at` dates it."""

    provider_pid: str
    consumer_pid: str
    agreement: str
    offer: str
    provider: Did
    buyer: Did
    price: Price
    standing: Standing
    opened_at: datetime
    moved_at: datetime
    terms: Mapping[str, Any] | None = None

    def expired(self, now: datetime) -> bool:
        """Nobody is bound for ever by what was once proposed: then it can only be ended."""
        return now >= self.opened_at + OPEN_FOR


@dataclass(frozen=True, slots=True)
class Agreement:
    """A final agreement: both signed, the money is held. `terms` holds the proofs of provider and buyer, in order."""

    id: str
    thread: bytes
    provider: Did
    buyer: Did
    offer: str
    price: Price
    rounds: int
    fee_basis_points: int
    terms: Mapping[str, Any]
    made_at: datetime


def draft(negotiation: Negotiation, offer: Offer) -> dict[str, Any]:
    """What both sign: offer, price and time are those of the negotiation as it stands, so both see the same bytes."""
    price = negotiation.price
    return {
        "@id": negotiation.agreement, "@type": "Agreement", "target": offer.product,
        "assigner": str(negotiation.provider), "assignee": str(negotiation.buyer),
        "timestamp": instant_text(negotiation.moved_at), "offer": offer.id,
        "permission": [{"action": "use", "constraint": [{
            "leftOperand": "odrl:purpose", "operator": "isAnyOf",
            "rightOperand": [str(purpose) for purpose in offer.terms.purposes],
        }]}],
        "obligation": [{"action": "odrl:compensate", "constraint": [
            {"leftOperand": "odrl:payAmount", "operator": "eq", "rightOperand": str(price.minor)},
            {"leftOperand": "didymos:asset", "operator": "eq", "rightOperand": price.asset},
        ]}],
        "didymos:terms": {
            **terms_json(offer.terms), "validFrom": instant_text(offer.terms.valid_from),
            "validUntil": instant_text(offer.terms.valid_until),
        },
        "didymos:settlement": {
            "kind": "book", "settler": str(negotiation.provider), "scorer": SCORER, "rounds": offer.rounds,
            "fee_bps": offer.fee_basis_points,
        },
        **({"didymos:spec": offer.spec} if offer.spec else {}),
    }  # fmt: skip


def unsigned(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The document without its proofs."""
    return {name: member for name, member in terms.items() if name != "proof"}


def signed_by_provider(drafted: dict[str, Any], proof: Mapping[str, Any], provider: Did) -> dict[str, Any]:
    """The document with the provider's proof. Raises DidError if it does not hold for these very bytes."""
    verify_document({**drafted, "proof": dict(proof)}, provider)
    return {**drafted, "proof": [dict(proof)]}


def signed_by_both(terms: Mapping[str, Any], proof: Mapping[str, Any], buyer: Did) -> dict[str, Any]:
    """The document with the proofs of provider and buyer. Raises DidError if the buyer's does not hold."""
    verify_document({**unsigned(terms), "proof": dict(proof)}, buyer)
    return {**terms, "proof": [*terms["proof"], dict(proof)]}
