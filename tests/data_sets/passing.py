"""One body through ingestion, and what came of it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from didymos_contracts.errors import Problem
from didymos_did import Did, TwinId
from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_ingestion.application.accept_events import accept_events
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_ingestion.domain.quota import Buckets
from didymos_readings import (
    DecodeContext,
    DecodedColumn,
    Decoder,
    Flag,
    Header,
    Profile,
    Refusal,
    Row,
    blocks_of,
    parse_event,
    sign_batch,
)
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, OPERATOR, AnEnrolment, IntakeWorld, opened

HOUSE: Final = a_signer("ingestion service")
FLAGS: Final = (Flag.SOFT, Flag.RATE, Flag.OUTLIER, Flag.FLAT)
Key = tuple[str, str, int]  # twin, property, time


class Unlimited(Buckets):
    """Data of years in a minute."""

    def take(self, device: str, readings: int, rate: int, now: float) -> float:
        return 0.0


@dataclass
class Passed:
    """Canonical values by (twin, property, time), and counts of refusals by code and of flags."""

    values: dict[Key, Any] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    poor: int = 0  # quality below 50
    flat: Counter[str] = field(default_factory=Counter)  # readings in runs of equal values, by twin


def world_of(profile: str, names: Iterable[str]) -> IntakeWorld:
    """Each name is a twin of its own, and its only alias."""
    world = IntakeWorld(buckets=Unlimited())
    twins = {name: TwinId(Did(f"did:key:zTwin{at}")) for at, name in enumerate(sorted(set(names)))}
    return world.enrol(*(
        AnEnrolment(twin, ("features/**",), 10**9, profile=profile, aliases=(name,)) for name, twin in twins.items()
    ))  # fmt: skip


async def pack(world: IntakeWorld, media: str, body: bytes) -> Passed:
    return await _passed(
        world, accept_pack(Pack(media, body, DEVICE.did, 0, 0, backfill=True), HOUSE, world.ports, world.clock)
    )


async def event(world: IntakeWorld, media: str, body: bytes) -> Passed:
    """A pack in a CloudEvent."""
    said = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": media}
    found = parse_event(json.dumps({**said, "data": json.loads(body)}).encode())
    around = Pack("", b"", DEVICE.did, 0, 0, backfill=True)
    return await _passed(world, accept_events([found], around, HOUSE, world.ports, world.clock))


async def batch(world: IntakeWorld, rows: list[Row], profile: Profile) -> Passed:
    """The same rows as a batch that the device signs itself."""
    header = Header(
        device=DEVICE.did, audience=OPERATOR, stream=1, number=1, sent_at_us=world.clock.now_us(), uptime_us=0,
        block_count=0, root=b"", previous=b"", backfill=True, profile=profile.id,
    )  # fmt: skip
    envelope = sign_batch(header, blocks_of(rows).blocks, DEVICE)
    return await _passed(world, accept_batch(envelope, world.ports, world.clock))


async def _passed(world: IntakeWorld, accepting: Any) -> Passed:
    world.writer.records.clear()
    found = Passed()
    try:
        taken: Taken = await accepting
        found.refused.update(_codes(taken.refused))
    except Problem as problem:
        found.refused.update(each["code"] for each in problem.values.get("refused", [{"code": problem.row.code}]))
    for twin, column in _columns(world):
        values = column.texts or column.value.tolist()
        for at_us, value in zip(column.t_us.tolist(), values, strict=True):
            found.values[twin, column.property, at_us] = value
        found.accepted += len(values)
        found.poor += int(np.count_nonzero(column.quality < 50))
        found.flat[twin] += int(np.count_nonzero(column.flags & np.uint8(Flag.FLAT)))
        for flag in FLAGS:
            found.flags[str(flag.name)] += int(np.count_nonzero(column.flags & np.uint8(flag)))
    return found


def _codes(refused: Iterable[Refusal]) -> Iterator[str]:
    for each in refused:
        yield from [each.code] * max(1, each.count)


def _columns(world: IntakeWorld) -> Iterator[tuple[str, DecodedColumn]]:
    for event in world.writer.accepted():
        for parcel in event.parcels:
            for column in opened(parcel).columns:
                yield parcel.twin, column


def names_in(body: bytes, profile: Profile, decode: Decoder) -> tuple[set[str], list[Row]]:
    """What a file calls its twins, and its rows under these names."""
    seen: set[str] = set()

    def note(name: str) -> str:
        seen.add(name)
        return name or "-"

    rows = [each for each in decode(body, DecodeContext(0, lambda _: None, note, profile)) if isinstance(each, Row)]
    return seen, rows
