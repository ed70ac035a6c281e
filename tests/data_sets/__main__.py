"""`python -m tests.data_sets FOLDER [--records N] [NAME ...]`: the eight data sets through ingestion, as two tables.

The first counts what was accepted, refused and flagged. The second, over the first records, how many readings came out
equal to those of the CSV file (to 1e-12, same time) by each other format, of those that the format can say. A data set
whose files cannot be read here is said to be left out.
"""

import argparse
import asyncio
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from didymos_did import Did, TwinId
from didymos_readings import BATCH_TWINS, Row, built_in_profiles
from didymos_readings.csv_rows import decode_csv
from didymos_testing.ingestion import DEVICE, IntakeWorld

from tests.data_sets.encodings import ENCODERS
from tests.data_sets.passing import Passed, batch, event, names_in, pack, world_of
from tests.data_sets.sources import SOURCES, Source, files

PACK_READINGS = 4000  # of one pack: all of its refusals are listed
COMPARED = 2000  # readings
EQUAL = 1e-12
FLATTEST = 5  # twins that are named


async def pass_set(source: Source, folder: Path, records: int) -> tuple[str, str]:
    """A line of each table."""
    profile = built_in_profiles()[source.profile]
    if profile.csv is None:
        raise ValueError(f"{profile.id} maps no CSV")
    most = PACK_READINGS // len(profile.csv.values)
    total, compared = Passed(), ""
    for body in files(source, folder, records, most):
        names, rows = names_in(body, profile, decode_csv)
        world = world_of(profile.id, names)
        found = await pack(world, "text/csv", body)
        total.accepted += found.accepted
        total.poor += found.poor
        total.refused += found.refused
        total.flags += found.flags
        aliases = {each.twin: each.aliases[0] for each in world.identity.enrolled[DEVICE.did]}
        total.flat.update({aliases[TwinId(Did(twin))]: count for twin, count in found.flat.items()})
        if not compared:
            compared = await compare(world, rows[:COMPARED], found, source)
    flags = "  ".join(f"{name} {count:,}" for name, count in sorted(total.flags.items()) if count)
    refused = "  ".join(f"{code.removeprefix('reading.')} {count:,}" for code, count in sorted(total.refused.items()))
    most_flat = [f"{name} {count:,}" for name, count in total.flat.most_common(FLATTEST) if count]
    if most_flat:
        flags += f" (flat: {', '.join(most_flat)})"
    return f"{source.name:17} {total.accepted:>10,}  {total.poor:>8,}  {refused or '-'} | {flags or '-'}", compared


async def compare(world: IntakeWorld, rows: list[Row], by_csv: Passed, source: Source) -> str:
    profile = built_in_profiles()[source.profile]
    twins = {name: each.twin for each in world.identity.enrolments(next(iter(world.identity.enrolled)))
             for name in each.aliases}  # fmt: skip
    own = [replace(row, twin=twins[row.twin]) for row in rows]
    first = set(sorted({row.twin for row in own})[:BATCH_TWINS])
    own = [row for row in own if row.twin in first and (row.twin, row.property, row.observed_at_us) in by_csv.values]
    told = [f"{source.name:17} native {score(await batch(world, own, profile), by_csv)}"]
    for name, (media, encode) in ENCODERS.items():
        body = encode(own, profile)
        if body is None:
            told.append(f"{name} -")
            continue
        told.append(f"{name} {score(await pack(world, media, body), by_csv)}")
        if name == "ngsi_ld":
            told.append(f"cloudevents {score(await event(world, media, body), by_csv)}")
    return "  ".join(told)


def score(found: Passed, by_csv: Passed) -> str:
    equal = sum(_same(value, by_csv.values.get(key)) for key, value in found.values.items())
    return f"{equal}/{len(found.values)}"


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= EQUAL * max(abs(one), abs(other))
    return one == other


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.data_sets")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="else all")
    parser.add_argument("--records", type=int, default=0, help="of each, from its beginning; 0: all")
    asked = parser.parse_args()
    print("data set            accepted      poor  refused | flagged")
    lines, left_out = [], Counter[str]()
    for source in SOURCES:
        if asked.names and source.name not in asked.names:
            continue
        try:
            lines.append(asyncio.run(pass_set(source, asked.folder, asked.records)))
        except (ModuleNotFoundError, FileNotFoundError) as error:
            left_out[f"{source.name}: {error}"] += 1
            continue
        print(lines[-1][0], flush=True)
    print("\nequal to the CSV file, of those that came in")
    for _, compared in lines:
        print(compared)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
