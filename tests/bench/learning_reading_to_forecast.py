"""From a reading that is sent to the forecast on its twin, with an LSTM of its own for each of many twins.

`TWINS=10000 RATE=100 SECONDS=60 make bench AREA=learning-serving`. One process on an embedded house: ingestion over
HTTP on loopback, and twin-state with its worker, gate and forecaster. First every twin is created, given a window of
readings, a sealed model of its own and its first forecast. Then one signed batch of one reading after the other is sent
at RATE a second, each of another twin; a reading has arrived when its forecast is stored and heard on
didymos.twin.changed.v1.
"""

import asyncio
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from didymos.identity.v1.identity_events_pb2 import DeviceEnrolled, TwinRegistered
from didymos.training.v1.training_events_pb2 import ModelRegistered
from didymos.training.v1.training_types_pb2 import MODEL_KIND_PERSONAL
from didymos.twin.v1.twin_events_pb2 import TwinForecast
from didymos_contracts.topics import IDENTITY, MODEL, READINGS, TWIN_CHANGED, TWIN_WRITE, Topic
from didymos_did import TwinId
from didymos_ingestion.bootstrap import bootstrap as ingestion
from didymos_ingestion.settings import IngestionSettings
from didymos_kit import log
from didymos_kit.clock import to_us
from didymos_kit.eventlog import Record, Stored, Writer, envelope
from didymos_kit.house import House
from didymos_learning import Scale, demo_spec
from didymos_learning.serving import ServedModel
from didymos_privacy import Recipient, model_info, seal_to
from didymos_readings import Column, DeviceStream, encode_batch
from didymos_testing.did import a_signer
from didymos_testing.house import World, a_house, served
from didymos_testing.twin_world import sealed_parcels
from didymos_twin_state.adapters.protobuf import write_message
from didymos_twin_state.bootstrap import PERSONAL_MODELS, bootstrap
from didymos_twin_state.domain.command import AttachModel, Command, Create
from didymos_twin_state.domain.twin import Model
from didymos_twin_state.settings import TwinStateSettings
from google.protobuf.message import Message

from tests.bench.measure import Measure, measure

BUILD: Final = Path(__file__).resolve().parents[2] / "build"
NAME, PROFILE = "glucose/level", "glucose@1"
PERIOD_US: Final = 300_000_000
WINDOW: Final = 12  # readings that are there before
TASK: Final = "forecast:features/glucose/level:1800s"
SPEC: Final = demo_spec(bytes(32))
SLICE: Final = 500
STAGES: Final = {
    "reading_to_state": "acceptance to state", "apply": "applying a slice",
    "reading_to_forecast": "change to the end of its batch", "forecast_batch": "a batch of forecasts",
}  # fmt: skip
CONNECTIONS: Final = 8
GOAL_SECONDS: Final = 2.0
WARM_SECONDS: Final = 3_600.0
DEFAULTS: Final = (("TWINS", "500"), ("RATE", "50"), ("SECONDS", "10"))


class Person:
    """A twin with its device."""

    def __init__(self, number: int, house: House, end_us: int) -> None:
        self.number, self.owner = number, a_signer(f"bench owner {number % 16}").did
        self.device = a_signer(f"bench device {number}")
        self.twin = TwinId(a_signer(f"bench twin {number}").did)
        self.stream, self.end_us = DeviceStream(self.device, house.org, PROFILE), end_us
        draw = np.random.default_rng(number)
        self.values = 120.0 + np.cumsum(draw.normal(0, 3, WINDOW))

    def window(self) -> Column:
        t_us = self.end_us - PERIOD_US * np.arange(WINDOW - 1, -1, -1, dtype=np.int64)
        return Column(self.twin, NAME, "mg/dL", t_us, self.values)

    def reading(self, now_us: int) -> bytes:
        """A signed batch of the next reading."""
        t_us = np.array([self.end_us + PERIOD_US], np.int64)
        column = Column(self.twin, NAME, "mg/dL", t_us, self.values[-1:] + 1.0)
        return encode_batch(self.stream.batch([column], now_us, backfill=True))


class Heard:
    """When the forecast one period after the window of each twin was heard, and who has a first one."""

    def __init__(self, end_us: int) -> None:
        self._end_us, self.first, self.at = end_us, set[str](), dict[str, float]()

    def apply(self, record: Stored) -> None:
        if envelope.event_type(record.headers) != TwinForecast.DESCRIPTOR.full_name:
            return
        said = TwinForecast.FromString(record.value or b"")
        if said.at_us - said.horizon_us > self._end_us:
            self.at.setdefault(said.twin, time.perf_counter())
        elif said.personal:
            self.first.add(said.twin)

    async def until(self, held: Callable[[], bool], seconds: float, what: str) -> None:
        async with asyncio.timeout(seconds):
            while not held():  # noqa: ASYNC110 - the tail of another loop fills it
                await asyncio.sleep(0.05)
        print(f"{what}: {time.perf_counter() - BEGUN:.0f} s after the begin", flush=True)


