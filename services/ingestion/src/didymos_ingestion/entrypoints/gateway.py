"""The MQTT 5 gateway: what a broker brings is taken as if it came by REST. data-path.md 4, ADR 110.

The broker is told that a message is ours only when the log has its readings. Where the log is away the connection is
dropped: the broker keeps what was not acknowledged and sends it again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from didymos_contracts.errors import Problem
from didymos_contracts.errors.ingestion import BATCH_DEVICE_UNKNOWN, BATCH_MEDIA_UNSUPPORTED, BATCH_TOO_LARGE
from didymos_contracts.errors.platform import PLATFORM_INTERNAL, QUOTA_EXCEEDED
from didymos_contracts.metrics import INGESTION_MQTT_CONNECTED, INGESTION_MQTT_MESSAGES_TOTAL
from didymos_did import DidError, parse_did
from didymos_kit import log
from didymos_kit.errors import problem_of, retry_after, to_json
from didymos_kit.service import Stopping
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import DECODERS, Assurance, Envelope, parse_batch, parse_batch_json

from didymos_ingestion.adapters.mqtt import UNACKNOWLEDGED, Broker, Line, Message, connected
from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.accept_pack import Pack
from didymos_ingestion.domain.vouched import ANSWERS, SIGNED, Vouched
from didymos_ingestion.entrypoints.intake import Intake

BATCH: Final = "application/vnd.didymos.batch"
BATCH_JSON: Final = "application/vnd.didymos.batch+json"
SENML: Final = "application/senml+json"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
PAYLOAD_BYTES: Final = 3 << 19
PAUSE_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0
OUTCOMES: Final = ("taken", "refused", "returned", "dropped")
_encode: Final = msgspec.json.Encoder().encode
_PARSERS: Final[dict[str, tuple[str, Callable[[bytes], Envelope]]]] = {
    "": ("protobuf", parse_batch),
    BATCH: ("protobuf", parse_batch),
    BATCH_JSON: ("json", parse_batch_json),
}


class Gateway:
    """One connection at a time, anew whenever it ended. `run` it as a loop."""

    def __init__(self, broker: Broker, share: str, vouched: Vouched, intake: Intake, metrics: Metrics) -> None:
        self._broker, self._vouched, self._intake = broker, vouched, intake
        prefix = f"$share/{share}/" if share else ""
        self._topics = [prefix + topic for topic in (f"{SIGNED}/+", *vouched.filters)]
        self._counts = {name: metrics.counter(INGESTION_MQTT_MESSAGES_TOTAL, outcome=name) for name in OUTCOMES}
        self._up = metrics.gauge(INGESTION_MQTT_CONNECTED)

    async def run(self, stopping: Stopping) -> None:
        pause = PAUSE_SECONDS
        while not stopping:
            try:
                async with connected(self._broker, self._topics, self._counts["dropped"].inc) as line:
                    pause = PAUSE_SECONDS
                    self._up.set(1)
                    pause = await self._serve(line, stopping)
            except (OSError, TimeoutError) as error:
                log.get().warning("ingestion.mqtt_away", error=str(error) or type(error).__name__)
                pause = min(2 * pause, LONGEST_SECONDS)
            finally:
                self._up.set(0)
            await stopping.within(pause)

    async def _serve(self, line: Line, stopping: Stopping) -> float:
        """Until the connection ends, or has to; seconds to wait then."""
        hand = _Hand(line, asyncio.Queue(), asyncio.Semaphore(UNACKNOWLEDGED))
        reading = asyncio.create_task(self._read(hand), name="mqtt reading")
        stopped = asyncio.create_task(stopping.wait(), name="mqtt stopping")
        answering = asyncio.create_task(self._answer(hand), name="mqtt answering")
        tasks = (reading, stopped, answering)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():  # what is in hand is finished first: a drain repeats nothing
                reading.cancel()
                hand.judged.put_nowait(None)
            return await answering
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await hand.emptied()

    async def _read(self, hand: "_Hand") -> None:
        while (message := await hand.line.next()) is not None:
            await hand.room.acquire()
            hand.judged.put_nowait((message, asyncio.create_task(judged(message, self._vouched, self._intake))))

    async def _answer(self, hand: "_Hand") -> float:
        """Acknowledge in the order of arrival, until one cannot be kept now."""
        while (found := await hand.judged.get()) is not None:
            message, task = found
            verdict = await task
            if isinstance(verdict, Problem):
                self._counts["returned"].inc()
                seconds = retry_after(verdict) or PAUSE_SECONDS
                log.get().warning("ingestion.mqtt_returned", code=verdict.row.code, seconds=seconds)
                return float(seconds)
            self._counts["refused" if verdict.refused else "taken"].inc()
            if message.answer_to.startswith(ANSWERS) and not any(mark in message.answer_to for mark in "+#"):
                hand.line.answer(message, verdict.body, PROBLEM if verdict.refused else JSON)
            hand.line.ack(message)
            hand.room.release()
        return PAUSE_SECONDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sender is told."""

    body: bytes
    refused: bool


