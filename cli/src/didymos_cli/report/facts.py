"""What a report is drawn from. Errors are RMSE in mg/dL on held-out time; money is in minor units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the table, as the person's site reported it."""

    name: str
    site: str
    windows: int
    last_value: float
    own: float
    global_: float
    personal: float
    accepted: bool
    reason: str
    score: float
    payout_minor: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean over people of `ours` minus `other`, with a 95 % bootstrap interval over people."""

    ours: str
    other: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A stretch of held-out time of one person: (n,) minutes from its begin, truth, forecast and its 80 % band."""

    person: str
    minutes: tuple[float, ...]
    truth: tuple[float, ...]
    forecast: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """One span of the trace of one reading: begin and length in milliseconds from the first."""

    service: str
    name: str
    begin_ms: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    seed: int
    seconds: float
    readings: dict[str, int]  # sent, accepted, applied, refused
    rounds: int
    sites: int
    masking: str
    split: str  # how time was cut, in words
    people: tuple[Person, ...]
    differences: tuple[Difference, ...]
    curve: Curve
    hops: tuple[Hop, ...]
    asset: str
    price_minor: int
    fee_minor: int
    refund_minor: int
    steward: tuple[str, ...]  # what it saw, did, and under which bounds
    proofs: dict[str, str]  # grant, round, payout: verdict
    refusals: dict[str, str]  # changed byte, revoked grant, replayed request: how it was refused
    peak_rss_mb: float
    losses: tuple[float, ...]  # gate error of the global model after each round, where sites may tell it
