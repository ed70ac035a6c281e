"""Protobuf's wire format for the few messages that are made by the hundred. Encoding specification, protobuf.dev.

A message object is made, filled, copied and thrown away; its bytes alone cost a third. The same bytes come out: fields
in the order of their numbers, empty ones left out.
"""

from typing import Final

KEPT: Final = 1 << 15  # of one table: sizes, and days since 1970
_MASK: Final = (1 << 14) - 1


class Numbers(dict[int, bytes]):
    """A field of a number from 0 on, as a table: `Numbers(tag)[7]`. Small ones are made once. `tag`: number * 8.

    0 is left out, as proto3 does; without a tag (the length of what follows) it is there.
    """

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag
        self[0] = b"" if tag else b"\0"

    def __missing__(self, value: int) -> bytes:
        made = self._tag + _varint(value)
        if value < KEPT:
            self[value] = made
        return made


def delimited(tag: bytes, content: bytes) -> bytes:
    """A field of bytes, text or message; nothing if it is empty. `tag`: number * 8 + 2."""
    return tag + SIZE[len(content)] + content if content else b""


def _varint(value: int) -> bytes:
    """7 bits a byte, the lowest first; all but the last have the high bit. Two bytes at once."""
    found = b""
    while value > _MASK:
        found += _PAIRS[value & _MASK]
        value >>= 14
    return found + (_PAIRS[value][:1] + bytes((value >> 7,)) if value > 0x7F else bytes((value,)))


_PAIRS: Final = tuple(bytes([value & 0x7F | 0x80, value >> 7 | 0x80]) for value in range(1 << 14))
SIZE: Final = Numbers(b"")