@dataclass(frozen=True, slots=True)
class _Hand:
    """What one connection has in hand, in the order of arrival; None: no more will come."""

    line: Line
    judged: "asyncio.Queue[tuple[Message, asyncio.Task[Verdict | Problem]] | None]"
    room: asyncio.Semaphore  # the broker keeps to it for QoS 1; for QoS 0 nobody else does

    async def emptied(self) -> None:
        """Whoever is judged now will be again."""
        while not self.judged.empty():
            left = self.judged.get_nowait()
            if left is not None:
                left[1].cancel()
                await asyncio.wait([left[1]])


def _taken(taken: Taken) -> bytes:
    refused = [
        {"index": each.index, "count": each.count, "code": each.code, "detail": each.detail} for each in taken.refused
    ]
    return _encode({"batch": taken.digest.hex(), "accepted": taken.accepted, "refused": refused, "token": taken.token})


async def judged(message: Message, vouched: Vouched, intake: Intake) -> Verdict | Problem:
    """The answer, or why there is none yet: log, vault or tail are away, and the message has to come again."""
    try:
        return Verdict(_taken(await _take(message, vouched, intake)), refused=False)
    except Exception as error:
        problem = problem_of(error)
        if problem.row.retry == "later" and problem.row not in (QUOTA_EXCEEDED, PLATFORM_INTERNAL):
            return problem
        return Verdict(_encode(to_json(problem, tracing.trace_id())), refused=True)


async def _take(message: Message, vouched: Vouched, intake: Intake) -> Taken:
    """Raises as `Intake.signed` and `Intake.pack`, and BATCH_MEDIA_UNSUPPORTED, BATCH_DEVICE_UNKNOWN."""
    body, media = message.payload, message.media.partition(";")[0].strip().lower()
    if len(body) > PAYLOAD_BYTES:
        raise BATCH_TOO_LARGE.problem(limit=PAYLOAD_BYTES)
    if message.topic.startswith(f"{SIGNED}/"):
        if media not in _PARSERS:
            raise BATCH_MEDIA_UNSUPPORTED.problem(accepted=[BATCH, BATCH_JSON])
        kind, parse = _PARSERS[media]
        return await intake.signed(lambda: parse(body), len(body), kind)
    media = media or SENML
    if media not in DECODERS:
        raise BATCH_MEDIA_UNSUPPORTED.problem(accepted=list(DECODERS))
    try:
        device = parse_did(vouched.device(message.topic) or "")
    except DidError as error:
        raise BATCH_DEVICE_UNKNOWN.problem(detail="the topic names no device") from error
    came = str(intake.clock.now_us()).encode()
    return await intake.pack(Pack(media, body, device, 0, 0, Assurance.GATEWAY, apart=came))
