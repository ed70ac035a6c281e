"""Where each parameter lies in the flat vector. Slots start at multiples of 16 floats: 64 bytes, one cache line."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Final, Literal, TypeAlias

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.jcs import digest
from didymos_learning.vector import Flat

Scope: TypeAlias = Literal["shared", "personal"]
Shapes: TypeAlias = Iterable[tuple[str, tuple[int, ...]]]
ALIGNMENT: Final = 16  # floats; unaligned views may choose other kernels, hence other bits
LARGEST: Final = 1 << 26  # floats of a layout: 256 MiB


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter: its name in the module, its shape, and its first float in the vector."""

    name: str
    shape: tuple[int, ...]
    offset: int
    scope: Scope

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Slots:
    """What the digest of a layout covers."""

    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The slots of a model in order; `size` floats; `digest` is the SHA-256 of the JCS form of the slots.

    Floats between two slots are padding: zero in every vector. Raises LearningError `training.layout_mismatched` when
    the three do not agree.
    """

    slots: tuple[Slot, ...]
    size: int
    digest: bytes

    def __post_init__(self) -> None:
        arranged, size = _arranged(((slot.name, slot.shape) for slot in self.slots), [s.scope for s in self.slots])
        if (arranged, size) != (self.slots, self.size) or digest(Slots(arranged)) != self.digest:
            raise LearningError("training.layout_mismatched", detail="slots, size and digest do not agree")
        if not 0 < size <= LARGEST or len({slot.name for slot in arranged}) != len(arranged):
            raise LearningError("training.layout_mismatched", detail=f"{size} floats, names {len(arranged)}")

    def slot(self, name: str) -> Slot:
        """Raises LearningError `training.layout_mismatched` for a name that is not there."""
        for slot in self.slots:
            if slot.name == name:
                return slot
        raise LearningError("training.layout_mismatched", detail=f"no slot {name[:64]!r}")

    def view(self, flat: Flat, slot: Slot) -> Flat:
        """The part of `flat` (d,) that holds `slot`, in its shape; a view. Raises LearningError for another length."""
        self.check(flat)
        return flat[slot.offset : slot.offset + slot.size].reshape(slot.shape)

    def check(self, flat: Flat) -> Flat:
        """`flat`, if it is a vector of this layout. Raises LearningError `training.layout_mismatched`."""
        if flat.shape != (self.size,) or flat.dtype != np.float32:
            raise LearningError("training.layout_mismatched", expected=self.size, actual=f"{flat.dtype}{flat.shape}")
        return flat


def _arranged(shapes: Shapes, scopes: Iterable[Scope]) -> tuple[tuple[Slot, ...], int]:
    slots, offset = [], 0
    for (name, shape), scope in zip(shapes, scopes, strict=True):
        slots.append(Slot(name, shape, offset, scope))
        offset += -(-prod(shape) // ALIGNMENT) * ALIGNMENT
    return tuple(slots), offset


def layout_of(shapes: Shapes) -> Layout:
    """The layout of shared parameters with these names and shapes, in this order."""
    named = list(shapes)
    slots, size = _arranged(named, ["shared"] * len(named))
    return Layout(slots, size, digest(Slots(slots)))
