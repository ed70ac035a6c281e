"""Settings of this service: DIDYMOS_TRAINING_ORCHESTRATION__*."""

from pathlib import Path
from typing import Literal

from didymos_kit.settings import Section, Settings
from pydantic import Field


class PaceSettings(Section):
    """Seconds that a round waits: for training in the first round, then for each stage of the masks."""

    first_training_seconds: float = Field(default=600.0, gt=0)
    gather_seconds: float = Field(default=120.0, gt=0)  # for sites before a round, and for their return after a restart
    setup_seconds: float = Field(default=60.0, gt=0)
    mask_seconds: float = Field(default=120.0, gt=0)
    confirm_seconds: float = Field(default=60.0, gt=0)
    unmask_seconds: float = Field(default=60.0, gt=0)
    personal_seconds: float = Field(default=1800.0, gt=0)


class SimulationSettings(Section):
    """Simulated clients: series in a CSV or a folder of them. Without `source` runs are for sites only."""

    source: Path | None = None
    engine: Literal["ray", "inline"] = "ray"
    workers: int = Field(default=2, ge=1, le=1024)
    clients_per_chunk: int = Field(default=10, ge=1)
    ray_address: str | None = None
    gpus_per_worker: float = Field(default=0.0, ge=0, le=1)  # share of a CUDA device; 0: workers train on the CPU


class TrainingSettings(Settings, section="training-orchestration"):
    """`organisations`: DIDs whose sites may attend; none: the one of this house."""

    role: Literal["all", "api", "worker"] = "all"
    organisations: tuple[str, ...] = ()
    validation: Path | None = None  # the file that scored runs commit to by its SHA-256
    object_limit_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    poll_seconds: float = Field(default=0.5, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)
    placed_within_seconds: float = Field(default=0.5, gt=0)
    pace: PaceSettings = PaceSettings()
    simulation: SimulationSettings = SimulationSettings()
