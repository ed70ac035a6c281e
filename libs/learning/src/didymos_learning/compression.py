"""Fewer bytes for what one member sends: top-k with error feedback, int8 with stochastic rounding, rand-k. numpy only.

A member is whoever sends a sum: a site, or a chunk of simulated clients. `encode` gives bytes, `decode` reads a
stranger's bytes. Sources: top-k with memory arXiv 1809.07599, stochastic quantisation 1610.02132.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError
from didymos_learning.spec import CompressionSpec, Masking, RunSpec, derive
from didymos_learning.vector import Flat, flat_bytes, flat_view

BLOCK: Final = 256  # coordinates that share one scale of int8


@dataclass(frozen=True, slots=True)
class Coding:
    """How a vector (width,) becomes bytes and comes back; `seed` is of the round, or of round and member.

    `remembers`: what did not fit is added to the next vector of this member. `public`: the seed is the same for all
    members, so that a coordinate is sent by all of them or by none, and sums stay sums.
    """

    encode: Callable[[Flat, float, int], bytes]
    decode: Callable[[bytes, int, float, int], Flat]
    remembers: bool = False
    public: bool = False
    unmasked: str = ""


def kept(size: int, share: float) -> int:
    """How many of `size` coordinates a share of them is: at least one."""
    return min(size, max(1, ceil(share * size)))


def _whole(raw: bytes, expected: int) -> bytes:
    if len(raw) != expected:
        raise LearningError("training.layout_mismatched", expected=expected, actual=len(raw))
    return raw


def _finite(flat: Flat) -> Flat:
    if not np.isfinite(flat).all():
        raise LearningError("training.update_not_finite")
    return flat


def _encode_top(flat: Flat, share: float, _seed: int) -> bytes:
    """k ascending uint32 places, then k float32: the largest by magnitude, of equal ones the first."""
    count = kept(flat.size, share)
    places = np.sort(np.argsort(-np.abs(flat), kind="stable")[:count]).astype("<u4")
    return places.tobytes() + flat_bytes(flat[places])


def _decode_top(raw: bytes, size: int, share: float, _seed: int) -> Flat:
    count = kept(size, share)
    places = np.frombuffer(_whole(raw, 8 * count)[: 4 * count], dtype="<u4")
    if int(places[-1]) >= size or not (np.diff(places.astype(np.int64)) > 0).all():
        raise LearningError("training.layout_mismatched", detail="places ascend and lie in the vector")
    out = np.zeros(size, dtype=np.float32)
    out[places] = flat_view(raw[4 * count :], count)
    return _finite(out)


def _places(size: int, share: float, seed: int) -> NDArray[np.int64]:
    chance = np.random.Generator(np.random.Philox(key=seed))
    return np.sort(chance.choice(size, kept(size, share), replace=False))


def _encode_random(flat: Flat, share: float, seed: int) -> bytes:
    """k float32 at places that follow from the seed, each times d/k: the mean over seeds is the vector."""
    chosen = flat[_places(flat.size, share, seed)]
    return flat_bytes(np.multiply(chosen, np.float32(flat.size / kept(flat.size, share))))


def _decode_random(raw: bytes, size: int, share: float, seed: int) -> Flat:
    out = np.zeros(size, dtype=np.float32)
    out[_places(size, share, seed)] = flat_view(raw, kept(size, share))
    return _finite(out)


def _encode_int8(flat: Flat, _share: float, seed: int) -> bytes:
    """float32 scales, one in 256 coordinates, then a signed byte each, rounded up or down so that the mean is right."""
    blocks = np.zeros((-(-flat.size // BLOCK), BLOCK), dtype=np.float64)
    blocks.reshape(-1)[: flat.size] = flat
    scales = (np.abs(blocks).max(axis=1) / 127.0).astype(np.float32)
    steps = np.divide(blocks, scales[:, None], out=np.zeros_like(blocks), where=scales[:, None] > 0.0)
    chance = np.random.Generator(np.random.Philox(key=seed)).random(steps.shape)
    rounded = np.clip(np.floor(steps + chance), -127, 127).astype(np.int8)
    return flat_bytes(scales) + bytes(rounded.reshape(-1)[: flat.size])


def _decode_int8(raw: bytes, size: int, _share: float, _seed: int) -> Flat:
    count = -(-size // BLOCK)
    scales = flat_view(_whole(raw, 4 * count + size)[: 4 * count], count)
    rounded = np.frombuffer(raw[4 * count :], dtype=np.int8)
    return _finite(rounded.astype(np.float32) * np.repeat(scales, BLOCK)[:size])


CODINGS: Final[Mapping[str, Coding]] = {
    "top-k": Coding(
        _encode_top, _decode_top, remembers=True,
        unmasked="top-k sends other coordinates for each member: masks of two members would not cancel",
    ),
    "int8": Coding(
        _encode_int8, _decode_int8, unmasked="int8 has a scale for each member: masked integers must share one grid"
    ),
    "rand-k": Coding(_encode_random, _decode_random, public=True),
}  # fmt: skip


def check_compression(spec: CompressionSpec, masking: Masking) -> None:
    """Raises LearningError `training.strategy_not_masked` where masks cannot carry it."""
    coding = CODINGS.get(spec.kind)
    if coding is not None and masking != "none" and coding.unmasked:
        raise LearningError("training.strategy_not_masked", name=spec.kind, masking=masking, detail=coding.unmasked)


class Compressor:
    """What one member's vectors go through on their way. It remembers between rounds, if the coding does."""

    def __init__(self, spec: RunSpec, member: str) -> None:
        self._seed, self._member, self._share = spec.seed, member, spec.strategy.compression.share
        self._coding = CODINGS.get(spec.strategy.compression.kind)
        self.memory: Flat | None = None  # what was not sent yet (width,)
        self.sent = 0  # bytes so far

    def through(self, flat: Flat, round_: int) -> Flat:
        """What the coordinator reads of `flat` (width,) in this round (from 1)."""
        if self._coding is None:
            self.sent += 4 * flat.size
            return flat
        who = () if self._coding.public else (self._member,)
        seed = derive(self._seed, "compression", round_, *who)
        wanted = flat if self.memory is None else flat + self.memory
        raw = self._coding.encode(wanted, self._share, seed)
        self.sent += len(raw)
        read = self._coding.decode(raw, flat.size, self._share, seed)
        if self._coding.remembers:
            self.memory = wanted - read
        return read


def compressor_of(spec: RunSpec, member: str) -> Compressor:
    """The way of this member's vectors in this run."""
    return Compressor(spec, member)
