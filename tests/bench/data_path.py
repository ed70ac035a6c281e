"""Ingest: signed batches of 100 into the SQLite log, against a record, a JSON text and a signature per reading.

Shapes: D one device and twin, 5 blocks of 20; G a gateway with 100 twins of 1; S 100 twins of 5. data-path.md 2 and 17.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from didymos.identity.v1.identity_events_pb2 import DeviceEnrolled
from didymos.identity.v1.identity_service_pb2 import EpochKey, EpochKeysRequest, EpochKeysResponse
from didymos_contracts.topics import IDENTITY, QUARANTINE, READINGS
from didymos_did import Did, TwinId, epoch_of, key_of
from didymos_ingestion.adapters.readings_log import LogOfReadings
from didymos_ingestion.adapters.twin_tails import LifecycleTable, ProfileTable
from didymos_ingestion.adapters.vault import CachedKeys
from didymos_ingestion.application.accept_batch import accept_batch
from didymos_ingestion.application.accept_together import Together
from didymos_ingestion.application.ports import Accepted, Ports
from didymos_ingestion.domain.quota import Buckets
from didymos_kit.clock import EPOCH, SystemClock
from didymos_kit.eventlog import Position, Record, Stored, Writer, envelope
from didymos_kit.eventlog.records import partition_for
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.tails.identity import IdentityTail
from didymos_readings import (
    Assurance,
    Batch,
    Column,
    DeviceStream,
    Envelope,
    Refusal,
    built_in_profiles,
    encode_batch,
    normalise,
    parcel_contents,
    parse_batch,
    verify_batch,
)
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, OPERATOR, a_key
from pydantic import BaseModel

from tests.bench.measure import Measure, measure
from tests.load import shapes
from tests.load.shapes import PROFILE, Shape

BUILD: Final = Path(__file__).resolve().parents[2] / "build"  # a disk: the folder for temporary files may be memory
BATCHES: Final = 128  # of one timed run
IN_FLIGHT: Final = 64  # as many as a stream may have unacknowledged
ROUNDS: Final = 5
HOUR_US: Final = 3_600_000_000


SHAPES: Final = tuple(shapes.SHAPES.values())


def twins_of(shape: Shape) -> list[TwinId]:
    return [TwinId(a_signer(f"bench twin {number}").did) for number in range(shape.twins)]


def columns(shape: Shape, now_us: int) -> list[Column]:
    """Fresh readings a second apart."""
    twins, draw = twins_of(shape), np.random.default_rng(7)
    t_us = now_us - np.arange(shape.readings - 1, -1, -1, dtype=np.int64) * 1_000_000
    return [
        Column(twins[block % shape.twins], f"pump/flow{block % 5}", "L/min", t_us, draw.normal(100, 5, shape.readings))
        for block in range(shape.blocks)
    ]


def bodies(shape: Shape, count: int) -> list[bytes]:
    """What the device sends."""
    now_us = time.time_ns() // 1000
    stream, made = DeviceStream(DEVICE, OPERATOR, PROFILE), columns(shape, now_us)
    return [encode_batch(stream.batch(made, now_us)) for _ in range(count)]


async def ports_for(shape: Shape, writer: Writer) -> Ports:
    """As in the service, with its own tables, keys and enrolments at hand."""
    now_us, identity = time.time_ns() // 1000, IdentityTail(SystemClock())
    for twin in twins_of(shape):
        identity.apply(_enrolled(twin, now_us))
    keys = CachedKeys(_vault, time.monotonic)
    await keys.fetch(twins_of(shape), epoch_of(now_us))
    log = LogOfReadings(writer, "didymos://bench/ingestion")
    return Ports(OPERATOR, identity, LifecycleTable(), ProfileTable(), keys, log, _Unlimited())


def _enrolled(twin: TwinId, now_us: int) -> Stored:
    """DEVICE for all of the twin, an hour before and after."""
    event = DeviceEnrolled(
        device=DEVICE.did, twin=twin, paths=["features/**"], max_rate=100_000, not_before_us=now_us - HOUR_US,
        until_us=now_us + HOUR_US, profile=PROFILE, revision=1,
    )  # fmt: skip
    headers = envelope.build(envelope.Envelope("-", "didymos://bench", "didymos.identity.v1.DeviceEnrolled", EPOCH))
    return Stored(IDENTITY.name, twin.encode(), event.SerializeToString(), headers, 0, 0, 0)


async def _vault(request: EpochKeysRequest) -> EpochKeysResponse:
    found = [a_key(TwinId(Did(each.twin)), each.epoch) for each in request.wanted]
    return EpochKeysResponse(keys=[EpochKey(twin=key.twin, epoch=key.epoch, key=key.secret) for key in found])


class _Unlimited(Buckets):
    """The rate of one device is no subject here."""

    def take(self, device: str, readings: int, rate: int, now: float) -> float:
        super().take(device, 0, rate, now)
        return 0.0


class _Nowhere:
    """A log that only numbers what it is given."""

    def __init__(self) -> None:
        self._next = 0

    async def append(self, records: Sequence[Record]) -> list[Position]:
        self._next += 1
        return [Position(record.topic, partition_for(record, READINGS.partitions), self._next) for record in records]


class Reading(BaseModel):
    """The naive form of one reading, signed by itself."""

    device: str
    twin: str
    property: str
    unit: str
    observed_at_us: int
    value: float
    signature: str


def naive_bodies(shape: Shape, count: int) -> list[bytes]:
    now_us, found = time.time_ns() // 1000, []
    made = columns(shape, now_us)
    for _ in range(count):
        for column in made:
            for at, value in zip(column.t_us.tolist(), np.asarray(column.values).tolist(), strict=True):
                said = {
                    "device": DEVICE.did, "twin": column.twin, "property": column.property, "unit": column.unit,
                    "observed_at_us": at, "value": value,
                }  # fmt: skip
                signature = DEVICE.sign(json.dumps(said).encode()).hex()
                found.append(json.dumps({**said, "signature": signature}).encode())
    return found


async def naive(body: bytes, writer: Writer) -> None:
    await store_naively(Reading.model_validate_json(body), writer)


async def store_naively(reading: Reading, writer: Writer) -> None:
    """Check the signature over its own text, append it as a record."""
    said = reading.model_dump(exclude={"signature"})
    if not DEVICE.public.verify(json.dumps(said).encode(), bytes.fromhex(reading.signature)):
        raise RuntimeError("not signed")
    value = reading.model_dump_json().encode()
    await writer.append([Record(READINGS.name, reading.twin.encode(), value, {}, reading.observed_at_us // 1000)])


async def bare(body: bytes, writer: Writer) -> None:
    """Verify, parse, append the bytes as they are: the least that any signed ingest does."""
    batch = verified(parse_batch(body))
    await writer.append([Record(READINGS.name, batch.blocks[0].twin.encode(), body, {}, 0)])


def verified(signed: Envelope) -> Batch:
    batch = verify_batch(signed, key_of(signed.kid), OPERATOR)
    if isinstance(batch, Refusal):
        raise TypeError(batch)
    return batch


async def all_of(work: Callable[[bytes], Awaitable[Any]], given: Sequence[bytes]) -> None:
    """With IN_FLIGHT at once, as a stream has them."""
    waiting = iter(given)

    async def worker() -> None:
        for body in waiting:
            await work(body)

    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(worker())


@dataclass(slots=True)
class Taken:
    """Seconds of one kind of run: on the clock and of CPU."""

    wall: list[float]
    cpu: list[float]


async def in_turn(*works: Callable[[], Awaitable[None]]) -> list[Taken]:
    """Each in turn, ROUNDS times after a warm-up: a drift of the machine meets all."""
    taken = [Taken([], []) for _ in works]
    for number in range(ROUNDS + 1):
        for work, into in zip(works, taken, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            await work()
            if number:
                into.wall.append(time.perf_counter() - wall)
                into.cpu.append(time.process_time() - cpu)
    return taken


async def shape_lines(shape: Shape, folder: Path) -> list[Measure]:
    given = bodies(shape, BATCHES)
    singles = naive_bodies(shape, max(1, 1_000 // shape.size))
    async with SqliteLog(folder / f"{shape.name}.db") as log, log.writer("bench") as writer:
        await log.ensure([READINGS, QUARANTINE])
        together = Together(await ports_for(shape, writer), SystemClock())
        ours, least, one = await in_turn(
            lambda: all_of(lambda body: together.accept(parse_batch(body)), given),
            lambda: all_of(lambda body: bare(body, writer), given),
            lambda: all_of(lambda body: naive(body, writer), singles),
        )
    readings, naively = BATCHES * shape.size, len(singles)

    def line(kind: str, goal: float | None) -> list[Measure]:
        """Beside the naive form without HTTP; the one that has it is in `data_path_http`."""
        per = {name: median(getattr(each, kind)) for name, each in (("ours", ours), ("bare", least), ("naive", one))}
        rate, bare_rate, naive_rate = readings / per["ours"], readings / per["bare"], naively / per["naive"]
        name = f"ingest {shape.name}, {'CPU' if kind == 'cpu' else 'wall'}"
        return [
            measure(name, rate, "readings/s", against=f"a record a reading {naive_rate:,.0f}", ratio=rate / naive_rate),
            measure(name, rate, "readings/s", against=f"bare {bare_rate:,.0f}", ratio=rate / bare_rate, goal=goal),
        ]

    return line("cpu", 0.6 if shape.name == "D" else None) + line("wall", None)


def stage_lines(shape: Shape) -> list[Measure]:
    """Microseconds of CPU per batch, stage by stage, and the share of each in the sum."""
    body = bodies(shape, 1)[0]
    signed = parse_batch(body)
    key, profile, now_us = key_of(signed.kid), built_in_profiles()[PROFILE], time.time_ns() // 1000
    batch = verified(signed)
    normalised, _ = normalise(batch, profile, now_us, lambda *_: None, Assurance.DEVICE)
    parcels = parcel_contents(normalised)
    keys = {str(twin): a_key(twin, now_us // (24 * HOUR_US)) for twin in twins_of(shape)}
    accepted = Accepted(normalised, parcels, (), keys, batch.digest)
    log, ports, clock = (
        LogOfReadings(_Nowhere(), "didymos://bench"),
        asyncio.run(ports_for(shape, _Nowhere())),
        SystemClock(),
    )
    message = b"didymos/batch/v1\0" + bytes(40)
    signature = DEVICE.sign(message)
    stages: dict[str, Callable[[], object]] = {
        "envelope": lambda: parse_batch(body),
        "signature": lambda: key.verify(message, signature),
        "root and blocks": lambda: verify_batch(signed, _Trusting(), OPERATOR),
        "normalise and score": lambda: normalise(batch, profile, now_us, lambda *_: None, Assurance.DEVICE),
        "parcels": lambda: parcel_contents(normalised),
        "seal and records": lambda: _driven(log.append(accepted)),
    }
    whole = _each_us(lambda: _driven(accept_batch(parse_batch(body), ports, clock)))
    costs = {name: _each_us(work) for name, work in stages.items()}
    costs["judging, and colder caches"] = max(0.0, whole - sum(costs.values()))
    return [
        measure(f"stage {shape.name}: {name}", cost, "us/batch", against=f"of {whole:,.0f}", ratio=cost / whole)
        for name, cost in costs.items()
    ]


class _Trusting:
    """Stands for a key that was asked already."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        return bool(message and signature)


def _driven(work: Any) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits")


def _each_us(work: Callable[[], object]) -> float:
    """Median of 9 runs of 50 calls."""
    found = []
    for _ in range(9):
        begun = time.process_time_ns()
        for _ in range(50):
            work()
        found.append((time.process_time_ns() - begun) / 50_000)
    return median(found)


def run() -> list[Measure]:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        lines = [line for shape in SHAPES for line in asyncio.run(shape_lines(shape, Path(folder)))]
    return lines + [line for shape in SHAPES[:2] for line in stage_lines(shape)]
