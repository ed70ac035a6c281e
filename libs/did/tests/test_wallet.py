"""A wallet opens with its passphrase, and tells nothing else to anybody."""

import json
from functools import cache
from hashlib import sha512
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from didymos_did.errors import DidError
from didymos_did.jcs import jcs
from didymos_did.multibase import b64u
from didymos_did.wallet import ENTROPY_BYTES, Cost, Wallet, lock, unlock
from didymos_testing.did import a_credential
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = {"owner": b"o" * 32, "twin-1": b"t" * 32}
WALLET = Wallet(SEEDS, {"grant-1": a_credential()}, owners=("owner",))
ENTROPY = (sha512(b"a").digest() + sha512(b"b").digest())[:ENTROPY_BYTES]


@cache
def locked() -> bytes:
    return lock(WALLET, "correct horse", ENTROPY, Cost.DEMO)


RIGHT = "correct horse"


def cannot_open(raw: bytes, passphrase: str = RIGHT) -> bool:
    with pytest.raises(DidError) as raised:
        unlock(raw, passphrase)
    return str(raised.value) == "wallet.cannot_open: not a wallet, damaged, or another passphrase"


def changed(**members: Any) -> bytes:
    return jcs({**json.loads(locked()), **members})


def with_slot(**members: Any) -> bytes:
    return changed(slots=[{**json.loads(locked())["slots"][0], **members}])


def with_kdf(**members: Any) -> bytes:
    return with_slot(kdf={**json.loads(locked())["slots"][0]["kdf"], **members})


def test_the_passphrase_key_is_that_of_rfc_9106() -> None:
    argon2 = Argon2id(
        salt=b"\x02" * 16, length=32, iterations=3, lanes=4, memory_cost=32, ad=b"\x04" * 12, secret=b"\x03" * 8
    )  # section 5.3
    assert argon2.derive(b"\x01" * 32).hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"


def test_a_wallet_opens_with_its_passphrase() -> None:
    opened = unlock(locked(), "correct horse")
    assert opened == WALLET
    assert opened.signer("owner").did == WALLET.signer("owner").did


def test_a_locked_wallet_shows_public_keys_and_no_seed() -> None:
    said = json.loads(locked())
    assert said["public"]["owners"] == [WALLET.signer("owner").did]
    assert said["public"]["keys"][0] == {
        "id": WALLET.signer("owner").kid, "kind": "ed25519", "multikey": WALLET.signer("owner").public.multikey,
    }  # fmt: skip
    assert said["slots"][0]["kdf"].keys() == {"name", "m_kib", "t", "p", "salt"}
    assert b"oooo" not in locked()
    assert b"DidymosGrant" not in locked()
    assert repr(WALLET) == "Wallet(owner, twin-1)"


@pytest.mark.parametrize("passphrase", ["", "correct horse ", "Correct horse", "\ud800"])
def test_another_passphrase_opens_nothing(passphrase: str) -> None:
    assert cannot_open(locked(), passphrase)


@settings(max_examples=25)
@given(st.data())
def test_one_changed_byte_opens_nothing(draws: st.DataObject) -> None:
    raw = bytearray(locked())
    raw[draws.draw(st.integers(0, len(raw) - 1))] ^= draws.draw(st.integers(1, 255))
    assert cannot_open(bytes(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b'"x"', b"{}", b"{" * 40, b" " * (4 * 1024 * 1024 + 1), changed(format="other"),
        changed(version=2), changed(extra=1), changed(slots=[]), changed(slots=[1]), changed(slots={}),
        changed(nonce=7),
        changed(sealed=None), changed(check="x"), changed(public={}), changed(slots=[{"type": "os-keychain"}]),
        changed(slots=[{"type": "os-keychain"}] * 5), with_slot(kdf=None), with_slot(nonce=""),
        with_slot(wrapped="AAAA"),
        with_kdf(name="scrypt"), with_kdf(m_kib=1_048_577), with_kdf(t=11), with_kdf(p=9), with_kdf(m_kib=-1),
        with_kdf(t=0), with_kdf(p=0), with_kdf(m_kib="8192"), with_kdf(m_kib=True), with_kdf(salt="AA"), with_kdf(x=1),
        with_kdf(t=-(2**50)), with_kdf(m_kib=16384), with_kdf(m_kib=-(2**50)),
    ],
)  # fmt: skip
def test_every_failure_is_one_error(raw: bytes) -> None:
    assert cannot_open(raw)


def resealed(slots: list[Any], **body: Any) -> bytes:
    """The wallet with other slots or another body, sealed by somebody who holds the file key."""
    said = json.loads(locked())
    head = {name: member for name, member in said.items() if name != "sealed"} | {"slots": slots}
    seeds = {name: b64u(seed) for name, seed in SEEDS.items()}
    inner = {"seeds": seeds, "documents": {}, "owners": ["owner"], **body}
    sealed = AESGCM(ENTROPY[:32]).encrypt(ENTROPY[60:72], jcs(inner), jcs(head))
    return jcs({**head, "sealed": b64u(sealed)})


def test_each_passphrase_of_several_slots_opens() -> None:
    mine = json.loads(locked())["slots"]
    other = json.loads(lock(WALLET, "other", ENTROPY, Cost.DEMO))["slots"]
    both = resealed([*other, {"type": "os-keychain"}, *mine])
    assert unlock(both, RIGHT) == unlock(both, "other") == Wallet(SEEDS, {}, ("owner",))
    assert cannot_open(both, "neither")
    assert cannot_open(changed(slots=[*mine, *other]))  # nobody adds a slot from outside


def test_a_wallet_says_in_public_what_it_holds() -> None:
    slots = json.loads(locked())["slots"]
    assert unlock(resealed(slots), RIGHT).seeds == SEEDS
    assert cannot_open(resealed(slots, seeds={"owner": b64u(b"o" * 32)}))
    assert cannot_open(resealed(slots, seeds={"owner": b64u(b"o" * 31)}, owners=[]))
    assert cannot_open(resealed(slots, owners=["twin-1"]))


def test_a_wallet_has_the_keys_of_its_owners() -> None:
    with pytest.raises(DidError, match=r"wallet\.no_such_key"):
        lock(Wallet(SEEDS, {}, owners=("nobody",)), "p", ENTROPY, Cost.DEMO)
    with pytest.raises(DidError, match=r"wallet\.no_such_key"):
        WALLET.signer("nobody")


def test_a_wallet_that_could_not_be_read_again_is_not_written() -> None:
    with pytest.raises(DidError, match=r"platform\.too_large"):
        lock(Wallet(SEEDS, {"long": "x" * 4_000_000}), "p", ENTROPY, Cost.DEMO)


def test_locking_needs_all_its_randomness() -> None:
    with pytest.raises(ValueError, match="72 random bytes"):
        lock(WALLET, "p", b"short", Cost.DEMO)


def test_the_strong_cost_is_that_of_the_rfc() -> None:
    raw = lock(Wallet({}, {}), "p", ENTROPY)
    assert json.loads(raw)["slots"][0]["kdf"]["m_kib"] == 65_536
    assert unlock(raw, "p") == Wallet({}, {})
