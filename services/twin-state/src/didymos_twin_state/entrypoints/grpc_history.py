"""gRPC of the past: ranges and aggregates of one property."""

from dataclasses import dataclass
from typing import Final, cast

import grpc
import numpy as np
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos.twin.v1.twin_service_pb2_grpc import HistoryServicer, add_HistoryServicer_to_server
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_did import Did, TwinId

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.read_aggregate import AggregateQuery, read_aggregate
from didymos_twin_state.application.read_history import END_US, Past, RangeQuery, read_range
from didymos_twin_state.domain.aggregate import FILLS, FUNCTIONS, Fill
from didymos_twin_state.entrypoints.columns import MolarMasses, in_unit, range_message, zone_of
from didymos_twin_state.entrypoints.grpc import Context, reader
from didymos_twin_state.entrypoints.waiting import Arrivals

MOST: Final = 100_000
SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class HistoryRpc(HistoryServicer):
    permits: Permits
    past: Past
    arrivals: Arrivals
    molar: MolarMasses

    def register(self, server: grpc.aio.Server) -> None:
        add_HistoryServicer_to_server(self, server)

    async def Range(self, request: messages.RangeRequest, _context: Context) -> messages.RangeResponse:  # noqa: N802
        """Numbers only; `to_us` 0 is no end, `limit` 0 the largest. Raises PLATFORM_INVALID_FIELD for texts."""
        who = reader(request.purpose)
        await self.arrivals.durable(request.consistency_token or None)
        limit = min(request.limit or MOST, MOST)
        query = RangeQuery(
            TwinId(Did(request.twin)), request.property, request.from_us, request.to_us or END_US, limit,
            request.min_quality, request.device,
        )  # fmt: skip
        found, _ = await read_range(query, who, self.permits, self.past)
        molar = await self.molar.of(request.twin, request.property, request.unit)
        return range_message(in_unit(found, request.unit or None, molar))

    async def Aggregate(  # noqa: N802
        self, request: messages.AggregateRequest, _context: Context
    ) -> messages.AggregateResponse:
        """Raises PLATFORM_INVALID_FIELD, QUERY_TOO_WIDE and what `read_aggregate` raises."""
        who, fill = reader(request.purpose), request.fill or "none"
        if request.fn not in FUNCTIONS or fill not in FILLS or request.step_us < SECOND_US:
            raise PLATFORM_INVALID_FIELD.problem(
                pointer="/fn", detail="a function, a fill and a step of a second or more"
            )
        await self.arrivals.durable(request.consistency_token or None)
        molar = await self.molar.of(request.twin, request.property, request.unit)
        query = AggregateQuery(
            TwinId(Did(request.twin)), request.property, request.from_us, request.to_us, request.step_us, request.fn,
            cast("Fill", fill), zone_of(request.zone or None), request.unit or None, molar, request.min_quality,
            request.device,
        )  # fmt: skip
        found = await read_aggregate(query, who, self.permits, self.past)
        values = np.array([np.nan if value is None else value for value in found.buckets.values], "<f8")
        return messages.AggregateResponse(
            begins_us=found.buckets.begins_us.astype("<i8").tobytes(), values=values.tobytes(),
            unit="" if request.fn == "count" else found.unit, rollups=found.rollups,
        )  # fmt: skip
