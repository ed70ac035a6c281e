"""Settings of identity: `DIDYMOS_IDENTITY__...`. Empty lists mean what a house of one organisation needs."""

from didymos_kit.settings import Settings
from pydantic import Field


class IdentitySettings(Settings, section="identity"):
    """`administrators` (DIDs; empty: the organisation of the house) suspend and restore. `organisations` sign for
    sites. `vault_readers`, `deciding`, `credential_keepers`: names of services whose DIDs get data keys, decisions
    about others, or every credential.
    """

    administrators: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    vault_readers: tuple[str, ...] = ("ingestion", "twin-state")
    deciding: tuple[str, ...] = (
        "ingestion",
        "twin-state",
        "training-orchestration",
        "marketplace",
        "ledger",
        "steward",
    )
    credential_keepers: tuple[str, ...] = ("ledger",)
    placed_within_seconds: float = Field(default=0.5, ge=0.0, le=10.0)
    heartbeat_seconds: float = Field(default=0.2, ge=0.05, le=2.0)