BEGUN: Final = time.perf_counter()


def record(house: House, topic: Topic, key: str, said: Message, route: str | None = None) -> Record:
    name = said.DESCRIPTOR.full_name
    headers = envelope.build(envelope.Envelope(str(uuid4()), "didymos://bench", name, house.clock.now()))
    routed = None if route is None else route.encode()
    return Record(topic, key.encode(), said.SerializeToString(), headers, house.clock.now_us() // 1000, routed)


async def append(writer: Writer, records: Sequence[Record]) -> None:
    for begin in range(0, len(records), SLICE):
        await writer.append(records[begin : begin + SLICE])


def identities(house: House, people: Sequence[Person]) -> list[Record]:
    now, found = house.clock.now(), list[Record]()
    for each in people:
        found.append(
            record(
                house, IDENTITY.name, f"twin|{each.twin}", TwinRegistered(twin=each.twin, owner=each.owner, revision=1)
            )
        )
        device = each.device.did
        said = DeviceEnrolled(
            device=device, twin=each.twin, paths=["features/glucose/**"], max_rate=2000, revision=1, profile=PROFILE,
            not_before_us=to_us(now - timedelta(days=1)), until_us=to_us(now + timedelta(days=1)),
            digest=b"\x12\x20" + bytes(32),
        )  # fmt: skip
        found.append(record(house, IDENTITY.name, f"device|{device}|{each.twin}", said))
    return found


def windows(house: House, people: Sequence[Person]) -> list[Record]:
    now_us, found = house.clock.now_us(), list[Record]()
    for each in people:
        sent = each.stream.batch([each.window()], now_us, backfill=True)
        said = sealed_parcels(sent, each.device, house.org, now_us, PROFILE)
        found.append(record(house, READINGS.name, each.twin, said))
    return found


def write(house: House, each: Person, body: Create | AttachModel) -> Record:
    command = Command(uuid4().bytes, each.twin, each.owner, "", house.clock.now_us(), body)
    return record(house, TWIN_WRITE.name, each.twin, write_message(command))


def models(house: House, folder: Path, people: Sequence[Person]) -> list[Record]:
    """Parameters of its own for each, as a site seals them. Files are written plainly: fsync is no subject here."""
    public, found = Recipient(house.keys.secret(PERSONAL_MODELS)).public, list[Record]()
    objects = folder / "files" / "models"
    objects.mkdir(parents=True, exist_ok=True)
    spec, task = SPEC.to_json(), SPEC.model.task
    (objects / sha256(spec).hexdigest()).write_bytes(spec)
    card = {
        "task": {"kind": task.kind, "property": task.prop, "unit": task.unit, "period_s": task.period_s,
                 "input": task.input, "horizon": task.horizon},
        "spec": sha256(spec).hexdigest(), "metrics": {"rmse_personal": 12.0}, "twin": "-",
    }  # fmt: skip
    for each in people:
        params = np.random.default_rng(each.number).normal(0, 0.1, SPEC.model.layout.size).astype(np.float32)
        plain = ServedModel(params, Scale(120.0, 20.0, 3.0, 12.0), 9.0).to_bytes()
        sealed = seal_to(public, plain, model_info("run", each.twin))
        digest = sha256(sealed)
        (objects / digest.hexdigest()).write_bytes(sealed)
        said = ModelRegistered(
            model_id=f"m-{each.number}", kind=MODEL_KIND_PERSONAL, run="run", twin=each.twin, task=TASK,
            params_digest=digest.digest(), card=json.dumps(card).encode(),
        )  # fmt: skip
        found.append(record(house, MODEL.name, each.twin, said))
    return found


class Sender:
    """Signed batches over some connections, at a rate; when each was sent and acknowledged."""

    def __init__(self, port: int, rate: float) -> None:
        self._port, self._rate = port, rate
        self.sent: dict[str, float] = {}
        self.acknowledged: dict[str, float] = {}
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def run(self, given: Sequence[tuple[str, bytes]]) -> None:
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number, (twin, body) in enumerate(given):
                await asyncio.sleep(max(0.0, begun + number / self._rate - time.perf_counter()))
                self.sent[twin] = time.perf_counter()  # before a connection is free: waiting for one counts
                calls.create_task(self._send(twin, body))
        for _ in range(CONNECTIONS):
            (await self._free.get())[1].close()

    async def _send(self, twin: str, body: bytes) -> None:
        reader, writer = await self._free.get()
        head = "POST /ingestion/v1/batches HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.didymos.batch\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        text = await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if not answer.startswith(b"http/1.1 202"):
            raise RuntimeError((answer + text).decode())
        self.acknowledged[twin] = time.perf_counter()
        self._free.put_nowait((reader, writer))


def quantile(seconds: Sequence[float], share: float) -> float:
    return float(np.quantile(np.array(seconds), share))


async def prepared(world: World, folder: Path, people: Sequence[Person], heard: Heard) -> None:
    """Until each twin has its first forecast."""
    house = world.house
    async with house.event_log.writer("bench.setup") as writer:
        await append(writer, identities(house, people))
        await append(writer, [write(house, each, Create(each.owner, PROFILE)) for each in people])
        await append(writer, windows(house, people))
        await append(writer, models(house, folder, people))

        def applied() -> float:
            return house.metrics.sample("didymos_twin_readings_applied_total", outcome="applied") or 0.0

        await heard.until(lambda: applied() >= WINDOW * len(people), WARM_SECONDS, "twins with windows")
        await asyncio.sleep(3.0)  # the last checkpoint: windows are read from history
        attached = [Model(f"m-{each.number}", TASK, personal=True) for each in people]
        await append(
            writer, [write(house, each, AttachModel(model)) for each, model in zip(people, attached, strict=True)]
        )
    await heard.until(lambda: len(heard.first) == len(people), WARM_SECONDS, "models attached, first forecasts")


async def measured(twins: int, rate: float, seconds: float) -> list[Measure]:
    BUILD.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=BUILD)))
        house = await stack.enter_async_context(a_house(folder))
        twin_state = await stack.enter_async_context(bootstrap(TwinStateSettings(), house))
        door = await stack.enter_async_context(ingestion(IngestionSettings(), house))
        world = await stack.enter_async_context(served(house, twin_state, door))
        end_us = house.clock.now_us() - 2 * PERIOD_US
        people, heard = [Person(number, house, end_us) for number in range(twins)], Heard(end_us)
        await stack.enter_async_context(house.event_log.tail(TWIN_CHANGED.name, heard.apply))
        await prepared(world, folder, people, heard)
        chosen = random.Random(7).sample(people, min(twins, int(rate * seconds)))
        given = [(each.twin, each.reading(house.clock.now_us())) for each in chosen]
        before = totals(house)
        sender, cpu, begun = (
            Sender(int(house.origin.rpartition(":")[2]), rate),
            time.process_time(),
            time.perf_counter(),
        )
        await sender.run(given)
        await heard.until(lambda: len(heard.at) == len(chosen), 60.0, "the last forecast")
        busy = (time.process_time() - cpu) / (time.perf_counter() - begun)
        stages = means(before, totals(house))
        packed = house.metrics.sample("didymos_twin_packed_bytes") or 0.0
    return [*lines(twins, sender, heard, busy, packed), *stages]


