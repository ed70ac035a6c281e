"""Signed requests: the vector of RFC 9421, what a signature must cover, and that nothing signed can be changed."""

from base64 import b64decode, urlsafe_b64decode
from dataclasses import replace
from typing import Any

import pytest
from didymos_did import Ed25519Signer, key_of
from didymos_readings import ReadingError, Request, content_digest, proved_body, sign_request, signature_of
from didymos_readings.http_signature import signature_base
from didymos_readings.structured_fields import FieldError, parse_dictionary
from didymos_testing.did import a_signer
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_767_268_800
DEVICE = a_signer("device")
URL = "https://house.example/ingestion/v1/batches"
HEADERS = {"content-type": "application/senml+json", "didymos-number": "7"}


def signed(body: bytes = b"[]", url: str = URL, created: int = NOW, **headers: str) -> Request:
    request = Request("POST", url, {**HEADERS, **headers}, body)
    return replace(request, headers={**request.headers, **sign_request(request, DEVICE, created)})


def holds(request: Request, now: int = NOW) -> bool:
    said = signature_of(request, now)
    return said.holds(key_of(said.kid))


def test_the_vector_of_the_rfc() -> None:  # section B.2.6
    seed = urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU=")
    headers = {"date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json", "content-length": "18"}
    request = Request("POST", "https://example.com/foo?param=Value&Pet=dog", headers, b'{"hello": "world"}')
    field = (
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
        ';keyid="test-key-ed25519"'
    )
    said = parse_dictionary(field)["sig-b26"]
    assert isinstance(said.value, tuple)
    names = [item.value for item in said.value if isinstance(item.value, str)]
    base = signature_base(names, said.text, request)
    signature = b64decode("wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
    signer = Ed25519Signer(seed)
    assert signer.sign(base) == signature
    assert signer.public.verify(base, signature)


def test_the_digest_of_rfc_9530() -> None:  # appendix D, and section B.2 of RFC 9421
    assert content_digest(b'{"hello": "world"}') == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


def test_what_was_signed_holds() -> None:
    assert holds(signed())
    assert holds(signed(url=URL + "?profile=a@1"))
    said = signature_of(signed(), NOW)
    assert said.kid == DEVICE.kid
    assert said.base.startswith(b'"@method": POST\n"@target-uri": https://house.example/ingestion/v1/batches\n')


def test_a_kept_request_proves_its_body() -> None:
    said = signature_of(signed(), NOW)
    assert proved_body(said.base, said.signature, DEVICE.public, b"[]")
    assert not proved_body(said.base, said.signature, DEVICE.public, b"[1]")
    assert not proved_body(said.base, said.signature, a_signer("other device").public, b"[]")
    assert not proved_body(said.base + b'\n"content-digest": x', said.signature, DEVICE.public, b"[]")
    assert not proved_body(b"", said.signature, DEVICE.public, b"[]")


def test_what_a_proxy_signs_beside_it_is_not_looked_at() -> None:
    good = signed()
    headers = {
        **good.headers,
        "signature-input": f'proxy=("@status");created=1;keyid="x", {good.headers["signature-input"]}',
        "signature": f"{good.headers['signature']}, proxy=:AA==:",
    }
    assert holds(replace(good, headers=headers))


def test_another_key_does_not_hold() -> None:
    assert not signature_of(signed(), NOW).holds(a_signer("other device").public)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"url": "https://evil.example/ingestion/v1/batches"},
        {"url": URL + "?profile=other@1"},
        {"headers": {"didymos-number": "8"}},
        {"headers": {"content-type": "text/csv"}},
    ],
)
def test_nothing_that_is_signed_can_be_changed(changes: dict[str, Any]) -> None:
    good = signed()
    changed = {**changes, "headers": {**good.headers, **changes.get("headers", {})}}
    assert not holds(replace(good, **changed))


def with_input(text: str, **headers: str) -> Request:
    good = signed()
    return replace(good, headers={**good.headers, "signature-input": text, **headers})


NAMES = ("@method", "@target-uri", "content-digest", "content-type", "didymos-number")
KEY = f'keyid="{DEVICE.kid}"'


def covering(*names: str) -> Request:
    """With a signature over these components, or names with parameters."""
    said = " ".join(name if name.startswith('"') else f'"{name}"' for name in names)
    return with_input(f"didymos=({said});created={NOW};{KEY}")


def without(name: str) -> Request:
    return covering(*(each for each in NAMES if each != name))


