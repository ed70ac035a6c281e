"""The dashboards of the house."""

from typing import Final

from telemetry.dashboards.data_path import DATA_PATH
from telemetry.dashboards.identity import IDENTITY
from telemetry.dashboards.kafka import KAFKA
from telemetry.dashboards.learning import LEARNING
from telemetry.dashboards.market_ledger import MARKET_LEDGER
from telemetry.dashboards.overview import OVERVIEW
from telemetry.dashboards.panels import Dashboard

DASHBOARDS: Final[tuple[Dashboard, ...]] = (OVERVIEW, DATA_PATH, LEARNING, IDENTITY, MARKET_LEDGER, KAFKA)

__all__ = ["DASHBOARDS"]
