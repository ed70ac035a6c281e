"""What both surfaces do around the use case: shed, count, trace. data-path.md 5 and 7."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, TypeVar

from didymos_contracts.errors import Problem, catalogue_row
from didymos_contracts.errors.platform import PLATFORM_OVERLOADED
from didymos_contracts.metrics import (
    INGESTION_ACCEPT_SECONDS,
    INGESTION_BATCH_BYTES,
    INGESTION_BATCHES_TOTAL,
    INGESTION_IN_FLIGHT_BYTES,
    INGESTION_READINGS_TOTAL,
)
from didymos_did import Signer
from didymos_kit.clock import Clock
from didymos_kit.errors import problem_of
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import CLOUDEVENTS, Envelope, Event, ReadingError
from didymos_readings import FORMATS as PACKS

from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_ingestion.application.accept_events import accept_events
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_ingestion.application.accept_together import Together
from didymos_ingestion.application.ports import Ports
from didymos_ingestion.domain.quota import Load

FORMATS: Final = ("protobuf", "json", *sorted(set(PACKS.values())))
Parsed = TypeVar("Parsed")
OUTCOMES: Final = ("accepted", "refused", "shed")


class Meters:
    """The metrics of ingestion, bound once."""

    def __init__(self, metrics: Metrics) -> None:
        self.readings = {
            outcome: metrics.counter(INGESTION_READINGS_TOTAL, outcome=outcome) for outcome in ("accepted", "refused")
        }
        self.batches = {
            (outcome, kind): metrics.counter(INGESTION_BATCHES_TOTAL, outcome=outcome, format=kind)
            for outcome in OUTCOMES
            for kind in FORMATS
        }
        self.seconds = metrics.histogram(INGESTION_ACCEPT_SECONDS)
        self.size = metrics.histogram(INGESTION_BATCH_BYTES)
        self.in_flight = metrics.gauge(INGESTION_IN_FLIGHT_BYTES)


@dataclass(frozen=True, slots=True)
class Intake:
    """The way in, for REST and gRPC alike. `signer` signs the headers of packs that come without a signature."""

    ports: Ports
    clock: Clock
    signer: Signer
    load: Load
    meters: Meters
    together: Together = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "together", Together(self.ports, self.clock))

    def shed(self, size: int) -> None:
        """Before anything is parsed or read. Raises PLATFORM_OVERLOADED."""
        seconds = self.load.wait_seconds(size, self.clock.monotonic())
        if seconds:
            raise PLATFORM_OVERLOADED.problem(detail="the log is behind", retry_after_seconds=seconds)

    async def signed(self, parse: Callable[[], Envelope], size: int, kind: str) -> Taken:
        """A signed batch in one of its forms. Raises as `accept_batch`, and BATCH_MALFORMED, BATCH_TOO_LARGE.

        Of a sampled trace it is accepted by itself, so that its record tells of the trace.
        """

        async def accept() -> Taken:
            envelope = _parsed(parse)
            if tracing.current_is_sampled():
                return await accept_batch(envelope, self.ports, self.clock)
            return await self.together.accept(envelope)

        return await self._counted(accept, size, kind)

    async def pack(self, pack: Pack) -> Taken:
        """A pack of a foreign format, of a sender who is proved. Raises as `accept_pack`."""

        async def accept() -> Taken:
            return await accept_pack(pack, self.signer, self.ports, self.clock)

        return await self._counted(accept, len(pack.body), PACKS[pack.media])

    async def events(self, events: Callable[[], Sequence[Event]], pack: Pack) -> Taken:
        """CloudEvents, each a pack of its own; `pack` says who sent them. Raises as `accept_events`."""

        async def accept() -> Taken:
            return await accept_events(_parsed(events), pack, self.signer, self.ports, self.clock)

        return await self._counted(accept, len(pack.body), PACKS[CLOUDEVENTS])

    async def _counted(self, accept: Callable[[], Awaitable[Taken]], size: int, kind: str) -> Taken:
        begun, outcome = perf_counter(), "refused"
        self.meters.size.observe(size)
        try:
            self.shed(size)
            self.load.enter(size)
            self.meters.in_flight.set(self.load.in_flight)
            try:
                taken = await _traced(accept, size)
            finally:
                self.load.leave(size, self.clock.monotonic())
                self.meters.in_flight.set(self.load.in_flight)
        except Exception as error:
            if problem_of(error).row.retry == "later":
                outcome = "shed"
            raise
        else:
            outcome = "accepted"
            self.meters.readings["accepted"].inc(taken.accepted)
            if taken.refused:
                self.meters.readings["refused"].inc(sum(max(1, each.count) for each in taken.refused))
            return taken
        finally:
            self.meters.batches[outcome, kind].inc()
            self.meters.seconds.observe(perf_counter() - begun)


async def _traced(accept: Callable[[], Awaitable[Taken]], size: int) -> Taken:
    """In a span of its own where the trace is sampled: for all others that would be a tenth of the work."""
    if not tracing.current_is_sampled():
        return await accept()
    with tracing.span("ingestion.accept_batch", size=size):
        return await accept()


def _parsed(parse: Callable[[], Parsed]) -> Parsed:
    try:
        return parse()
    except ReadingError as error:
        raise problem_of_reading(error) from error


def problem_of_reading(error: ReadingError) -> Problem:
    return catalogue_row(error.code).problem(detail=error.detail, **error.values)
