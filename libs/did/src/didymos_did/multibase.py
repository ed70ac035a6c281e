"""The digits of multibase texts: base58btc (`z`), base64url without padding (`u`). W3C Controlled Identifiers, 2.4."""

import binascii
from base64 import urlsafe_b64decode
from typing import Final

from didymos_did.errors import DidError

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE58_CHARACTERS: Final = 96  # decoding is quadratic: keys and signatures need 89 at most
_DIGITS: Final = {character: value for value, character in enumerate(ALPHABET)}


def base58_encode(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def base58_decode(text: str) -> bytes:
    """Raises DidError `key.malformed` for a character outside the alphabet or more than 96 of them."""
    if len(text) > BASE58_CHARACTERS:
        raise DidError("key.malformed", f"base58 text of {len(text)} characters, at most {BASE58_CHARACTERS}")
    number = 0
    for at, character in enumerate(text):
        digit = _DIGITS.get(character)
        if digit is None:
            raise DidError("key.malformed", f"character {at} is not of base58btc")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def b64u(raw: bytes) -> str:
    return b64u_bytes(raw).decode()


def b64u_bytes(raw: bytes) -> bytes:
    """The same as ASCII."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=")


def b64u_decode(text: str) -> bytes:
    """Raises DidError `key.malformed` for anything but the one canonical form."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise DidError("key.malformed", "not base64url") from error
    if b64u(raw) != text:
        raise DidError("key.malformed", "not canonical base64url without padding")
    return raw
