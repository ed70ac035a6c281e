"""What the use cases of the market need from outside: tables that commit together, and what owners allow now."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from didymos_did import Did, Grant, TwinId

from didymos_marketplace.domain.agreement import Agreement, Negotiation
from didymos_marketplace.domain.book import Account, Transfer
from didymos_marketplace.domain.offer import Offer
from didymos_marketplace.domain.settlement import Settlement


@dataclass(frozen=True, slots=True)
class Published:
    """An offer as it was published. `body`: its canonical JSON with the proof of the provider."""

    offer: Offer
    body: bytes
    covering: int
    at: datetime


class Offers(Protocol):
    async def add(self, published: Published) -> bool:
        """False if an offer of this id is there already: it stays as it is."""

    async def find(self, offer: str) -> Published | None: ...

    async def newest(self, limit: int, after: str) -> Sequence[Published]:
        """By id, the newest first; `after`: the id that the page before ended with, or empty."""


class Negotiations(Protocol):
    async def add(self, negotiation: Negotiation) -> bool:
        """False if the buyer opened one under this consumer pid before."""

    async def of_buyer(self, buyer: Did, consumer_pid: str) -> Negotiation | None: ...

    async def find(self, provider_pid: str) -> Negotiation | None: ...

    async def lock(self, provider_pid: str) -> Negotiation | None:
        """`find`, and nobody else moves it until this transaction ends."""

    async def save(self, negotiation: Negotiation) -> None: ...

    async def of_party(self, party: Did, limit: int, after: str) -> Sequence[Negotiation]:
        """Those of a provider or buyer, by pid, the newest first; `after`: where the page before ended, or empty."""


class Agreements(Protocol):
    async def add(self, agreement: Agreement) -> None: ...

    async def find(self, agreement: str) -> Agreement | None: ...


class Book(Protocol):
    """The double-entry book. A balance is never below zero but outside's."""

    async def book(self, transfer: Transfer, at: datetime) -> None:
        """The same transfer again has no effect. Raises MARKET_NOT_COVERED, MARKET_ID_TAKEN, PLATFORM_INVALID_FIELD."""

    async def held(self, asset: str, account: Account) -> int: ...

    async def escrowed(self) -> int:
        """Minor units in escrow, over all assets."""

    async def escrow_gap(self) -> int:
        """What went into escrow, less what left it, less what lies there."""

    async def holdings(self, account: Account) -> Sequence[tuple[str, int]]:
        """(asset, minor units) of an account, by asset."""


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom a line is about: the twin whose data contributed. Erased with the twin."""

    thread: str
    twin: TwinId


@dataclass(frozen=True, slots=True)
class Settled:
    """A final settlement. `record`: the canonical JSON that its digest covers; `run`: what it paid for."""

    settlement: Settlement
    run: str
    record: bytes
    digest: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Earned:
    """One paid line of a twin."""

    agreement: str
    seq: int
    index: int
    thread: str
    asset: str
    minor: int
    rounds: int
    transfer: str


class Settlements(Protocol):
    async def add(self, settled: Settled, payees: Sequence[Payee]) -> None: ...

    async def find(self, agreement: str) -> Settled | None: ...

    async def earned(self, twins: Sequence[TwinId]) -> Sequence[Earned]:
        """Lines of these twins, oldest first."""

    async def forget(self, twin: TwinId) -> int:
        """Take the twin from its lines; how many. The amounts stay: they balance the book."""


class Announce(Protocol):
    """Events, each in the log once the transaction commits."""

    def offer_published(self, published: Published) -> None: ...

    def negotiation_moved(self, negotiation: Negotiation) -> None: ...

    def agreement_made(self, agreement: Agreement) -> None: ...

    def settled(self, settled: Settled) -> None:
        """Computed, then each payout, then final: in this order in the log."""


class Tables(Protocol):
    """All tables as of one moment."""

    @property
    def offers(self) -> Offers: ...

    @property
    def negotiations(self) -> Negotiations: ...

    @property
    def agreements(self) -> Agreements: ...

    @property
    def book(self) -> Book: ...

    @property
    def settlements(self) -> Settlements: ...


Reads: TypeAlias = Callable[[], AbstractAsyncContextManager[Tables]]


class Work(Tables, Protocol):
    """One transaction."""

    @property
    def announce(self) -> Announce: ...


class Consent(Protocol):
    """What owners granted, from our own tail."""

    @property
    def fresh(self) -> bool: ...

    def twins(self) -> Sequence[TwinId]: ...

    def grants(self, twin: TwinId) -> Sequence[Grant]: ...


class Owners(Protocol):
    """Who owns which twin, from our own tail."""

    def owner_of(self, twin: TwinId) -> Did | None: ...

    def twins_of(self, owner: Did) -> Sequence[TwinId]: ...

    def destroyed(self, twin: TwinId) -> bool: ...
