"""`python -m didymos_ingestion`."""

from didymos_kit import process

from didymos_ingestion.bootstrap import bootstrap
from didymos_ingestion.settings import IngestionSettings

raise SystemExit(process.main("ingestion", IngestionSettings, bootstrap))
