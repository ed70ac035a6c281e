"""Settings of a site: where its folder lies, whom it dials, and whom it believes."""

from pathlib import Path

from didymos_kit.settings import Settings
from pydantic import Field


class SiteSettings(Settings, section="site"):
    """`DIDYMOS_SITE__FOLDER` and so on; the command line overrides them.

    `coordinator`, `identity`: host:port; identity is where the coordinator is unless it is named. `origin`: of the
    house, from which audiences are made. `organisations`: DIDs whose sites may be neighbours. `hours`: `22:00-06:00`,
    when it trains, in `zone`; empty: always. `rounds_a_day` 0: no limit. `cpu_share`: of one core, over time.
    """

    folder: Path = Path("site")
    coordinator: str = "127.0.0.1:50051"
    identity: str = ""
    origin: str = "http://127.0.0.1:8080"
    coordinator_did: str = ""
    organisations: tuple[str, ...] = ()
    first_pause_seconds: float = 1.0
    most_pause_seconds: float = 60.0
    beat_seconds: float = 10.0
    hours: str = ""
    zone: str = "UTC"
    rounds_a_day: int = Field(default=0, ge=0)
    cpu_share: float = Field(default=1.0, gt=0.0, le=1.0)
    log_level: str = "INFO"
