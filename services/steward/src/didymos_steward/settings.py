"""Settings of the steward service."""

from didymos_kit.settings import Settings


class StewardSettings(Settings, section="steward"):
    placed_within_seconds: float = 0.5
