"""What can be set of the marketplace: `DIDYMOS_MARKETPLACE__...`."""

from didymos_kit.settings import Settings


class MarketplaceSettings(Settings, section="marketplace"):
    """`administrators`: DIDs that may book money from outside; nobody named: the organisation of the house alone."""

    administrators: tuple[str, ...] = ()
    placed_within_seconds: float = 0.5
