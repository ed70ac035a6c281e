"""Settings of twin-state."""

from typing import Literal

from didymos_kit.settings import Settings
from pydantic import Field


class TwinStateSettings(Settings, section="twin-state"):
    """`role`: which part of the service this process is; `all` in one process.

    `api` answers reads and writes, `worker` applies and gates, `live` streams, `forecaster` keeps models and forecasts.
    """

    role: Literal["all", "api", "worker", "live", "forecaster"] = "all"
    wait_seconds: float = Field(default=5.0, gt=0, le=60)  # how long a read waits for what its consistency token names
    publishers: tuple[str, ...] = ()  # DIDs whose profiles are taken, beside those of the organisation of the house
    member: str = ""  # a stable name of this process; empty: one is made
    upkeep_seconds: float = Field(default=60.0, gt=0, le=3600)  # between two turns that fold parcels and delete the old
    keep_parcels_days: int = Field(default=90, ge=1)  # they carry the proofs; none goes before its series are written
    keep_series_days: int = Field(default=730, ge=1)
    keep_minutes_days: int = Field(default=400, ge=1)  # rollups of a minute
    packed_megabytes: int = Field(default=256, ge=1, le=65_536)  # of parameters that the forecaster keeps ready
    keep_rollups_days: int = Field(default=3650, ge=1)  # of an hour and of a day
