"""A delivery van: it drives on while there is no network, and is killed by its ignition at any time.

python vehicle.py                               # prints the DID for the owner to enrol
python vehicle.py --twin did:key:z6Mk... --minutes 20
"""

import argparse
import time
from pathlib import Path

import numpy as np
from didymos_device import Column, Device, open_key, read_house

PROFILE = "generic@1"
SECOND_US = 1_000_000


def driven(twin: str, minute: int, begun_us: int) -> list[Column]:
    """One minute of the trip, a reading a second: speed, where it is, what is left in the battery."""
    seconds = np.arange(60, dtype=np.int64) + minute * 60
    times = begun_us + seconds * SECOND_US
    speed = np.round(50 + 20 * np.sin(seconds / 90), 1)
    return [
        Column(twin, "speed", "km/h", times, speed),
        Column(twin, "position/latitude", "deg", times, np.round(52.52 + seconds * 1e-5, 6)),
        Column(twin, "position/longitude", "deg", times, np.round(13.40 + seconds * 1e-5, 6)),
        Column(twin, "battery/charge", "%", times, np.round(90 - seconds / 600, 2)),
    ]


def main() -> None:
    said = argparse.ArgumentParser()
    said.add_argument("--twin", default="")
    said.add_argument("--minutes", type=int, default=20)
    said.add_argument("--house", type=Path, default=Path(".didymos/house.json"))
    said.add_argument("--folder", type=Path, default=Path("vehicle"))
    asked = said.parse_args()
    key = open_key(asked.folder / "key")
    if not asked.twin:
        print(key.did)
        return
    begun_us = time.time_ns() // 1000 - asked.minutes * 60 * SECOND_US
    with Device(key, read_house(asked.house), asked.folder, PROFILE) as device:
        accepted = 0
        for minute in range(asked.minutes):
            device.keep(*driven(asked.twin, minute, begun_us), backfill=True)
            if minute % 5 == 4:  # without a network this takes no time, and what was kept waits on the disk
                accepted += device.send(patience_seconds=0).accepted
        sent = device.send(patience_seconds=60)
    accepted += sent.accepted
    print(f"{accepted} readings taken, {len(sent.refused)} refused, {sent.waiting} batches wait; {sent.token}")


main()
