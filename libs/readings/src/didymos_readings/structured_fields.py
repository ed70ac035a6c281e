"""Dictionaries of HTTP structured fields (RFC 9651), as far as signatures and digests use them."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final, TypeAlias

FIELD_CHARACTERS: Final = 8192
_KEY: Final = re.compile(r"[a-z*][a-z0-9_\-.*]*", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}(?![0-9.])", re.ASCII)
_STRING: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BYTES: Final = re.compile(r":([A-Za-z0-9+/]*={0,2}):", re.ASCII)
_SPACE: Final = re.compile(r"[ \t]*")

Bare: TypeAlias = int | str | bytes | bool


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `text`: as it stands in the field, which is how it is serialised when it is canonical."""

    value: Bare | tuple["Member", ...]
    parameters: dict[str, Bare]
    text: str


class FieldError(ValueError):
    """A field that is no dictionary of what is known here."""


def parse_dictionary(field: str) -> dict[str, Member]:
    """Members by key; of a repeated key the last, as the RFC says. Raises FieldError."""
    if len(field) > FIELD_CHARACTERS or not field.isascii():
        raise FieldError("the field is too long, or no ASCII")
    text = field.strip(" ")
    found: dict[str, Member] = {}
    at = 0
    while at < len(text):
        key, at = _key(text, at)
        if text[at : at + 1] == "=":
            found[key], at = _member(text, at + 1)
        else:
            found[key] = Member(value=True, parameters={}, text="")
        at = _skip(text, at)
        if at == len(text):
            return found
        if text[at] != ",":
            raise FieldError("members are separated by commas")
        at = _skip(text, at + 1)
        if at == len(text):
            raise FieldError("the field ends with a comma")
    return found


def _key(text: str, at: int) -> tuple[str, int]:
    found = _KEY.match(text, at)
    if found is None:
        raise FieldError("a key begins with a small letter")
    return found[0], found.end()


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _member(text: str, begin: int) -> tuple[Member, int]:
    value: Bare | tuple[Member, ...]
    if text[begin : begin + 1] == "(":
        items: list[Member] = []
        at = begin + 1
        while True:
            while text[at : at + 1] == " ":
                at += 1
            if text[at : at + 1] == ")":
                at += 1
                break
            item, at = _item(text, at)
            items.append(item)
            if text[at : at + 1] not in (" ", ")"):
                raise FieldError("items of a list are separated by spaces")
        value = tuple(items)
    else:
        value, at = _bare(text, begin)
    parameters, at = _parameters(text, at)
    return Member(value, parameters, text[begin:at]), at


def _item(text: str, begin: int) -> tuple[Member, int]:
    value, at = _bare(text, begin)
    parameters, at = _parameters(text, at)
    return Member(value, parameters, text[begin:at]), at


def _parameters(text: str, at: int) -> tuple[dict[str, Bare], int]:
    found: dict[str, Bare] = {}
    while text[at : at + 1] == ";":
        at += 1
        while text[at : at + 1] == " ":
            at += 1
        key, at = _key(text, at)
        found[key] = True
        if text[at : at + 1] == "=":
            found[key], at = _bare(text, at + 1)
    return found, at


def _bare(text: str, at: int) -> tuple[Bare, int]:
    for pattern in (_STRING, _BYTES, _INTEGER):
        found = pattern.match(text, at)
        if found is None:
            continue
        if pattern is _STRING:
            return re.sub(r"\\(.)", r"\1", found[1]), found.end()
        if pattern is _INTEGER:
            return int(found[0]), found.end()
        try:
            return b64decode(found[1], validate=True), found.end()
        except (Base64Error, ValueError) as error:
            raise FieldError("a byte sequence is base64") from error
    if text[at : at + 2] in ("?0", "?1"):
        return text[at + 1] == "1", at + 2
    raise FieldError("an item is a string, an integer, bytes or a boolean")
