"""Keys are parsed strictly, and sign as RFC 8032 says."""

from collections.abc import Callable

import pytest
from didymos_did.errors import DidError
from didymos_did.keys import (
    WEAK_Y,
    Ed25519Signer,
    KeyKind,
    did_of,
    document,
    key_of,
    kid_of,
    parse_did,
    parse_key,
    public_key,
    sign_detached,
    verify_detached,
)
from didymos_did.multibase import b64u, b64u_decode, base58_decode, base58_encode
from didymos_testing.did import OWNER, STRANGER
from hypothesis import example, given
from hypothesis import strategies as st

# RFC 8032 section 7.1, tests 1 and 2: seed, public key, message, signature
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_signatures_are_those_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    signer = Ed25519Signer(bytes.fromhex(seed))
    assert signer.public.raw.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    assert signer.public.verify(bytes.fromhex(message), bytes.fromhex(signature))


def test_the_did_key_of_the_specification_is_read_and_written() -> None:
    did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"  # did:key method, section 2
    assert did_of(parse_key(did[len("did:key:") :])) == did
    assert parse_did(did) == did


@pytest.mark.parametrize("y", [*sorted(WEAK_Y), 2**255 - 19, 2**255 - 1])
@pytest.mark.parametrize("sign_bit", [0, 1 << 255])
def test_points_of_small_order_and_beyond_the_field_are_refused(y: int, sign_bit: int) -> None:
    with pytest.raises(DidError, match=r"key\.weak"):
        public_key(KeyKind.ED25519, (y | sign_bit).to_bytes(32, "little"))


def test_a_p256_point_off_the_curve_is_refused() -> None:
    with pytest.raises(DidError, match=r"key\.malformed"):
        public_key(KeyKind.P256, b"\x02" + b"\xff" * 32)


def test_p256_verifies_raw_signatures() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    private = ec.derive_private_key(7, ec.SECP256R1())
    raw = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    r, s = decode_dss_signature(private.sign(b"m", ec.ECDSA(SHA256())))
    key = public_key(KeyKind.P256, raw)
    assert key.verify(b"m", r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    assert not key.verify(b"n", r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    assert not key.verify(b"m", b"\0" * 64)
    assert parse_key(key.multikey) == key


@given(st.binary(max_size=60))
@example(b"\0\0\1")
def test_base58_comes_back(raw: bytes) -> None:
    assert base58_decode(base58_encode(raw)) == raw
    assert b64u_decode(b64u(raw)) == raw


def refusal(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except DidError as error:
        return error.code
    return ""


@given(st.one_of(st.text(max_size=140), st.text("z6Mk123abcdefGH#:", max_size=80).map("did:key:z6Mk".__add__)))
def test_any_text_is_a_key_or_a_clear_refusal(text: str) -> None:
    for parse in (parse_key, parse_did, key_of, b64u_decode):
        assert refusal(parse, text) in {"", "key.malformed", "key.weak", "did.malformed"}


@given(st.binary(min_size=32, max_size=32), st.sampled_from("z" + "123u"))
def test_a_key_has_one_spelling(seed: bytes, first: str) -> None:
    key = Ed25519Signer(seed).public
    assert parse_key(key.multikey) == key
    if first != "z":
        assert refusal(parse_key, first + key.multikey) == "key.malformed"
    assert refusal(parse_key, "z1" + key.multikey[1:]) == "key.malformed"
    assert refusal(parse_key, "u" + b64u(key.kind.value + key.raw)) == "key.malformed"


def test_a_key_id_names_the_key_of_its_did() -> None:
    assert key_of(OWNER.kid) == OWNER.public
    assert refusal(key_of, f"{OWNER.did}#{STRANGER.public.multikey}") == "did.malformed"
    assert refusal(key_of, OWNER.did) == "did.malformed"
    assert refusal(parse_did, "did:web:example.org") == "did.malformed"


def test_keys_of_other_sizes_and_kinds_are_refused() -> None:
    x25519 = "z" + base58_encode(b"\xec\x01" + b"\x09" * 32)
    assert refusal(parse_key, x25519) == "key.malformed"
    assert refusal(parse_key, "z" + base58_encode(KeyKind.ED25519.value + b"\x09" * 31)) == "key.malformed"
    assert refusal(parse_key, "z" + "2" * 97) == "key.malformed"
    with pytest.raises(DidError, match="32 bytes"):
        Ed25519Signer(b"short")
    assert not OWNER.public.verify(b"m", b"\0" * 63)


def test_a_document_names_its_key_for_every_relationship() -> None:
    said = document(OWNER.did)
    assert said["authentication"] == said["assertionMethod"] == said["capabilityInvocation"] == [OWNER.kid]


def test_a_detached_signature_holds_for_its_body_its_use_and_its_key_only() -> None:
    signed = sign_detached("revocation", b"body", OWNER)
    assert verify_detached("revocation", signed)
    assert not verify_detached("registration", signed)
    assert not verify_detached("revocation", signed, STRANGER.public)
    assert not verify_detached("revocation", type(signed)(b"bodz", signed.kid, signed.signature))
    assert not verify_detached("revocation", type(signed)(b"body", kid_of(STRANGER.public), signed.signature))


def test_a_signer_does_not_print_its_seed() -> None:
    assert repr(OWNER) == f"Ed25519Signer({OWNER.kid})"
