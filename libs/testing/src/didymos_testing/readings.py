"""Builders of columns, batches and profiles for tests of the data path. Keys are real; times are fixed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from didymos_readings import Batch, Column, DeviceStream, Envelope, Refusal, built_in_profiles, verify_batch
from numpy.typing import NDArray

NOON_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
OPERATOR = "did:web:operator.example"
DEVICE = "did:key:z6MkDevice"
TWIN = "did:key:z6MkTwin"
GLUCOSE = "glucose/level"


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """An Ed25519 key as `BatchSigner` and `Verifier`."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kid: str = f"{DEVICE}#z6MkDevice"

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        public: Ed25519PublicKey = self.private.public_key()
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


KEY = DeviceKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def a_column(
    values: Sequence[float] | NDArray[Any] | tuple[str, ...] = (100.0, 101.0, 102.0),
    *,
    twin: str = TWIN,
    prop: str = GLUCOSE,
    unit: str = "mg/dL",
    last_us: int = NOON_US,
    period_s: float = 300,
) -> Column:
    """Values one period apart, the last at `last_us`."""
    if isinstance(values, np.ndarray):
        column: NDArray[Any] | tuple[str, ...] = values
    else:
        texts = tuple(value for value in values if isinstance(value, str))
        column = texts or np.array(values, np.float64)
    t_us = last_us - np.arange(len(values) - 1, -1, -1, dtype=np.int64) * round(period_s * 1e6)
    return Column(twin, prop, unit, t_us, column)


def a_stream(profile: str = "glucose@1", *, key: DeviceKey = KEY, number: int = 1) -> DeviceStream:
    return DeviceStream(key, OPERATOR, profile, number=number)


def an_envelope(*columns: Column, profile: str = "glucose@1", number: int = 1, backfill: bool = False) -> Envelope:
    """A signed batch, sent at noon."""
    return a_stream(profile, number=number).batch(columns or (a_column(),), NOON_US, backfill=backfill)


def a_batch(*columns: Column, profile: str = "glucose@1", number: int = 1, backfill: bool = False) -> Batch:
    """The same, verified."""
    return verified(an_envelope(*columns, profile=profile, number=number, backfill=backfill))


def verified(envelope: Envelope) -> Batch:
    found = verify_batch(envelope, KEY, OPERATOR)
    if isinstance(found, Refusal):
        raise TypeError(found)
    return found


def everywhere(_twin: str, _prop: str) -> str | None:
    """An enrolment that lets everything through."""
    return None


GLUCOSE_PROFILE = built_in_profiles()["glucose@1"]
GENERIC_PROFILE = built_in_profiles()["generic@1"]
