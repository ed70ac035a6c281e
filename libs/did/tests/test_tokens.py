"""Tokens open nothing without the key they are bound to, and nothing but what they were made for."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from didymos_did.errors import DidError
from didymos_did.jose import compact, key_of_jwk, thumbprint
from didymos_did.keys import WEAK_Y, Ed25519Signer, KeyId, KeyKind
from didymos_did.multibase import b64u, b64u_decode
from didymos_did.tokens import (
    AccessClaims,
    Proof,
    ProofKey,
    ReplayCache,
    fresh_nonce,
    issue_token,
    make_assertion,
    make_nonce,
    make_proof,
    replay_key,
    token_kid,
    verify_assertion,
    verify_proof,
    verify_token,
)
from didymos_testing.did import INSTITUTE, OWNER, RESEARCH, STRANGER, a_signer
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as oracle
from joserfc.jwk import ECKey, OKPKey

NOW = 1_764_000_000
HOUSE = a_signer("identity service")
KEY = ProofKey(sha256(b"client").digest())
AUDIENCE, URL = "https://didymos.example/twin-state", "https://didymos.example/v1/twins/t"
SECRET = b"n" * 32


def some_claims(**changes: Any) -> AccessClaims:
    said: dict[str, Any] = {
        "issuer": HOUSE.did, "subject": INSTITUTE.did, "audience": AUDIENCE, "jkt": KEY.jkt, "issued_at": NOW,
        "expires_at": NOW + 300, "jti": "t1", "purpose": RESEARCH, "scope": "read train", "actor": STRANGER.did,
    }  # fmt: skip
    return AccessClaims(**{**said, **changes})


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, body, _ = text.split(".")
    return json.loads(b64u_decode(head)), json.loads(b64u_decode(body))


def resigned(text: str, signer: Ed25519Signer, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """The same text with other members, correctly signed again; a member that is ... goes."""
    head, body = parts(text)
    changed = [{**head, **(header or {})}, {**body, **claims}]
    head, body = ({name: value for name, value in each.items() if value is not ...} for each in changed)
    return compact(head, body, signer)


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except DidError as error:
        return error.code == "platform.unauthenticated"
    return False


# --- thumbprints and keys


def test_the_thumbprint_of_rfc_8037_is_ours() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}  # appendix A.2, A.3
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("y", sorted(WEAK_Y))
def test_a_weak_key_proves_nothing(y: int) -> None:
    weak = {"kty": "OKP", "crv": "Ed25519", "x": b64u(y.to_bytes(32, "little"))}
    proof = resigned(make_proof(KEY, "GET", URL, NOW, "j"), KEY, {"jwk": weak})
    assert is_refused(lambda: verify_proof(proof, "GET", URL, NOW))


def test_one_p256_key_has_one_thumbprint() -> None:
    jwk = ECKey.generate_key("P-256").as_dict(private=False)
    public = {name: str(jwk[name]) for name in ("crv", "kty", "x", "y")}
    assert key_of_jwk(public).kind is KeyKind.P256
    other = bytearray(b64u_decode(public["y"]))
    other[0] ^= 1  # same parity, same point after compression: another thumbprint
    with pytest.raises(DidError, match=r"key\.malformed"):
        key_of_jwk({**public, "y": b64u(bytes(other))})
    with pytest.raises(DidError, match="no second coordinate"):
        _ = KEY.public.y


# --- joserfc as an oracle: what one writes the other reads


def test_an_independent_library_reads_our_tokens_and_proofs() -> None:
    house = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64u(HOUSE.public.raw)})
    client = OKPKey.import_key(dict(KEY.jwk))
    for text, key in ((issue_token(some_claims(), HOUSE), house), (make_proof(KEY, "GET", URL, NOW, "j"), client)):
        assert oracle.deserialize_compact(text, key, algorithms=["Ed25519"]).payload == b64u_decode(text.split(".")[1])


@pytest.mark.filterwarnings("ignore:EdDSA")  # deprecated by RFC 9864, still what most clients write
@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA", "ES256"])
def test_we_read_proofs_that_an_independent_library_wrote(alg: str) -> None:
    key = ECKey.generate_key("P-256") if alg == "ES256" else OKPKey.generate_key("Ed25519")
    names = ("crv", "kty", "x", "y") if alg == "ES256" else ("crv", "kty", "x")
    jwk = {name: str(key.as_dict(private=False)[name]) for name in names}
    claims = {"htm": "GET", "htu": URL, "iat": NOW, "jti": "j", "nonce": "n"}
    header = {"alg": alg, "typ": "dpop+jwt", "jwk": jwk}
    proof = oracle.serialize_compact(header, json.dumps(claims), key, algorithms=[alg])
    assert verify_proof(proof, "GET", URL, NOW) == Proof(key.thumbprint(), "j", "n")


# --- assertions


def test_an_assertion_says_who_holds_which_key() -> None:
    found = verify_assertion(make_assertion(OWNER, AUDIENCE, KEY.jkt, NOW, "a1"), AUDIENCE, NOW)
    assert (found.subject, found.jkt, found.jti, found.expires_at) == (OWNER.did, KEY.jkt, "a1", NOW + 60)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"}, {"aud": [AUDIENCE]}, {"iss": STRANGER.did}, {"sub": STRANGER.did},
        {"iss": STRANGER.did, "sub": STRANGER.did}, {"exp": NOW}, {"exp": NOW + 61},
        {"iat": NOW + 301, "exp": NOW + 350},
        {"iat": -1}, {"iat": 1.5}, {"iat": "1"}, {"exp": True}, {"exp": 2**50}, {"cnf": {}}, {"cnf": {"jkt": "short"}},
        {"cnf": ...}, {"jti": ""}, {"jti": ...}, {"jti": "j" * 1025},
        {"sub": "did:web:a.example", "iss": "did:web:a.example"},
    ],
)  # fmt: skip
def test_an_assertion_that_says_something_else_is_refused(claims: dict[str, Any]) -> None:
    text = resigned(make_assertion(OWNER, AUDIENCE, KEY.jkt, NOW, "a1"), OWNER, **claims)
    assert is_refused(lambda: verify_assertion(text, AUDIENCE, NOW))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": STRANGER.kid}, {"kid": OWNER.did}, {"kid": 7}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"},
        {"typ": "at+jwt"}, {"typ": ...}, {"crit": ["b64"]}, {"jwk": KEY.jwk},
    ],
)  # fmt: skip
def test_an_assertion_under_another_key_or_header_is_refused(header: dict[str, Any]) -> None:
    text = resigned(make_assertion(OWNER, AUDIENCE, KEY.jkt, NOW, "a1"), OWNER, header)
    assert is_refused(lambda: verify_assertion(text, AUDIENCE, NOW))


def test_a_stranger_cannot_assert_for_an_owner() -> None:
    forged = Ed25519Signer(sha256(b"forger").digest(), kid=OWNER.kid)
    assert is_refused(lambda: verify_assertion(make_assertion(forged, AUDIENCE, KEY.jkt, NOW, "a1"), AUDIENCE, NOW))


# --- access tokens


def test_a_token_comes_back_as_it_was_issued() -> None:
    for claims in (some_claims(), some_claims(purpose="", scope="", actor=None)):
        token = issue_token(claims, HOUSE)
        assert token_kid(token) == HOUSE.kid
        assert verify_token(token, HOUSE.public, AUDIENCE, NOW + 299) == claims


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://didymos.example/ledger"}, {"exp": NOW}, {"exp": NOW + 301},
        {"iat": NOW + 301, "exp": NOW + 302},
        {"cnf": {"jkt": 3}}, {"cnf": ...}, {"act": STRANGER.did}, {"act": {"sub": "x"}}, {"act": {}},
        {"act": {"sub": STRANGER.did, "act": {"sub": OWNER.did}}}, {"sub": "owner"}, {"sub": ...}, {"jti": ...},
        {"purpose": 1}, {"purpose": ""}, {"scope": ["read"]}, {"iss": STRANGER.did}, {"iss": ...},
    ],
)  # fmt: skip
def test_a_token_that_says_something_else_is_refused(claims: dict[str, Any]) -> None:
    token = resigned(issue_token(some_claims(), HOUSE), HOUSE, **claims)
    assert is_refused(lambda: verify_token(token, HOUSE.public, AUDIENCE, NOW))


def test_a_token_holds_only_under_the_key_that_signed_it() -> None:
    token = issue_token(some_claims(), HOUSE)
    assert is_refused(lambda: verify_token(token, STRANGER.public, AUDIENCE, NOW))
    jwk = ECKey.generate_key("P-256").as_dict(private=False)
    p256 = key_of_jwk({name: str(jwk[name]) for name in ("crv", "kty", "x", "y")})
    assert is_refused(lambda: verify_token(token, p256, AUDIENCE, NOW))


@pytest.mark.parametrize(
    "header", [{"typ": "JWT"}, {"typ": "dpop+jwt"}, {"alg": "none"}, {"kid": 3}, {"kid": ...}, {"crit": ["exp"]}]
)
def test_a_token_with_another_header_is_refused(header: dict[str, Any]) -> None:
    token = resigned(issue_token(some_claims(), HOUSE), HOUSE, header)
    assert is_refused(lambda: verify_token(token, HOUSE.public, AUDIENCE, NOW))


def test_a_key_signs_only_for_the_issuer_in_its_id() -> None:
    elsewhere = Ed25519Signer(sha256(b"pod").digest(), kid=KeyId(f"{STRANGER.did}#pod"))
    token = issue_token(some_claims(), elsewhere)
    assert is_refused(lambda: verify_token(token, elsewhere.public, AUDIENCE, NOW))


@given(st.data())
def test_one_changed_character_ends_a_token(draws: st.DataObject) -> None:
    token = issue_token(some_claims(), HOUSE)
    at = draws.draw(st.integers(0, len(token) - 1))
    other = draws.draw(st.sampled_from("AZaz09-_.=").filter(lambda each: each != token[at]))
    assert is_refused(lambda: verify_token(token[:at] + other + token[at + 1 :], HOUSE.public, AUDIENCE, NOW))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "..", "\u00e4.b.c", "W10.W10.", "e30.e30." + "A" * 5000])
def test_what_is_no_token_is_refused(text: str) -> None:
    for call in (verify_assertion, lambda t, a, n: verify_token(t, HOUSE.public, a, n), lambda t, a, n: token_kid(t)):
        assert is_refused(lambda call=call: call(text, AUDIENCE, NOW))  # type: ignore[misc]


def test_a_member_that_stands_twice_in_a_token_is_refused() -> None:
    head, body = parts(issue_token(some_claims(), HOUSE))
    twice = json.dumps(body)[:-1] + f', "aud": "{AUDIENCE}"}}'
    signed = f"{b64u(json.dumps(head).encode())}.{b64u(twice.encode())}"
    token = f"{signed}.{b64u(HOUSE.sign(signed.encode()))}"
    assert is_refused(lambda: verify_token(token, HOUSE.public, AUDIENCE, NOW))


# --- proofs of possession


def test_a_proof_holds_for_its_call_and_its_token() -> None:
    proof = make_proof(KEY, "POST", URL, NOW, "j1", token="t", nonce="n")
    assert verify_proof(proof, "POST", URL, NOW + 300, token="t") == Proof(KEY.jkt, "j1", "n")
    for method, url, now, token in (
        ("GET", URL, NOW, "t"), ("POST", URL + "?q=1", NOW, "t"), ("POST", URL.upper(), NOW, "t"),
        ("POST", URL, NOW + 301, "t"), ("POST", URL, NOW - 301, "t"), ("POST", URL, NOW, "other"),
    ):  # fmt: skip
        assert is_refused(
            lambda method=method, url=url, now=now, token=token: verify_proof(proof, method, url, now, token=token)  # type: ignore[misc]
        )


def test_a_proof_without_the_hash_of_the_token_is_none_for_a_token() -> None:
    assert is_refused(lambda: verify_proof(make_proof(KEY, "GET", URL, NOW, "j"), "GET", URL, NOW, token="t"))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {**KEY.jwk, "d": b64u(b"d" * 32)}}, {"jwk": "x"}, {"jwk": {}}, {"jwk": {**KEY.jwk, "x": 1}},
        {"jwk": ...},
        {"jwk": {**KEY.jwk, "x": KEY.jwk["x"] + "="}}, {"jwk": {"kty": "oct", "k": "AAAA"}}, {"crit": ["jti"]},
        {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"}, {"typ": "JWT"}, {"kid": "k"},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64u(STRANGER.public.raw)}},
    ],
)  # fmt: skip
def test_a_proof_with_another_header_is_refused(header: dict[str, Any]) -> None:
    proof = resigned(make_proof(KEY, "GET", URL, NOW, "j"), KEY, header)
    assert is_refused(lambda: verify_proof(proof, "GET", URL, NOW))


# --- nonces and replay


def test_a_nonce_is_fresh_for_a_minute_and_for_its_service() -> None:
    nonce = make_nonce(SECRET, "twin-state", NOW * 1000)
    assert fresh_nonce(nonce, SECRET, "twin-state", NOW * 1000 + 60_000)
    assert fresh_nonce(nonce, SECRET, "twin-state", NOW * 1000 - 1000)
    assert not fresh_nonce(nonce, SECRET, "twin-state", NOW * 1000 + 60_001)
    assert not fresh_nonce(nonce, SECRET, "twin-state", NOW * 1000 - 1001)
    assert not fresh_nonce(nonce, SECRET, "ledger", NOW * 1000)
    assert not fresh_nonce(nonce, b"m" * 32, "twin-state", NOW * 1000)


@given(st.text(max_size=40) | st.binary(max_size=30).map(b64u))
def test_no_made_up_nonce_is_fresh(nonce: str) -> None:
    assert not fresh_nonce(nonce, SECRET, "twin-state", NOW * 1000)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=40))
def test_a_key_seen_in_the_last_ninety_seconds_is_seen_again(steps: list[tuple[int, int]]) -> None:
    cache, added = ReplayCache(90), dict[int, int]()
    for now, key in sorted(steps):
        first = cache.add(bytes([key]), NOW + now)
        if key in added and now - added[key] <= 90:
            assert not first
        elif key not in added or now - added[key] >= 270:
            assert first
        if first:
            added[key] = now


def test_the_memory_of_the_replay_cache_is_two_generations() -> None:
    cache = ReplayCache(90)
    for now in range(10_000):
        cache.add(now.to_bytes(4, "big"), NOW + now)
    assert len(cache._young) + len(cache._old) <= 180


def test_a_replay_is_known_by_key_and_jti() -> None:
    first, other = Proof("k", "j", "n"), Proof("k", "i", "n")
    assert replay_key(first) == replay_key(Proof("k", "j", "other nonce"))
    assert replay_key(first) != replay_key(other) != replay_key(Proof("l", "i", "n"))
