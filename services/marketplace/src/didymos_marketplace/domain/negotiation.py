"""A negotiation as one table of transitions. Dataspace Protocol 2025-1; marketplace-ledger.md section 7."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Role(Enum):
    CONSUMER = "consumer"
    PROVIDER = "provider"


class State(Enum):
    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"


class Message(Enum):
    REQUEST = "request"
    OFFER = "offer"
    ACCEPT = "accept"
    AGREE = "agree"
    VERIFY = "verify"
    FINALIZE = "finalize"
    TERMINATE = "terminate"


class Refusal(Enum):
    """Why a message changes nothing."""

    OUT_OF_ORDER = "out of order"
    WRONG_ROLE = "sent by the wrong side"
    TOO_MANY_OFFERS = "too many offers"


OPEN: Final = frozenset({State.REQUESTED, State.OFFERED, State.ACCEPTED, State.AGREED, State.VERIFIED})
OFFERS_EACH_WAY: Final = 10

TABLE: Final[dict[tuple[State | None, Message], tuple[Role, State]]] = {
    (None, Message.REQUEST): (Role.CONSUMER, State.REQUESTED),
    (State.OFFERED, Message.REQUEST): (Role.CONSUMER, State.REQUESTED),
    (None, Message.OFFER): (Role.PROVIDER, State.OFFERED),
    (State.REQUESTED, Message.OFFER): (Role.PROVIDER, State.OFFERED),
    (State.OFFERED, Message.ACCEPT): (Role.CONSUMER, State.ACCEPTED),
    (State.REQUESTED, Message.AGREE): (Role.PROVIDER, State.AGREED),
    (State.ACCEPTED, Message.AGREE): (Role.PROVIDER, State.AGREED),
    (State.AGREED, Message.VERIFY): (Role.CONSUMER, State.VERIFIED),
    (State.VERIFIED, Message.FINALIZE): (Role.PROVIDER, State.FINALIZED),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a negotiation stands, and how many offers each side has made."""

    state: State | None = None
    requests: int = 0
    offers: int = 0


def step(standing: Standing, role: Role, message: Message) -> Standing | Refusal:
    """The next standing, or why there is none. Total; either side may terminate what is open."""
    if message is Message.TERMINATE:
        if standing.state not in OPEN:
            return Refusal.OUT_OF_ORDER
        return Standing(State.TERMINATED, standing.requests, standing.offers)
    row = TABLE.get((standing.state, message))
    if row is None:
        return Refusal.OUT_OF_ORDER
    sender, then = row
    if sender is not role:
        return Refusal.WRONG_ROLE
    requests = standing.requests + (message is Message.REQUEST)
    offers = standing.offers + (message is Message.OFFER)
    if max(requests, offers) > OFFERS_EACH_WAY:
        return Refusal.TOO_MANY_OFFERS
    return Standing(then, requests, offers)
