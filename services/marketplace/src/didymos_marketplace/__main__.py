"""`python -m didymos_marketplace`: the service as a process."""

from didymos_kit import process

from didymos_marketplace.bootstrap import bootstrap
from didymos_marketplace.settings import MarketplaceSettings

if __name__ == "__main__":
    raise SystemExit(process.main("marketplace", MarketplaceSettings, bootstrap))
