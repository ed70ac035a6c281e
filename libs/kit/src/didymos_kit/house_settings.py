"""Settings that all processes of a house share: where its back ends are, and where it is reached itself."""

from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from pydantic import Field, SecretStr

from didymos_kit import log
from didymos_kit.keyring import ROOT_BYTES, KeyRing
from didymos_kit.settings import Settings
from didymos_kit.telemetry import tracing

_NAME: Final = "DIDYMOS_SECRET"


class HouseSettings(Settings):
    """`DIDYMOS_KAFKA_URL` and so on. `secret`: 32 bytes in hexadecimal, the same for all processes of the house.

    A password that is given beside a URL (as a file: `DIDYMOS_POSTGRES_PASSWORD_FILE`) is the one that is used.
    """

    kafka_url: str = "kafka://127.0.0.1:9092"
    kafka_replicas: int = Field(default=1, ge=1)  # of topics that are made here; two of them must have a record
    postgres_url: SecretStr = SecretStr("postgresql://127.0.0.1:5432/didymos")
    postgres_password: SecretStr = SecretStr("")
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_password: SecretStr = SecretStr("")
    files: Path = Path(".didymos/files")
    origin: str = "http://127.0.0.1:8080"
    secret: SecretStr = SecretStr("")
    member: str | None = None  # a stable name keeps the partitions over a restart
    host: str = "127.0.0.1"
    rest_port: int = 8080
    grpc_port: int = 50051
    admin_port: int = 8081
    peers: dict[str, str] = Field(
        default_factory=dict
    )  # service to host:port, as JSON; others are at host and grpc_port
    trace_ratio: float = 0.01  # of the traces that begin here; a caller's own flag decides its own
    otlp_endpoint: str = ""  # where spans go; empty: nowhere
    log_level: str = "INFO"
    migrate: bool = True  # bring schema and topics to head at the start; off where jobs do it: then wait for them

    drain_seconds: float = Field(default=3.0, ge=0, le=25)  # from unready to the first refused call: endpoints move

    def observe(self, process: str) -> None:
        """Set up logs and traces of this process."""
        log.configure(level=self.log_level)
        exporter = tracing.otlp_exporter(self.otlp_endpoint) if self.otlp_endpoint else None
        tracing.configure(process, sample_ratio=self.trace_ratio, exporter=exporter)

    def postgres(self) -> str:
        """The URL with its password."""
        return _with_password(self.postgres_url.get_secret_value(), self.postgres_password.get_secret_value())

    def redis(self) -> str:
        """The URL with its password."""
        return _with_password(self.redis_url, self.redis_password.get_secret_value())

    def keyring(self) -> KeyRing:
        """Raises PLATFORM_INVALID_SETTING."""
        try:
            return KeyRing(bytes.fromhex(self.secret.get_secret_value()))
        except ValueError:
            detail = f"{ROOT_BYTES} bytes in hexadecimal are needed"
            raise PLATFORM_INVALID_SETTING.problem(name=_NAME, detail=detail) from None


def _with_password(url: str, password: str) -> str:
    if not password:
        return url
    parts = urlsplit(url)
    account, _, place = parts.netloc.rpartition("@")
    name = account.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{place}"))
