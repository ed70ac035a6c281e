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
    member: str = ""  # a stable name of this process; empty: one is made
