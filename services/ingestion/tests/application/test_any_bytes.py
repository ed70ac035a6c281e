"""Whatever bytes come in, the answer is readings taken, a refusal, or a problem that the catalogue knows."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_INTERNAL
from didymos_ingestion.application.accept_batch import accept_batch
from didymos_ingestion.application.accept_pack import Pack, accept_pack
from didymos_kit.errors import problem_of
from didymos_readings import (
    Envelope,
    ReadingError,
    encode_batch,
    encode_batch_json,
    parse_batch,
    parse_batch_json,
    sign_batch,
)
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DEVICE, IntakeWorld, a_signed_batch
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = encode_batch(a_signed_batch())
GOOD_JSON = encode_batch_json(a_signed_batch())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["bn", "bt", "bu", "bv", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x_", "y"]
RECORDS = st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), max_size=5)


def answer(accept: Callable[[IntakeWorld], Any]) -> None:
    """Runs it in a fresh world; whatever is raised must be a row of the catalogue, and never `platform.internal`."""
    world = IntakeWorld()
    try:
        taken = asyncio.run(accept(world))
        assert taken.accepted > 0
    except (Problem, ReadingError) as refused:
        known = problem_of(refused).row is not PLATFORM_INTERNAL
        assert known, refused  # noqa: PT017 - either outcome is fine


def take(envelope: Envelope) -> Callable[[IntakeWorld], Any]:
    return lambda world: accept_batch(envelope, world.ports, world.clock)


def parse_and_take(parse: Callable[[bytes], Envelope], body: bytes) -> None:
    async def accept(world: IntakeWorld) -> Any:
        return await accept_batch(parse(body), world.ports, world.clock)

    answer(accept)


def damaged(good: bytes) -> st.SearchStrategy[bytes]:
    """`good` with a stretch replaced, or cut."""
    places = st.integers(0, len(good))
    return st.builds(
        lambda at, cut, put: good[:at] + put + good[at + cut :], places, st.integers(0, 8), st.binary(max_size=8)
    )


@given(st.binary(max_size=200) | damaged(GOOD))
@settings(max_examples=300)
def test_any_bytes_as_a_batch(body: bytes) -> None:
    parse_and_take(parse_batch, body)


@given(st.binary(max_size=200) | damaged(GOOD_JSON) | JSON.map(lambda said: json.dumps(said).encode()))
@settings(max_examples=300)
def test_any_bytes_as_the_json_mirror(body: bytes) -> None:
    parse_and_take(parse_batch_json, body)


@given(st.binary(max_size=200) | (RECORDS | JSON).map(lambda said: json.dumps(said).encode()))
@settings(max_examples=300)
def test_any_bytes_as_senml(body: bytes) -> None:
    async def accept(world: IntakeWorld) -> Any:
        pack = Pack("application/senml+json", body, DEVICE.did, 0, 0)
        return await accept_pack(pack, a_signer("ingestion service"), world.ports, world.clock)

    answer(accept)


BLOCKS = st.builds(
    lambda twin, prop, unit, op, t0, tick, dt, kind, values, ends: pb.Block(
        twin=twin, property=prop, unit=unit, op=op, t0_us=t0, tick_us=tick, dt=dt, kind=kind, values=values, ends=ends
    ).SerializeToString(),
    st.sampled_from(["", "did:key:zX", a_signer("twin").did]),
    st.sampled_from(["", "glucose/level", "insulin/bolus", "?"]),
    st.sampled_from(["", "mg/dL", "mmol/L", "[pH]", "10*99", "(((((", "\u00b5g/L"]),
    st.integers(0, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 1000, 1001, 2**32 - 1]),
    st.binary(max_size=24),
    st.integers(0, 7),
    st.binary(max_size=48),
    st.binary(max_size=16),
)


@given(st.lists(BLOCKS | st.binary(max_size=40), min_size=1, max_size=5))
@settings(max_examples=500)
def test_any_blocks_that_an_enrolled_device_signed(blocks: list[bytes]) -> None:
    answer(take(sign_batch(a_signed_batch().header, blocks, DEVICE)))
