"""What is to be proved later: the record of an event, and what an entry may say of it. marketplace-ledger.md 1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from didymos_did import Did
from didymos_provenance import Fact, Json, event_id

SIGNED: Final = frozenset({"grant.issued", "agreement.made"})  # by those they bind; the house signs all other records


@dataclass(frozen=True, slots=True)
class Follows:
    """The record names the entry of another one: its commitment goes to `member`."""

    member: str
    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class Provable:
    """Something that happened. `kind` and `subject` name it: it is logged once, whatever is delivered twice.

    `holder` says whose key seals the record: destroying that key erases it. The rest finds it again, and says who may
    ask: an owner, or the parties of an agreement.
    """

    kind: str
    subject: str
    thread: bytes
    record: Mapping[str, Json]
    holder: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    owner: Did | None = None
    agreement: str = ""
    run: str = ""
    round: int = 0
    follows: Follows | None = None

    @property
    def event_id(self) -> bytes:
        """16 bytes that a repeat has as well."""
        return event_id(self.kind, self.subject)


def of_twin(twin: str) -> str:
    """The holder of what is about one twin."""
    return f"twin|{twin}"


def of_agreement(agreement: str) -> str:
    """The holder of what is about one agreement; what has none belongs to the house."""
    return f"agreement|{agreement}" if agreement else "house"


def round_id(run: str, number: int) -> str:
    """Names a round: the `id` of its bundle."""
    return f"{run}/rounds/{number}"


def settlement_id(agreement: str, seq: int) -> str:
    return f"{agreement}/settlements/{seq}"
