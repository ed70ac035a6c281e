"""What a stream shows beside changes: forecasts as they are made, and own models that drift took away."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos.twin.v1.twin_events_pb2 import ForecastBody, ModelWithdrawn, TwinForecast
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_did import Action, TwinId
from didymos_kit.eventlog import Stored
from didymos_kit.eventlog.envelope import event_type

from didymos_twin_state.adapters.changes import OpenForecast
from didymos_twin_state.application.make_forecast import forecast_task
from didymos_twin_state.application.permits import Permits, Reader, feature

WITHDRAWN: Final = ModelWithdrawn.DESCRIPTOR.full_name


@dataclass(frozen=True, slots=True)
class Foretold:
    """A forecast. `id`: after what the reader goes on."""

    id: str
    said: TwinForecast
    body: ForecastBody


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An own model serves no more: the shared one does."""

    id: str
    said: ModelWithdrawn


Beside: TypeAlias = Foretold | Withdrawn


def withdrawn_of(record: Stored) -> ModelWithdrawn | None:
    """None for another event."""
    if event_type(record.headers) != WITHDRAWN:
        return None
    return ModelWithdrawn.FromString(record.value or b"")


def foretold(
    opened: OpenForecast, reader: Reader, watched: Collection[TwinId], permits: Permits, place: str
) -> Foretold | None:
    """For whoever may watch the property and derive this forecast. Raises CONSENT_STALE."""
    said, twin = opened.said, TwinId(opened.said.twin)
    if opened.body is None or twin not in watched:
        return None
    path, task = feature(said.property), forecast_task(said.property, said.horizon_us)
    for action, asked in ((Action.SUBSCRIBE, None), (Action.DERIVE, task)):
        found = permits.decision(reader, action, twin, path, asked)
        if found.reason.value == "stale_consent":
            raise CONSENT_STALE.problem(twin=twin)
        if not found.allowed:
            return None
    return Foretold(place, said, opened.body)


def taken(
    said: ModelWithdrawn, reader: Reader, watched: Collection[TwinId], permits: Permits, place: str
) -> Withdrawn | None:
    """For the owner, who alone is told which models serve a twin."""
    twin = TwinId(said.twin)
    return Withdrawn(place, said) if twin in watched and permits.is_owner(reader, twin) else None
