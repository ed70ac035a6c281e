"""A parcel holds what was accepted for one twin, exactly, with its proof. data-path.md 3."""

from dataclasses import replace

import numpy as np
import pytest
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_readings import (
    REFUSED,
    SCORING,
    Flag,
    Op,
    ReadingError,
    block_is_signed,
    decode_parcel,
    normalise,
    open_parcel,
    parcel_contents,
    parse_profile,
    refused_contents,
    seal_parcel,
    seal_refused,
    signed_message,
)
from didymos_testing.readings import (
    DEVICE,
    GLUCOSE_PROFILE,
    KEY,
    NOON_US,
    a_batch,
    a_column,
    a_stream,
    everywhere,
    verified,
)
from hypothesis import given
from hypothesis import strategies as st

OTHER = "did:key:z6MkOtherTwin"


def flipped(body: bytes) -> bytes:
    """Stands for a cipher: its own inverse."""
    return bytes(255 - each for each in body)


def test_a_parcel_per_twin_opens_to_what_was_normalised() -> None:
    columns = (a_column([5.0, 1e9, 6.0], unit="mmol/L"), a_column([1.0, 2.0], twin=OTHER), a_column([90.0]))
    found, _ = normalise(a_batch(*columns), GLUCOSE_PROFILE, NOON_US, everywhere)
    contents = parcel_contents(found)
    assert [content.accepted for content in contents] == [3]  # 1 and 2 mg/dL are out of bounds: no parcel for OTHER
    parcel = seal_parcel(found, contents[0], 7, b"salt" * 4, flipped)
    assert (parcel.device, parcel.number, parcel.digest) == (DEVICE, 1, found.batch.digest)
    assert (parcel.assurance, parcel.key_epoch, parcel.salt) == (pb.ASSURANCE_DEVICE, 7, b"salt" * 4)
    assert (parcel.t_min_us, parcel.t_max_us) == (NOON_US - 600_000_000, NOON_US)
    opened = open_parcel(parcel, flipped)
    assert opened.scoring == SCORING
    first, last = opened.columns
    np.testing.assert_array_equal(first.value, np.asarray(found.blocks[0].values)[[0, 2]])
    assert (first.unit, first.sent.tolist()) == ("mg/dL", [5.0, 6.0])
    assert (first.position.tolist(), first.running().tolist()) == ([0, 2], [0, 2])
    assert (last.running().tolist(), last.value.tolist()) == ([5], [90.0])
    assert first.t_us.tolist() == [NOON_US - 600_000_000, NOON_US]
    assert REFUSED not in first.quality


def test_an_opened_parcel_proves_each_block() -> None:
    found, _ = normalise(
        a_batch(a_column([100.0]), a_column([101.0], twin=OTHER)), GLUCOSE_PROFILE, NOON_US, everywhere
    )
    body = pb.ParcelBody.FromString(parcel_contents(found)[1].body)
    opened = decode_parcel(body.SerializeToString())
    assert KEY.verify(signed_message(opened.header), opened.signature)
    assert block_is_signed(opened.header, body.blocks[0].block, body.blocks[0].leaf, body.blocks[0].path)


def test_every_kind_of_value_is_decoded() -> None:
    profile = parse_profile(
        b"""{"id": "kinds@1", "title": "Kinds", "properties": [{"name": "open", "kind": "bool"},
        {"name": "place", "kind": "point"}, {"name": "note", "kind": "text"}, {"name": "acid", "unit": "mol/L"},
        {"name": "count", "unit": "1"}]}"""
    )
    columns = (
        a_column(np.array([True, False]), prop="open", unit=""),
        a_column(np.array([[8.5, 47.4, 400.0], [8.5, 91.0, 0.0]]), prop="place", unit=""),
        a_column(("a", "b"), prop="note", unit=""),
        a_column([7.0], prop="acid", unit="[pH]"),
        a_column(np.array([2**53 + 1]), prop="count", unit=""),
    )
    found, _ = normalise(a_batch(*columns), profile, NOON_US, everywhere)
    columns_out = {each.property: each for each in decode_parcel(parcel_contents(found)[0].body).columns}
    assert columns_out["open"].value.tolist() == [1, 0]
    assert columns_out["place"].value.tolist() == [[8.5, 47.4, 400.0]]
    assert columns_out["note"].texts == ("a", "b")
    np.testing.assert_allclose(columns_out["acid"].value, [1e-7])
    assert columns_out["acid"].flags.tolist() == [Flag.CURVE]
    assert columns_out["count"].sent.tolist() == [2**53 + 1]


