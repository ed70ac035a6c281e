"""Bytes put together by hand are those of protobuf itself."""

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_readings import Column, Normalised, encode_parcel, normalise, parcel_contents, paths_of, shared_fields
from didymos_readings.batch import message_of
from didymos_readings.parcels import ParcelContent
from didymos_readings.quality import SCORING
from didymos_readings.units import Curve
from didymos_readings.wire import Numbers, delimited
from didymos_testing.readings import GENERIC_PROFILE, NOON_US, a_batch, a_column, everywhere
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 2**63 - 1) | st.integers(0, 300) | st.sampled_from([2**7, 2**14, 2**15, 2**21, 2**28, 2**32])
COUNTS = Numbers(b"\x60")


def annotated(found: Normalised, twin: str) -> list[pb.Annotated]:
    paths = paths_of(found.batch.envelope.blocks)
    said = []
    for each in found.blocks:
        conversion = each.plan.conversion
        line = (1.0, 0.0, conversion.name) if isinstance(conversion, Curve) else (conversion.a, conversion.b, "")
        if each.block.twin == twin:
            said.append(
                pb.Annotated(
                    block=each.block.raw,
                    leaf=each.block.leaf,
                    path=paths[each.block.leaf],
                    a=line[0],
                    b=line[1],
                    curve=line[2],
                    unit=each.plan.unit,
                    quality=each.quality.tobytes(),
                    flags=each.flags.tobytes(),
                    completeness=each.completeness,
                    shift_us=found.shift_us,
                    first=each.block.first,
                )
            )
    return said


@given(NUMBERS)
def test_a_number_is_written_as_protobuf_writes_it(value: int) -> None:
    assert COUNTS[value] == pb.Parcel(t_max_us=value).SerializeToString()
    assert COUNTS[value] == COUNTS[value]


@given(st.binary(max_size=20_000))
def test_bytes_are_written_as_protobuf_writes_them(content: bytes) -> None:
    assert delimited(b"\x4a", content) == pb.Parcel(sealed=content).SerializeToString()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 300)), min_size=1, max_size=12), st.binary(max_size=300))
def test_the_body_of_a_parcel_is_the_message(shape: list[tuple[int, int]], original: bytes) -> None:
    columns = [
        Column(f"did:key:z{twin}", "a/b", "L/min", NOON_US - np.arange(size)[::-1] * 1000, np.arange(size) * 1.0)
        for twin, size in shape
    ]
    found, _ = normalise(a_batch(*columns), GENERIC_PROFILE, NOON_US, everywhere)
    for content in parcel_contents(found, original):
        signed = message_of(found.batch.envelope, blocks=False)
        body = pb.ParcelBody(signed=signed, blocks=annotated(found, content.twin), original=original, scoring=SCORING)
        assert content.body == body.SerializeToString()


@given(NUMBERS, NUMBERS, st.integers(0, 2**32 - 1), st.binary(max_size=600))
def test_a_sealed_parcel_is_the_message(first: int, last: int, epoch: int, sealed: bytes) -> None:
    found, _ = normalise(a_batch(a_column([1.0])), GENERIC_PROFILE, NOON_US, everywhere)
    content, header = ParcelContent("did:key:zTwin", b"", 7, first, last), found.batch.header
    said = pb.Parcel(
        twin=content.twin,
        device=header.device,
        stream=header.stream,
        number=header.number,
        digest=found.batch.digest,
        assurance=pb.ASSURANCE_DEVICE,
        key_epoch=epoch,
        salt=b"s" * 16,
        sealed=sealed,
        count=7,
        t_min_us=first,
        t_max_us=last,
    )
    encoded = encode_parcel(content, shared_fields(found), epoch, b"s" * 16, sealed)
    assert pb.Parcel.FromString(encoded) == said
    assert encoded == said.SerializeToString() or not sealed
