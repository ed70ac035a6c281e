"""A batch is taken only whole, signed, and as its limits say. data-path.md 3, 5 and 7."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_readings import (
    Column,
    Op,
    ReadingError,
    Refusal,
    encode_batch,
    encode_batch_json,
    encode_block,
    parse_batch,
    parse_batch_json,
    parse_block,
    sign_batch,
    verify_batch,
)
from didymos_testing.readings import KEY, NOON_US, OPERATOR, DeviceKey, a_batch, a_column, a_stream, an_envelope
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray


def code_of(found: object) -> str:
    assert isinstance(found, Refusal)
    return found.code


def a_block(**changes: object) -> bytes:
    """A valid block of two F64 readings, changed."""
    said = pb.Block.FromString(encode_block(a_column([1.0, 2.0])))
    for name, value in changes.items():
        setattr(said, name, value)
    return said.SerializeToString()


def test_a_batch_comes_back_as_it_was_sent() -> None:
    columns = (a_column([100.0, 110.5, -3.25]), a_column([1.0], prop="meal/carbohydrates", unit="g"))
    envelope = an_envelope(*columns)
    batch = verify_batch(parse_batch(encode_batch(envelope)), KEY, OPERATOR)
    assert not isinstance(batch, Refusal)
    assert (batch.digest, batch.count) == (envelope.digest, 4)
    assert [block.first for block in batch.blocks] == [0, 3]
    for block, column in zip(batch.blocks, columns, strict=True):
        assert (block.twin, block.property, block.unit) == (column.twin, column.property, column.unit)
        np.testing.assert_array_equal(block.times(), column.t_us)
        np.testing.assert_array_equal(block.column(), column.values)


def test_every_kind_of_value_survives() -> None:
    t_us = np.array([NOON_US, NOON_US + 1], np.int64)
    kinds: list[NDArray[Any]] = [
        np.array([1.5, 2.5], np.float32),
        np.array([2**62 + 1, -5], np.int64),
        np.array([True, False]),
        np.array([[8.5, 47.4, 400.0], [-180.0, 90.0, 0.0]]),
    ]
    for values in kinds:
        block = parse_block(encode_block(Column("t", "p", "", t_us, values)), 0, 0)
        np.testing.assert_array_equal(block.column(), values)
    block = parse_block(encode_block(Column("t", "p", "", t_us, ("", "grüezi"))), 0, 0)
    assert block.texts() == ("", "grüezi")


def test_microseconds_survive() -> None:
    t_us = np.array([NOON_US, NOON_US - 7, NOON_US + 2_000_001], np.int64)
    block = parse_block(encode_block(Column("t", "p", "", t_us, np.zeros(3))), 0, 0)
    np.testing.assert_array_equal(block.times(), t_us)


def test_another_key_does_not_sign_for_the_device() -> None:
    assert code_of(verify_batch(an_envelope(), DeviceKey(), OPERATOR)) == "batch.signature_invalid"


def test_a_kid_of_another_did_is_refused() -> None:
    envelope = an_envelope()._replace(kid="did:key:z6MkOther#z6MkOther")
    assert code_of(verify_batch(envelope, KEY, OPERATOR)) == "batch.key_unknown"


def test_a_batch_for_another_operator_is_refused() -> None:
    assert code_of(verify_batch(an_envelope(), KEY, "did:web:other.example")) == "batch.audience_wrong"


def test_a_swapped_block_is_refused() -> None:
    envelope = an_envelope(a_column([1.0]), a_column([2.0]))
    swapped = envelope._replace(blocks=envelope.blocks[::-1])
    assert code_of(verify_batch(swapped, KEY, OPERATOR)) == "batch.root_mismatch"


def test_a_changed_header_is_refused() -> None:
    envelope = parse_batch(encode_batch(an_envelope()))
    said = pb.BatchHeader.FromString(envelope.header_bytes)
    said.number += 1
    signed = pb.SignedBatch(
        header=said.SerializeToString(), blocks=envelope.blocks, signature=envelope.signature, kid=KEY.kid
    )
    assert code_of(verify_batch(parse_batch(signed.SerializeToString()), KEY, OPERATOR)) == "batch.signature_invalid"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 2}, "batch.version_unknown"),
        ({"device": "mailto:me"}, "batch.malformed"),
        ({"audience": ""}, "batch.malformed"),
        ({"profile": "glucose"}, "batch.malformed"),
        ({"root": b"short"}, "batch.malformed"),
        ({"previous": b"short"}, "batch.malformed"),
        ({"sent_at_us": -1}, "batch.malformed"),
        ({"sent_at_us": 0, "uptime_us": 0}, "batch.malformed"),
        ({"uptime_us": 1 << 62}, "batch.malformed"),
        ({"block_count": 2}, "batch.malformed"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(changes: dict[str, object], code: str) -> None:
    envelope = an_envelope()
    said = pb.BatchHeader.FromString(envelope.header_bytes)
    for name, value in changes.items():
        setattr(said, name, value)
    with pytest.raises(ReadingError) as raised:
        parse_batch(pb.SignedBatch(header=said.SerializeToString(), blocks=envelope.blocks).SerializeToString())
    assert raised.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"op": pb.OP_UNSPECIFIED},
        {"kind": pb.KIND_UNSPECIFIED},
        {"kind": 77},
        {"kind": pb.KIND_F32},
        {"kind": pb.KIND_BOOL, "values": b"\1\2"},
        {"tick_us": 0},
        {"tick_us": 1001},
        {"dt": b""},
        {"dt": b"\0\0\0"},
        {"dt": b"\0\0\0\0"},
        {"values": b"\0" * 15},
        {"ends": b"\0\0\0\0"},
        {"twin": ""},
        {"property": "p" * 257},
        {"unit": "u" * 257},
        {"op": pb.OP_RETRACTION},
        {"kind": pb.KIND_TEXT, "values": b"ab", "ends": b"\2\0\0\0\1\0\0\0"},
        {"kind": pb.KIND_TEXT, "values": b"ab", "ends": b"\1\0\0\0\1\0\0\0"},
        {"kind": pb.KIND_TEXT, "values": b"a\xff", "ends": b"\1\0\0\0\2\0\0\0"},
        {"kind": pb.KIND_TEXT, "values": b"a" * 1026, "ends": b"\1\0\0\0\2\4\0\0"},
    ],
)
def test_a_block_whose_columns_do_not_fit_is_refused(changes: dict[str, object]) -> None:
    raw = a_block(**changes)
    with pytest.raises(ReadingError):
        parse_block(raw, 0, 0)
    signed = sign_batch(an_envelope().header, [raw], KEY)
    assert code_of(verify_batch(signed, KEY, OPERATOR)) == "batch.malformed"


def test_a_block_holds_1024_readings_and_no_more() -> None:
    t_us = NOON_US + np.arange(1025, dtype=np.int64) * 1000
    block = encode_block(Column("t", "p", "", t_us[:1024], np.zeros(1024)))
    assert parse_block(block, 0, 0).size == 1024
    with pytest.raises(ReadingError):
        encode_block(Column("t", "p", "", t_us, np.zeros(1025)))


def test_the_limits_of_a_batch_hold() -> None:
    header = an_envelope().header
    full = encode_block(a_column(np.zeros(1000), period_s=1))
    assert code_of(verify_batch(sign_batch(header, [full] * 11, KEY), KEY, OPERATOR)) == "batch.too_large"
    twins = [encode_block(a_column([1.0], twin=f"did:key:z{i}")) for i in range(257)]
    assert code_of(verify_batch(sign_batch(header, twins, KEY), KEY, OPERATOR)) == "batch.too_large"
    for body in (encode_batch(sign_batch(header, [twins[0]] * 1025, KEY)), b"\0" * ((1 << 20) + 1)):
        with pytest.raises(ReadingError) as raised:
            parse_batch(body)
        assert raised.value.code == "batch.too_large"


def test_a_retraction_names_times_and_no_values() -> None:
    block = parse_block(encode_block(replace(a_column([1.0, 2.0]), op=Op.RETRACTION)), 0, 0)
    assert (block.op, block.size, block.values) == (Op.RETRACTION, 2, b"")


def test_the_json_mirror_is_the_same_batch() -> None:
    envelope = an_envelope()
    mirrored = encode_batch_json(envelope)
    assert set(json.loads(mirrored)) == {"header", "blocks", "signature", "kid"}
    assert parse_batch_json(mirrored) == envelope


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"\xff",
        b'{"header": "!"}',
        b'{"header": 5}',
        b'{"kid": "a", "kid": "b"}',
        b'{"unknown": 1}',
        b'{"blocks": [null]}',
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b'{"kid": NaN}',
        b" " * (1 << 21),
    ],
)
def test_json_that_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(ReadingError):
        parse_batch_json(body)


@given(st.binary(max_size=300))
def test_foreign_bytes_raise_nothing_but_a_reading_error(body: bytes) -> None:
    for decode in (parse_batch, parse_batch_json, lambda raw: parse_block(raw, 0, 0)):
        try:
            decode(body)
        except ReadingError:
            continue


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_never_taken(at: int, value: int) -> None:
    body = bytearray(encode_batch(an_envelope()))
    at %= len(body)
    if body[at] == value:
        return
    body[at] = value
    try:
        envelope = parse_batch(bytes(body))
    except ReadingError:
        return
    found = verify_batch(envelope, KEY, OPERATOR)
    # Only bytes outside signature and root may change nothing: the fragment of the kid, or an equal encoding.
    assert isinstance(found, Refusal) or found.envelope.header_bytes == an_envelope().header_bytes


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 7))
def test_a_hostile_block_in_a_signed_batch_is_a_refusal(noise: bytes, tick: int, kind: int, op: int) -> None:
    block = pb.Block(twin="t", property="p", tick_us=tick, dt=noise[:40], values=noise[40:120], ends=noise[120:])
    block.kind, block.op = kind, op  # type: ignore[assignment]
    signed = sign_batch(an_envelope().header, [block.SerializeToString()], KEY)
    found = verify_batch(signed, KEY, OPERATOR)
    assert not isinstance(found, Refusal) or found.code == "batch.malformed"


def test_a_stream_numbers_and_chains_its_batches() -> None:
    stream = a_stream(number=7)
    first, second = (stream.batch([a_column()], NOON_US) for _ in range(2))
    assert (first.header.number, second.header.number, stream.number) == (7, 8, 9)
    assert (first.header.previous, second.header.previous) == (b"", first.digest)


def test_a_stream_splits_what_does_not_fit_and_loses_nothing() -> None:
    values = np.arange(25_000, dtype=np.float64)
    column = a_column(values, period_s=1)
    texts = a_column(tuple("x" * 1000 for _ in range(1500)), prop="note", unit="")
    found: list[float] = []
    count = 0
    for number, envelope in enumerate(a_stream().batches([column, texts], NOON_US), start=1):
        assert envelope.header.number == number
        batch = verify_batch(parse_batch(encode_batch(envelope)), KEY, OPERATOR)
        assert not isinstance(batch, Refusal)
        for block in batch.blocks:
            if block.property == "note":
                count += len(block.texts())
            else:
                found += block.column().tolist()
    assert (found, count) == (values.tolist(), 1500)


@given(st.lists(st.integers(-(2**55), 2**55), min_size=1, max_size=20))
def test_any_times_are_cut_into_blocks_that_hold_them(times: list[int]) -> None:
    column = Column("t", "p", "", np.array(times, np.int64), np.arange(len(times), dtype=np.float64))
    envelope = a_stream().batch([column], NOON_US)
    found = [parse_block(raw, leaf, 0).times().tolist() for leaf, raw in enumerate(envelope.blocks)]
    assert [time for block in found for time in block] == times


def test_values_of_an_unknown_type_are_not_sent() -> None:
    with pytest.raises(ReadingError) as raised:
        encode_block(a_column(np.array([1j])))
    assert raised.value.code == "reading.kind_mismatch"


def test_a_batch_of_one_is_a_batch() -> None:
    assert a_batch(a_column([1.0])).count == 1
