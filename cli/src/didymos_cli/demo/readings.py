"""Devices send what they measured, in signed batches, and owners count what arrived in their twins."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from didymos_readings import Column, DeviceStream
from didymos_readings.batch import Envelope

from didymos_cli.demo.cast import HELD_BACK, Person
from didymos_cli.demo.onboarding import LEVEL, PROFILE
from didymos_cli.demo.stage import Stage, each
from didymos_cli.device import Sent, send_all

BATCH: Final = 100  # readings: what a sensor gathers in eight hours


@dataclass
class Devices:
    """The stream of each device, by twin: numbers go on where they stopped."""

    stage: Stage
    streams: dict[str, DeviceStream]

    @classmethod
    def of(cls, stage: Stage) -> "Devices":
        org = stage.card.org
        return cls(stage, {person.twin: DeviceStream(person.device, org, PROFILE) for person in stage.cast.people})

    def batches(self, person: Person, rows: slice, size: int = BATCH) -> Iterator[tuple[Envelope, int]]:
        """Signed batches of these readings, at most `size` in each, with their number."""
        times, levels = person.times_us[rows], person.levels[rows]
        for first in range(0, len(times), size):
            part = slice(first, first + size)
            column = Column(person.twin, LEVEL, "mg/dL", times[part], np.asarray(levels[part], np.float64))
            for envelope in self.streams[person.twin].batches([column], time.time_ns() // 1000, backfill=True):
                yield envelope, _count(envelope)

    async def send(self, person: Person, rows: slice, size: int = BATCH) -> Sent:
        stage = self.stage
        seen = stage.client(person.owner).seen
        return await send_all(stage.http, stage.card.origin, self.batches(person, rows, size), seen)


def _count(envelope: Envelope) -> int:
    from didymos_readings import parse_block

    return sum(parse_block(block, 0, 0).size for block in envelope.blocks)


def total(parts: Sequence[Sent]) -> Sent:
    return Sent(
        sum(part.sent for part in parts), sum(part.accepted for part in parts), sum(part.refused for part in parts),
        sum(part.batches for part in parts),
    )  # fmt: skip


async def send_past(devices: Devices) -> Sent:
    """All but the last hours of everybody."""
    stage = devices.stage
    sent = total(await each(stage.cast.people, lambda person: devices.send(person, slice(0, -HELD_BACK))))
    stage.say(f"{sent.sent:,} readings went out in {sent.batches} signed batches; {sent.accepted:,} were accepted")
    return sent


async def count_applied(stage: Stage) -> int:
    """Readings in the history of all twins, as their owners count them: each exactly once."""

    async def count(person: Person) -> int:
        asked: dict[str, Any] = {
            "property": LEVEL, "step": "P1D", "fn": "count", "from": int(person.times_us[0]),
            "to": int(person.times_us[-1]) + 1,
        }  # fmt: skip
        path = f"/twin-state/v1/twins/{person.twin}/aggregate"
        said: dict[str, Any] = (await stage.client(person.owner).call("GET", path, params=asked)).json()
        return round(float(sum(said["v"])))

    return sum(await each(stage.cast.people, count))