def totals(house: House) -> dict[str, tuple[float, float]]:
    """Sum and count of the histograms that say where the time goes."""

    def read(name: str, kind: str) -> float:
        return house.metrics.sample(f"didymos_twin_{name}_seconds_{kind}") or 0.0

    return {name: (read(name, "sum"), read(name, "count")) for name in STAGES}


def means(before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> list[Measure]:
    found = []
    for name, said in STAGES.items():
        total, count = (now - then for now, then in zip(after[name], before[name], strict=True))
        found.append(measure(f"{said}, mean", total / max(count, 1.0), "s", against=f"{count:,.0f} times"))
    return found


def lines(twins: int, sender: Sender, heard: Heard, busy: float, packed: float) -> list[Measure]:
    whole = [heard.at[twin] - at for twin, at in sender.sent.items()]
    after = [max(0.0, heard.at[twin] - at) for twin, at in sender.acknowledged.items()]
    rate = len(whole) / (max(sender.sent.values()) - min(sender.sent.values()))
    name, memory = f"{twins:,} twins", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said = (
        f"{len(whole):,} readings at {rate:.0f}/s, {busy:.0%} of a core, {memory:,.0f} MB, packed {packed / 1e6:,.0f}"
    )
    p99 = quantile(after, 0.99)
    return [
        measure(f"{name}: accepted to forecast, p50", quantile(after, 0.5), "s", against=said),
        measure(
            f"{name}: accepted to forecast, p99", p99, "s", against="under 2 s", ratio=GOAL_SECONDS / p99, goal=1.0
        ),
        measure(f"{name}: sent to forecast, p50", quantile(whole, 0.5), "s"),
        measure(f"{name}: sent to forecast, p99", quantile(whole, 0.99), "s"),
    ]


def run() -> list[Measure]:
    log.configure()
    said = {
        name: float(os.environ.get(name, default))
        for name, default in (("TWINS", "500"), ("RATE", "50"), ("SECONDS", "10"))
    }
    return asyncio.run(measured(int(said["TWINS"]), said["RATE"], said["SECONDS"]))
