"""What REST and gRPC share: how to change, how to look, the clock, and whom they trust with what."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from didymos_did import Did
from didymos_kit.clock import Clock
from didymos_kit.dispatch import Dispatcher, Done
from didymos_kit.telemetry.metrics import Counter

from didymos_identity.application.ports import Committed, Reads, Vault, Work
from didymos_identity.domain.twin import Twin

Reading: TypeAlias = Callable[[], AbstractAsyncContextManager[Reads]]
"""Opens a snapshot."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """`administrators` suspend, `readers` are let into the vault, `services` ask for decisions about others;
    `keepers` read every credential, for the ledger's bundles; `organisations` sign for their sites.
    """

    administrators: frozenset[Did]
    readers: frozenset[Did]
    services: frozenset[Did]
    keepers: frozenset[Did]
    organisations: frozenset[Did]


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted, by the rows of telemetry/metrics.yaml."""

    twins: Counter
    registered: Counter
    revoked: Counter
    expired: Counter
    destroyed: Counter
    issued: Counter
    refused: Counter
    allowed: Counter
    denied: Counter


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a call to identity needs."""

    dispatch: Dispatcher[Work]
    reading: Reading
    vault: Vault
    clock: Clock
    trusted: Trusted
    counts: Counts


def joined(first: Committed[Twin], then: Committed[Twin]) -> Done[Twin]:
    """Two transactions as one answer: the last value, and where the events of both lie."""
    token = ",".join(part for part in (first.token, then.token) if part)
    return Done(then.value, token, placed=first.placed and then.placed)
