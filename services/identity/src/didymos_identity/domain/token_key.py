"""The keys that sign access tokens: one a process, for a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from didymos_did import KeyId

LIFE: Final = timedelta(hours=24)
RENEWED_BEFORE_END: Final = timedelta(hours=2)
FORGOTTEN_AFTER: Final = timedelta(hours=1)  # tokens of 300 s are long over
EARLY: Final = timedelta(minutes=5)  # clocks of other processes may be behind


@dataclass(frozen=True, slots=True)
class TokenKey:
    """`multikey`: the public half."""

    kid: KeyId
    multikey: str
    not_before: datetime
    not_after: datetime


def token_key(kid: KeyId, multikey: str, now: datetime) -> TokenKey:
    return TokenKey(kid, multikey, now - EARLY, now + LIFE)
