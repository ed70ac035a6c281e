"""Settings of ingestion: `DIDYMOS_INGESTION__SHED_BYTES` and so on."""

from didymos_kit.settings import Settings

from didymos_ingestion.domain.quota import SHED_BYTES


class IngestionSettings(Settings, section="ingestion"):
    """`shed_bytes`: of bodies on their way to the log, above which more are refused for a while."""

    shed_bytes: int = SHED_BYTES
