"""Settings of a site: where its folder lies, whom it dials, and whom it believes."""

from pathlib import Path

from didymos_kit.settings import Settings


class SiteSettings(Settings, section="site"):
    """`DIDYMOS_SITE__FOLDER` and so on; the command line overrides them.

    `coordinator`, `identity`: host:port; identity is where the coordinator is unless it is named. `origin`: of the
    house, from which audiences are made. `organisations`: DIDs whose sites may be neighbours.
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
    log_level: str = "INFO"