COVERED = "(" + " ".join(f'"{name}"' for name in NAMES) + ")"
REFUSED: dict[str, Request] = {
    "no signature": replace(signed(), headers=HEADERS),
    "no signature bytes": with_input(f"didymos={COVERED};created={NOW};{KEY}", signature="didymos=1"),
    "another label": with_input(f"other={COVERED};created={NOW};{KEY}"),
    "two signatures": with_input(f"didymos={COVERED};created={NOW};{KEY}, b={COVERED};created={NOW};{KEY}"),
    "no list": with_input(f'didymos="@method";created={NOW};{KEY}'),
    "no time": with_input(f"didymos={COVERED};{KEY}"),
    "time of another type": with_input(f'didymos={COVERED};created="{NOW}";{KEY}'),
    "expired": with_input(f"didymos={COVERED};created={NOW};expires={NOW - 1};{KEY}"),
    "no key": with_input(f"didymos={COVERED};created={NOW}"),
    "unknown parameter": with_input(f"didymos={COVERED};created={NOW};{KEY};lazy"),
    "no digest covered": without("content-digest"),
    "no type covered": without("content-type"),
    "no method covered": without("@method"),
    "no number covered": without("didymos-number"),
    "no target covered": covering("@path", *(each for each in NAMES if each != "@target-uri")),
    "covered twice": covering("@method", *NAMES),
    "unknown component": covering("@status", *NAMES),
    "header not sent": covering("date", *NAMES),
    "component with parameters": covering('"@scheme";req', *NAMES),
    "backfill not covered": replace(signed(), headers={**signed().headers, "didymos-backfill": "true"}),
    "event not covered": replace(signed(), headers={**signed().headers, "ce-id": "1"}),
    "other body": replace(signed(), body=b"[1]"),
    "no digest": replace(signed(), headers={**signed().headers, "content-digest": "md5=:AA==:"}),
    "broken digest": replace(signed(), headers={**signed().headers, "content-digest": "sha-256"}),
    "one digest of two wrong": replace(
        signed(), headers={**signed().headers, "content-digest": content_digest(b"[]") + ", sha-512=:AA==:"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_a_signature_must_be(name: str) -> None:
    with pytest.raises(ReadingError) as raised:
        signature_of(REFUSED[name], NOW)
    assert raised.value.code == "batch.signature_invalid"


@pytest.mark.parametrize("created", [NOW - 301, NOW + 121])
def test_a_signature_is_of_now(created: int) -> None:
    with pytest.raises(ReadingError):
        signature_of(signed(created=created), NOW)


def test_a_query_is_covered_by_the_target_or_by_itself() -> None:
    names = '"@method" "@authority" "@path" "content-digest" "content-type" "didymos-number"'
    for url, more, good in ((URL, "", True), (URL + "?a=1", "", False), (URL + "?a=1", ' "@query"', True)):
        said = f"({names}{more});created={NOW};{KEY}"
        headers = {**HEADERS, "content-digest": content_digest(b"[]"), "signature-input": f"x={said}"}
        request = Request("POST", url, {**headers, "signature": "x=:AA==:"}, b"[]")
        if good:
            assert signature_of(request, NOW).base.endswith(f'"@signature-params": {said}'.encode())
        else:
            with pytest.raises(ReadingError):
                signature_of(request, NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("a=1, b=-5;x=?1", {"a": 1, "b": -5}), ('a="x\\"y"', {"a": 'x"y'}), ("a=:AQI=:", {"a": b"\x01\x02"}),
        ("a", {"a": True}), ("a=?0", {"a": False}), ("a=1,a=2", {"a": 2}), ("", {}),
    ],
)  # fmt: skip
def test_dictionaries(field: str, value: dict[str, Any]) -> None:
    assert {key: member.value for key, member in parse_dictionary(field).items()} == value


@pytest.mark.parametrize(
    "field",
    ["A=1", "a=", "a=1 b", "a=1,", "a=(1", "a=(1)x", 'a="x', "a=:A", "a=:A:", "a=1.5", "a=tok", "a=(1\t2)", "a=\u00e9",
     "a=" + "1" * 16, "a=1" * 9000],
)  # fmt: skip
def test_what_is_no_dictionary(field: str) -> None:
    with pytest.raises(FieldError):
        parse_dictionary(field)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_fields_are_refused_or_do_not_hold(given_input: str, signature: str, digest: str) -> None:
    headers = {**HEADERS, "signature-input": given_input, "signature": signature, "content-digest": digest}
    with pytest.raises(ReadingError):
        signature_of(Request("POST", URL, headers, b"[]"), NOW)
