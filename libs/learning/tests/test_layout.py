"""Layouts: slots at cache lines, one digest, and no vector of another length."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from didymos_learning import Layout, LearningError, Slot, layout_of
from didymos_learning.layout import ALIGNMENT
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

SHAPES = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), min_size=1, max_size=6)


@given(SHAPES)
def test_slots_start_at_cache_lines_and_never_overlap(shapes: list[tuple[int, ...]]) -> None:
    layout = layout_of([(f"p{index}", shape) for index, shape in enumerate(shapes)])
    end = 0
    for slot in layout.slots:
        assert slot.offset % ALIGNMENT == 0
        assert slot.offset >= end
        end = slot.offset + slot.size
    assert end <= layout.size < end + ALIGNMENT


def test_a_slot_is_a_view_in_its_shape() -> None:
    layout = layout_of([("a", (2, 3)), ("b", (4,))])
    flat = np.zeros(layout.size, dtype=np.float32)
    layout.view(flat, layout.slot("b"))[:] = 7.0
    assert flat[16:20].tolist() == [7.0] * 4
    assert layout.view(flat, layout.slot("a")).shape == (2, 3)


def test_the_digest_names_names_shapes_and_order() -> None:
    one, two = ("a", (2,)), ("b", (3,))
    digests = {
        layout_of(shapes).digest for shapes in ([one, two], [two, one], [one, ("b", (1, 3))], [one, ("c", (3,))])
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "change",
    [{"size": 48}, {"digest": bytes(32)}, {"slots": (Slot("a", (2,), 0, "shared"),)}, {"slots": ()}],
    ids=["size", "digest", "slots", "nothing"],
)
def test_a_layout_whose_parts_do_not_agree_is_refused(change: dict[str, object]) -> None:
    layout = layout_of([("a", (2,)), ("b", (3,))])
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        replace(layout, **change)  # type: ignore[arg-type]


def test_two_slots_of_one_name_are_refused() -> None:
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        layout_of([("a", (2,)), ("a", (2,))])


def test_a_vector_of_another_length_or_type_is_refused() -> None:
    layout: Layout = layout_of([("a", (2,))])
    wrong: list[NDArray[Any]] = [np.zeros(15, dtype=np.float32), np.zeros(16), np.zeros((1, 16), dtype=np.float32)]
    for flat in wrong:
        with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
            layout.check(flat)
    with pytest.raises(LearningError, match="no slot"):
        layout.slot("c")