def test_a_refused_text_is_left_out() -> None:
    profile = parse_profile(b'{"id": "t@1", "title": "T", "properties": [{"name": "note", "kind": "text"}]}')
    column = replace(a_column(("old", "new"), prop="note", unit=""), t_us=np.array([NOON_US, NOON_US + 10**9]))
    found, _ = normalise(a_batch(column), profile, NOON_US, everywhere)
    assert decode_parcel(parcel_contents(found)[0].body).columns[0].texts == ("old",)


def test_a_retraction_and_a_shifted_time_come_through() -> None:
    column = replace(a_column([100.0, 101.0]), t_us=np.array([1_000_000, 2_000_000]))
    batch = verified(a_stream().batch_without_clock([column, replace(column, op=Op.RETRACTION)], 3_000_000))
    found, _ = normalise(batch, GLUCOSE_PROFILE, NOON_US, everywhere)
    reading, retraction = decode_parcel(parcel_contents(found)[0].body).columns
    assert reading.t_us.tolist() == retraction.t_us.tolist() == [NOON_US - 2_000_000, NOON_US - 1_000_000]
    assert (retraction.op, len(retraction.value), retraction.completeness) == (Op.RETRACTION, 0, 255)


def test_what_was_refused_is_kept_whole_for_its_twin() -> None:
    batch = a_batch(a_column([100.0, 1e9]), a_column([1.0], prop="unknown"), a_column([1.0], twin=OTHER))
    found, refusals = normalise(
        batch, GLUCOSE_PROFILE, NOON_US, lambda twin, _prop: "reading.not_enrolled" if twin == OTHER else None
    )
    kept = refused_contents(batch, refusals, original=b"as it came")
    assert len(kept) == 1  # what no owner allowed is not stored
    parcel = seal_refused(found, kept[0], 1, b"salt", flipped)
    assert [(each.index, each.code, each.count) for each in parcel.refused] == [
        (1, "reading.out_of_bounds", 1),
        (2, "reading.property_unknown", 1),
    ]
    body = pb.QuarantinedBody.FromString(flipped(parcel.sealed))
    assert [(each.block, each.first) for each in body.blocks] == [(batch.blocks[0].raw, 0), (batch.blocks[1].raw, 2)]
    assert body.original == b"as it came"
    assert all(block_is_signed(body.signed.header, each.block, each.leaf, each.path) for each in body.blocks)
    assert refused_contents(batch, []) == []


@pytest.mark.parametrize("changes", [{"quality": b""}, {"flags": b"\0"}, {"curve": "no curve"}, {"block": b"\xff"}])
def test_a_body_that_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    found, _ = normalise(a_batch(), GLUCOSE_PROFILE, NOON_US, everywhere)
    body = pb.ParcelBody.FromString(parcel_contents(found)[0].body)
    for name, value in changes.items():
        setattr(body.blocks[0], name, value)
    with pytest.raises(ReadingError):
        decode_parcel(body.SerializeToString())


@given(st.binary(max_size=200))
def test_foreign_bytes_raise_nothing_but_a_reading_error(body: bytes) -> None:
    try:
        decode_parcel(body)
    except ReadingError as error:
        assert error.code == "batch.malformed"  # noqa: PT017 - either is right
