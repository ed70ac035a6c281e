"""A metric of the registry `telemetry/metrics.yaml`."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

MetricKind: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric. Labels are closed lists: every label has the values it may take. `buckets`: upper bounds."""

    name: str
    kind: MetricKind
    owner: str
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    buckets: tuple[float, ...] = ()
