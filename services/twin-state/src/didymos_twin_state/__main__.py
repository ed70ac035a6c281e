"""`python -m didymos_twin_state`: this service as a process of its own."""

from didymos_kit import process

from didymos_twin_state.bootstrap import bootstrap
from didymos_twin_state.settings import TwinStateSettings

raise SystemExit(process.main("twin-state", TwinStateSettings, bootstrap))
