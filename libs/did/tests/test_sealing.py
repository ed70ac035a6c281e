"""What is sealed opens for its twin, epoch, salt, path and index, and for nothing else."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from didymos_did.errors import DidError
from didymos_did.keys import TwinId
from didymos_did.sealing import DataKey, Kek, epoch_of, living, unwrap, wrap
from didymos_testing.did import STRANGER, TWIN
from hypothesis import given
from hypothesis import strategies as st

MINE, OTHER = TwinId(TWIN.did), TwinId(STRANGER.did)
KEY = DataKey(MINE, 20_781, b"k" * 32)
KEK = Kek(MINE, b"K" * 32)
SALT, NONCE = b"s" * 16, b"n" * 12


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DidError) as raised:
        call()
    return raised.value.code


def test_sealed_bytes_are_those_of_the_design() -> None:
    parcel_key = HKDF(SHA256(), 32, SALT, b"didymos/data/v1").derive(b"k" * 32)
    bound = f'["{TWIN.did}",20781,"c3Nzc3Nzc3Nzc3Nzc3Nzcw","*"]'.encode()
    assert AESGCM(parcel_key).decrypt((7).to_bytes(12, "big"), KEY.seal(b"value", SALT, "*", 7), bound) == b"value"


@given(st.binary(max_size=100), st.integers(0, 2**96 - 1))
def test_what_was_sealed_opens(plain: bytes, index: int) -> None:
    parcel = KEY.parcel(SALT)
    assert KEY.open(parcel.seal(plain, "*", index), SALT, "*", index) == plain
    assert parcel.open(KEY.seal(plain, SALT, "*", index), "*", index) == plain


def test_it_opens_nowhere_else() -> None:
    sealed = KEY.seal(b"value", SALT, "features/glucose/level", 1)
    path = "features/glucose/level"
    for call in (
        lambda: replace(KEY, twin=OTHER).open(sealed, SALT, path, 1),
        lambda: replace(KEY, epoch=20_782).open(sealed, SALT, path, 1),
        lambda: replace(KEY, secret=b"x" * 32).open(sealed, SALT, path, 1),
        lambda: KEY.open(sealed, b"t" * 16, path, 1),
        lambda: KEY.open(sealed, SALT, "features/heart/rate", 1),
        lambda: KEY.open(sealed, SALT, path, 2),
        lambda: KEY.open(sealed[:-1], SALT, path, 1),
        lambda: KEY.open(b"", SALT, path, 1),
        lambda: KEY.open(sealed, b"short", path, 1),
        lambda: KEY.open(sealed, SALT, path, -1),
    ):
        assert refusal(call) == "seal.invalid"


@given(st.data())
def test_one_changed_byte_does_not_open(draws: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(b"a value", SALT, "*"))
    sealed[draws.draw(st.integers(0, len(sealed) - 1))] ^= draws.draw(st.integers(1, 255))
    assert refusal(lambda: KEY.open(bytes(sealed), SALT, "*")) == "seal.invalid"


def test_an_index_has_96_bits_and_a_salt_16_bytes() -> None:
    for index in (-1, 2**96):
        assert refusal(lambda index=index: KEY.seal(b"", SALT, "*", index)) == "seal.invalid"  # type: ignore[misc]
    assert refusal(lambda: KEY.seal(b"", b"", "*")) == "seal.invalid"
    assert refusal(lambda: DataKey(MINE, 1, b"short")) == "seal.invalid"
    assert refusal(lambda: Kek(MINE, b"short")) == "seal.invalid"


def test_a_data_key_comes_back_from_its_wrapping() -> None:
    assert KEK.unwrap(KEY.epoch, KEK.wrap(KEY, NONCE)) == KEY


def test_a_wrapped_key_is_of_its_twin_and_epoch() -> None:
    wrapped = KEK.wrap(KEY, NONCE)
    for call in (
        lambda: Kek(OTHER, b"K" * 32).unwrap(KEY.epoch, wrapped),
        lambda: Kek(MINE, b"J" * 32).unwrap(KEY.epoch, wrapped),
        lambda: KEK.unwrap(KEY.epoch + 1, wrapped), lambda: KEK.unwrap(KEY.epoch, wrapped[:-1]),
        lambda: KEK.unwrap(KEY.epoch, b""), lambda: KEK.wrap(replace(KEY, twin=OTHER), NONCE),
        lambda: KEK.wrap(KEY, b"short"),
    ):  # fmt: skip
        assert refusal(call) == "seal.invalid"


def test_a_master_key_wraps_a_kek() -> None:
    wrapped = wrap(b"m" * 32, KEK.secret, NONCE, b"kek")
    assert unwrap(b"m" * 32, wrapped, b"kek") == KEK.secret
    assert refusal(lambda: unwrap(b"m" * 32, wrapped, b"other")) == "seal.invalid"
    assert refusal(lambda: unwrap(b"short", wrapped, b"kek")) == "seal.invalid"


def test_a_destroyed_key_is_named_as_such() -> None:
    assert living(KEY, MINE, KEY.epoch) is KEY
    with pytest.raises(DidError) as raised:
        living(None, MINE, KEY.epoch)
    assert (raised.value.code, raised.value.values["twin"]) == ("key.destroyed", TWIN.did)
    assert refusal(lambda: living(KEY, OTHER, KEY.epoch)) == "seal.invalid"
    assert refusal(lambda: living(KEY, MINE, 1)) == "seal.invalid"


def test_no_text_of_a_key_shows_it() -> None:
    for key in (KEY, KEK, KEY.parcel(SALT)):
        assert "kkk" not in repr(key)
        assert "KKK" not in repr(key)
        assert TWIN.did in repr(key)


def test_an_epoch_is_a_day_of_utc() -> None:
    assert epoch_of(0) == 0
    assert epoch_of(86_400_000_000 - 1) == 0
    assert epoch_of(86_400_000_000) == 1
    assert epoch_of(-1) == -1
