"""What is taken out of quarantine is what was refused, to the bit, and what its device signed."""

from dataclasses import replace

import numpy as np
import pytest
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_readings import (
    Column,
    Op,
    ReadingError,
    Refusal,
    decode_refused,
    parse_block,
    refused_contents,
    released_blocks,
    sign_batch,
)
from didymos_testing.readings import KEY, NOON_US, TWIN, a_batch, a_column, an_envelope, verified
from hypothesis import given
from hypothesis import strategies as st

PLACES = np.array([[8.5, 47.4, 400.0], [8.6, 47.5, 401.0], [8.7, 47.6, 402.0]])


def refused(*spans: tuple[int, int]) -> list[Refusal]:
    return [Refusal("reading.out_of_bounds", "outside", index, count) for index, count in spans]


@pytest.mark.parametrize(
    "column",
    [
        a_column([1.0, np.nan, -0.0]),
        a_column(np.array([1, 2, 2**63 - 1])),
        a_column(np.array([1.5, 2.5, 3.5], np.float32)),
        a_column(np.array([True, False, True])),
        a_column(PLACES),
        a_column(("a", "", "\u00fc")),
        replace(a_column(), op=Op.RETRACTION),
    ],
)
def test_readings_of_each_kind_come_back_as_they_were_sent(column: Column) -> None:
    batch = a_batch(a_column([7.0]), column)
    (content,) = refused_contents(batch, refused((2, 2)))
    body = decode_refused(content.body)
    assert KEY.kid == body.kid
    (again,) = released_blocks(body.blocks, [(2, 2)], shift_us=5)
    block, sent = parse_block(again, 0, 0), batch.blocks[1]
    assert (block.twin, block.property, block.unit, block.op) == (TWIN, sent.property, sent.unit, sent.op)
    assert block.times().tolist() == (sent.times()[1:] + 5).tolist()
    if column.op is Op.READING and not isinstance(column.values, tuple):
        assert (block.kind, block.column().tobytes()) == (sent.kind, sent.column()[1:].tobytes())
    if isinstance(column.values, tuple):
        assert block.texts() == column.values[1:]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
def test_nothing_but_the_spans_comes_out(sizes: list[int], draws: st.DataObject) -> None:
    values = np.arange(float(sum(sizes)))
    ends = np.cumsum(sizes)
    batch = a_batch(*[a_column(values[end - size : end]) for size, end in zip(sizes, ends, strict=True)])
    wanted = draws.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))
    spans = [(at, 1) for at in wanted]
    (content,) = refused_contents(batch, refused(*spans))
    found = [
        float(value)
        for raw in released_blocks(decode_refused(content.body).blocks, spans)
        for value in parse_block(raw, 0, 0).column()
    ]
    assert found == [float(at) for at in sorted(wanted)]


def test_a_block_of_odd_ticks_over_a_long_span_is_cut_to_fit() -> None:
    odd = pb.Block(
        twin=TWIN, property="glucose/level", unit="mg/dL", op=pb.OP_READING, t0_us=NOON_US, tick_us=7,
        dt=np.array([0, 2**31 - 1], "<i4").tobytes(), kind=pb.KIND_F64, values=np.array([1.0, 2.0]).tobytes(),
    ).SerializeToString()  # fmt: skip
    batch = verified(sign_batch(an_envelope().header, [odd], KEY))
    (content,) = refused_contents(batch, refused((0, 2)))
    found = [parse_block(raw, 0, 0) for raw in released_blocks(decode_refused(content.body).blocks, [(0, 2)])]
    assert [int(block.times()[0]) - NOON_US for block in found] == [0, 7 * (2**31 - 1)]


def test_content_that_its_device_did_not_sign_is_refused() -> None:
    (content,) = refused_contents(a_batch(a_column([1.0]), a_column([2.0])), refused((0, 1)))
    with pytest.raises(ReadingError, match=r"batch\.malformed"):
        decode_refused(b"\xff")
    at = content.body.index(np.float64(1.0).tobytes())
    with pytest.raises(ReadingError, match=r"batch\.root_mismatch"):
        decode_refused(content.body[:at] + bytes(8) + content.body[at + 8 :])
