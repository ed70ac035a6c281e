"""`python -m didymos_steward`: this service as a process of its own."""

from didymos_kit import process

from didymos_steward.bootstrap import bootstrap
from didymos_steward.settings import StewardSettings

if __name__ == "__main__":
    raise SystemExit(process.main("steward", StewardSettings, bootstrap))
