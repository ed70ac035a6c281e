"""What vouches for a reading goes with it, from its parcel to its reader."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from didymos_twin_state.adapters.protobuf import reported_message
from didymos_twin_state.domain.reading import Column, OpenParcel, merged
from didymos_twin_state.domain.twin import Cell
from didymos_twin_state.entrypoints.shapes import reported_json

TIMES = np.array([1])
COLUMN = Column("a", "1", TIMES, np.array([2.0]), np.array([90], np.uint8), np.array([0], np.uint8), TIMES)
PARCEL = OpenParcel("did:key:t", "did:key:d", 1, 1, b"d", (COLUMN,), 0)


@pytest.mark.parametrize(
    ("number", "name"), [(1, "device"), (2, "http"), (3, "token"), (4, "gateway"), (0, "unspecified")]
)
def test_a_reader_sees_what_vouches_for_a_value(number: int, name: str) -> None:
    cell = merged({}, replace(PARCEL, assurance=number))["a"]
    assert reported_json(reported_message("a", cell))["assurance"] == name


def test_state_from_before_says_nothing_of_it() -> None:
    cell = merged({}, replace(PARCEL, assurance=3))["a"]
    older = msgspec.msgpack.encode(msgspec.to_builtins(cell)[:-1])
    assert msgspec.msgpack.decode(older, type=Cell) == msgspec.structs.replace(cell, assurance=0)
    later = msgspec.structs.replace(cell, assurance=99)
    assert reported_json(reported_message("a", later))["assurance"] == "unspecified"
