"""NEW once per number, whatever comes in which order. data-path.md 8; RFC 4303 section 3.4.3."""

from hashlib import sha256

import pytest
from didymos_readings import Admission, ReadingError, Window, admit, pack_window, unpack_window
from hypothesis import given
from hypothesis import strategies as st

NEW, DUPLICATE, CONFLICT, BELOW = Admission.NEW, Admission.DUPLICATE, Admission.CONFLICT, Admission.BELOW


def digest(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


def run(arrivals: list[tuple[int, int]], window: Window = Window()) -> tuple[Window, list[Admission]]:  # noqa: B008 - frozen
    found = []
    for stream, number in arrivals:
        window, admission = admit(window, stream, number, digest(stream, number))
        found.append(admission)
    return window, found


def test_a_repeat_is_a_duplicate_and_a_gap_is_filled_late() -> None:
    assert run([(1, 1), (1, 5), (1, 1), (1, 3), (1, 3), (1, 256), (1, 2)])[1] == [
        NEW, NEW, DUPLICATE, NEW, DUPLICATE, NEW, NEW,
    ]  # fmt: skip


def test_below_the_window_history_has_to_tell() -> None:
    window, _ = run([(1, 257)])
    assert admit(window, 1, 2, digest(1, 2))[1] is NEW
    assert admit(window, 1, 1, digest(1, 1)) == (window, BELOW)


def test_another_batch_under_a_known_number_is_a_conflict() -> None:
    window, _ = run([(1, 1), (1, 2)])
    assert admit(window, 1, 1, digest("other")) == (window, CONFLICT)


def test_a_number_that_left_the_ring_is_only_a_duplicate() -> None:
    window, _ = run([(1, number) for number in range(1, 18)])
    assert admit(window, 1, 1, digest("other"))[1] is DUPLICATE
    assert admit(window, 1, 2, digest("other"))[1] is CONFLICT


def test_a_higher_stream_opens_a_window_and_the_lowest_of_four_goes() -> None:
    window, found = run([(stream, 1) for stream in (1, 2, 3, 4, 5)])
    assert found == [NEW] * 5
    assert [each.stream for each in window.streams] == [2, 3, 4, 5]
    assert admit(window, 1, 1, digest(1, 1))[1] is BELOW
    assert admit(window, 2, 1, digest(2, 1))[1] is DUPLICATE


def test_an_unnumbered_batch_is_told_by_its_digest() -> None:
    window, found = run([(0, 0), (0, 0)])
    assert found == [NEW, DUPLICATE]
    for extra in range(255):
        window, admission = admit(window, 0, 0, digest(extra))
        assert admission is NEW
    window, admission = admit(window, 0, 0, digest("one more"))
    assert admission is BELOW
    assert admit(window, 0, 0, digest("one more"))[1] is DUPLICATE


ARRIVALS = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 700)), max_size=120)


@given(ARRIVALS)
def test_new_comes_once_per_number(arrivals: list[tuple[int, int]]) -> None:
    _, found = run(arrivals + arrivals)
    new = [arrival for arrival, admission in zip(arrivals * 2, found, strict=True) if admission is NEW]
    assert len(new) == len(set(new))
    assert CONFLICT not in found


@given(ARRIVALS)
def test_a_batch_is_duplicate_only_if_it_came_before(arrivals: list[tuple[int, int]]) -> None:
    _, found = run(arrivals)
    for at, admission in enumerate(found):
        if admission is DUPLICATE:
            assert arrivals[at] in arrivals[:at]
        if arrivals[at] not in arrivals[:at]:
            assert admission in (NEW, BELOW)


@given(ARRIVALS, st.integers(0, 300))
def test_a_window_survives_its_bytes(arrivals: list[tuple[int, int]], loose: int) -> None:
    window, _ = run(arrivals)
    for each in range(loose):
        window, _ = admit(window, 0, 0, digest("loose", each))
    assert unpack_window(pack_window(window)) == window


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"\1\1\0\0" + rest))
def test_bytes_that_are_no_window_are_refused(packed: bytes) -> None:
    try:
        assert pack_window(unpack_window(packed)) == packed
    except ReadingError as error:
        assert error.code == "window.malformed"  # noqa: PT017 - either is right


def test_a_window_with_too_much_in_it_is_refused() -> None:
    for packed in (b"\1\5\0\0", b"\1\0\1\1", b"\2\0\0\0", b"\1\0\0\0\0"):
        with pytest.raises(ReadingError):
            unpack_window(packed)
