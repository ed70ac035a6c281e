"""A published profile carries a proof that holds, and what came first under an id@version stays."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from didymos_did import jcs, sign_document
from didymos_readings import ProfileBook, ReadingError, built_in_profiles, read_signed_profile
from didymos_readings.profile import PROFILE_BYTES
from didymos_testing.did import OWNER, STRANGER
from hypothesis import given
from hypothesis import strategies as st

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCALE: dict[str, Any] = {
    "id": "acme.scale@1", "title": "Scale",
    "properties": [{"name": "body/mass", "unit": "kg", "hard": [0.5, 400]}, {"name": "note", "kind": "text"}],
    "json": {"values": [{"field": "$.m", "property": "body/mass", "unit": "[lb_av]"}]},
}  # fmt: skip


def signed(**changes: Any) -> dict[str, Any]:
    return sign_document({**SCALE, **changes}, OWNER, AT)


def refusal(document: object) -> str:
    with pytest.raises(ReadingError) as raised:
        read_signed_profile(json.dumps(document).encode())
    return raised.value.code


def test_it_says_who_signed_it_and_is_kept_in_canonical_form() -> None:
    found = read_signed_profile(json.dumps(signed(), indent=2).encode())
    assert (found.signer, found.profile.id, found.document) == (OWNER.did, "acme.scale@1", jcs(signed()))
    again = read_signed_profile(jcs(sign_document(SCALE, OWNER, datetime(2026, 2, 1, tzinfo=UTC))))
    assert again.digest == found.digest
    assert again.document != found.document


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (SCALE, "profile.signature_invalid"),
        (signed() | {"title": "Other"}, "profile.signature_invalid"),
        (signed() | {"proof": sign_document(SCALE, STRANGER, AT)["proof"] | {"verificationMethod": OWNER.kid}},
         "profile.signature_invalid"),
        (signed(more=1), "profile.malformed"),
        (signed(other=5), "profile.malformed"),
        (signed(title="x" * 257), "profile.malformed"),
        (signed(json={"values": [{"field": "$.m", "property": "body/mass", "unit": "s"}]}), "profile.malformed"),
        (signed(json={"values": [{"field": "$.m", "property": "body/mass", "unit": "pound"}]}), "profile.malformed"),
        ([signed()], "profile.malformed"),
        (signed() | {"title": "x" * PROFILE_BYTES}, "profile.malformed"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_refused(document: object, code: str) -> None:
    assert refusal(document) == code


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_foreign_bytes_raise_nothing_but_a_reading_error(body: bytes) -> None:
    with pytest.raises(ReadingError, match="profile"):
        read_signed_profile(body)


MEMBERS = ["type", "cryptosuite", "created", "verificationMethod", "proofValue", "x"]
ODD = st.none() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(MEMBERS), ODD))
def test_any_proof_is_judged(changes: dict[str, Any]) -> None:
    document = signed()
    try:
        read_signed_profile(json.dumps(document | {"proof": document["proof"] | changes}).encode())
    except ReadingError as error:
        assert error.code in ("profile.signature_invalid", "profile.malformed")  # noqa: PT017 - either is right


def test_a_book_keeps_what_came_first() -> None:
    book = ProfileBook()
    known = book.known
    book.add("acme.scale@1", jcs(signed()))
    book.add("acme.scale@1", jcs(signed(title="Other")))
    book.add("glucose@1", jcs(signed(id="glucose@1")))
    assert known["acme.scale@1"].title == "Scale"
    assert known["glucose@1"] is built_in_profiles()["glucose@1"]
    assert list(book.signed) == ["acme.scale@1"]
    with pytest.raises(ReadingError, match="published under"):
        book.add("acme.other@1", jcs(signed()))
