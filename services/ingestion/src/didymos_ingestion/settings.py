"""Settings of ingestion: `DIDYMOS_INGESTION__SHED_BYTES` and so on."""

from typing import Literal

from didymos_kit.settings import Section, Settings
from pydantic import Field, SecretStr

from didymos_ingestion.domain.quota import SHED_BYTES


class MqttSettings(Section):
    """The MQTT 5 gateway. Processes differ in `client`: the broker keeps a session for each name."""

    url: SecretStr = SecretStr("")  # mqtt[s]://[user:password@]host[:port]; empty: no gateway
    client: str = "didymos-ingestion"
    share: str = Field(default="didymos", pattern=r"^[A-Za-z0-9_\-]{0,64}$")  # of the subscription; empty: one process
    vouched: dict[str, str] = Field(default_factory=dict)  # topic: DID of its device, or "" if its level {device} is it


class IngestionSettings(Settings, section="ingestion"):
    """`shed_bytes`: of bodies on their way to the log, above which more are refused for a while.

    `role`: `api` answers REST and gRPC, `mqtt` is the gateway alone; `all` is both, if there is a broker.
    """

    role: Literal["all", "api", "mqtt"] = "all"
    shed_bytes: int = SHED_BYTES
    mqtt: MqttSettings = MqttSettings()
