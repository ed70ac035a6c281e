"""`python -m tests.load`: signed traffic into a house that runs, and the verdict of an oracle. tests/load/README.md."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from didymos_cli.card import DEFAULT, read_card
from didymos_cli.client import http_client
from didymos_contracts.errors import Problem
from didymos_did import Did, parse_did

from tests.load.devices import LoadDevice
from tests.load.oracle import Verdict
from tests.load.replay import replayed, subjects
from tests.load.shapes import PROFILE, SHAPES, measured
from tests.load.traffic import Traffic

STORE: Final = "DIDYMOS_POSTGRES_URL"
REPORTED: Final = Path("build/load.json")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--house", type=Path, default=DEFAULT, metavar="CARD", help="of a house on this machine")
    parser.add_argument("--origin", help="of a house elsewhere, instead of a card; needs --org")
    parser.add_argument("--org", help="DID of its operator")
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["D"])
    parser.add_argument("--devices", type=int, default=2, help="of each shape; each has one batch on its way")
    parser.add_argument("--twins", type=int, default=100, help="at most so many of a gateway (G, S)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of sending; a replay ends with its data")
    parser.add_argument("--pace", type=float, default=0.0, metavar="S", help="between the batches of a device")
    parser.add_argument("--replay", metavar="SET", help="a data set instead of a shape: glucose, cgm_shanghai, ...")
    parser.add_argument("--data", type=Path, default=Path("data/glucose"), metavar="FOLDER", help="with the set")
    parser.add_argument("--records", type=int, default=0, help="of the set, from its beginning; 0: all")
    parser.add_argument("--speed", type=float, default=0.0, help="times as fast as it was; 0: as fast as it goes")
    parser.add_argument(
        "--store",
        default=os.environ.get(STORE, ""),
        metavar="URL|FILE",
        help=f"counts stored rows too: PostgreSQL (${STORE}), or db/twin-state.db of an embedded house",
    )
    parser.add_argument("--json", type=Path, default=REPORTED, metavar="FILE")
    return parser.parse_args()  # fmt: skip


def devices_of(asked: argparse.Namespace, org: Did) -> list[LoadDevice]:
    """New twins on every run: what an earlier run sent is not theirs. Raises ValueError, FileNotFoundError."""
    run, found = uuid4().hex[:12], []
    if asked.replay:
        profile, series = subjects(asked.data, asked.replay, asked.records)
        for name, said in sorted(series.items()):
            device = LoadDevice(f"load {run} {name}", org, profile, 1)
            device.measured = replayed(said, device.ids[0], asked.speed)
            found.append(device)
        return found
    for shape in (SHAPES[name].narrowed(asked.twins) for name in asked.shape):
        for number in range(asked.devices):
            device = LoadDevice(f"load {run} {shape.name}{number}", org, PROFILE, shape.twins)
            device.measured = measured(shape, device.ids, device.seed)
            found.append(device)
    return found


async def run(asked: argparse.Namespace) -> dict[str, Any]:
    """What was told and what was found, as one object. Raises Problem, OSError, ValueError."""
    if asked.origin:
        origin, org = asked.origin.rstrip("/"), parse_did(asked.org or "")
    else:
        card = read_card(asked.house)
        origin, org = card.origin, card.org
    async with http_client() as http:
        traffic = Traffic(origin, http, devices_of(asked, org), asked.pace, asked.store)
        await traffic.enrol()
        print(f"load: {len(traffic.devices)} devices are enrolled, and send", file=sys.stderr, flush=True)
        taken = await traffic.send_all(None if asked.replay else asked.seconds)
        return report(asked.replay or "+".join(asked.shape), traffic, taken, await traffic.verdict())


def report(what: str, traffic: Traffic, seconds: float, verdict: Verdict) -> dict[str, Any]:
    counted = traffic.counted
    p50, p99 = np.percentile(np.array(counted.seconds or [np.nan]) * 1000, (50, 99))
    return {
        "traffic": what, "devices": len(traffic.devices), "twins": sum(each.twins for each in traffic.devices),
        "acknowledged": counted.acknowledged, "lost": verdict.lost, "twice": verdict.twice, "wrong": verdict.wrong,
        "strange": verdict.strange, "counts off": verdict.counts_off, "latest off": verdict.latest_off,
        "refused": counted.refused, "batches": counted.batches, "sent again": counted.repeated, "later": counted.later,
        "no answer": counted.resets, "faults": len(counted.faults), "p50 ms": round(float(p50), 2),
        "p99 ms": round(float(p99), 2), "readings/s": round(counted.acknowledged / seconds) if seconds else 0,
        "rows counted": bool(traffic.store), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def table(said: dict[str, Any]) -> str:
    return "\n".join(f"{name:14}{value:>14,}" if isinstance(value, int | float) and not isinstance(value, bool)
                     else f"{name:14}{value!s:>14}" for name, value in said.items())  # fmt: skip


def main() -> int:
    asked = parsed()
    try:
        said = asyncio.run(run(asked))
    except (Problem, OSError, ValueError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(said, indent=1) + "\n")
    print(table(said))
    off = ("lost", "twice", "wrong", "strange", "counts off", "latest off", "faults")
    return int(any(said[name] for name in off))


if __name__ == "__main__":
    sys.exit(main())
