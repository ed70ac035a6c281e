"""Which partition a record goes to: the function of Kafka's own producers, so other clients agree with us."""

from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
CACHED_ROUTES: Final = 1 << 17  # about 20 MB; a twin's DID is hashed once instead of with each record


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, unsigned, with the seed of Kafka's `Utils.murmur2`."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=CACHED_ROUTES)
def _positive(route: bytes) -> int:
    return murmur2(route) & 0x7FFFFFFF


def partition_of(route: bytes, partitions: int) -> int:
    """0 .. partitions - 1. platform.md section 7."""
    return _positive(route) % partitions
