"""A refusal as its owner sees it: what was refused and why, never a value. data-path.md 7."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

KEPT: Final = timedelta(days=30)  # as long as its content is in the log


@dataclass(frozen=True, slots=True)
class KeptRefusal:
    """Readings `index` to `index + count - 1` of a batch; their content is at this place of `didymos.quarantine.v1`."""

    twin: str
    device: str
    batch: bytes
    partition: int
    offset: int
    index: int
    count: int
    code: str
    detail: str
    profile: str
    received_at: datetime
    released: bool = False  # its readings were accepted after all, because the owner said so
