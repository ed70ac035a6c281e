"""What can be set of the ledger: `DIDYMOS_LEDGER__...`."""

from pathlib import Path
from typing import Literal

from didymos_kit.settings import Settings
from pydantic import Field


class LedgerSettings(Settings, section="ledger"):
    """`role`: `all` is a log with three witnesses of one operator in this process; `log` and `witness` are processes.

    `folder`: where log and witnesses keep their files; not set: beside the database of an embedded house.
    `witness_urls`: of a log alone, in the order of their numbers. `witness`: which one this process is, from 1.
    `logs`: verifier keys of other organisations' logs that this witness cosigns. `partners`: witnesses of other
    organisations that cosign this log, each `<verifier key> <URL>`.
    """

    role: Literal["all", "log", "witness"] = "all"
    folder: Path | None = None
    shard: int = Field(default=0, ge=0, le=999)
    witness_count: int = Field(default=3, ge=0, le=7)
    witness_urls: tuple[str, ...] = ()
    witness: int = Field(default=1, ge=1, le=7)
    logs: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    agree_seconds: float = Field(default=0.5, gt=0, le=60)
