"""The state of one twin, as one value: what a blob in the hot store and a row of a snapshot hold.

Frozen structs that msgpack writes as arrays. `LAYOUT` changes when a field moves; a reader refuses one that it does
not know.
"""

from enum import IntEnum
from typing import Final, NewType, TypeAlias

import msgspec

LAYOUT: Final = 1
KEPT_COMMANDS: Final = 32  # ids of the last writes: a repeat of one of them changes nothing

TwinId = NewType("TwinId", str)
Scalar: TypeAlias = float | int | bool | str | tuple[float, float, float] | None
Order: TypeAlias = tuple[int, str, int, int, int, int]  # observed_at us, device, stream, number, turn, index


class Lifecycle(IntEnum):
    DRAFT = 1
    ACTIVE = 2
    SUSPENDED = 3
    RETIRED = 4
    ERASED = 5


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """The reported value of a property, with its place in the merge order. A value of None is "unknown"."""

    value: Scalar
    observed_at_us: int
    device: str
    stream: int
    number: int
    index: int
    quality: int
    flags: int
    unit: str
    turn: int = 0  # of batches without a number the later one holds; see OpenParcel
    assurance: int = 0  # what vouches for it, as its parcel says; 0 of state that is older than this field

    @property
    def order(self) -> Order:
        return (self.observed_at_us, self.device, self.stream, self.number, self.turn, self.index)


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """A desired value. `grant` is empty for the owner; `expires_at_us` 0 does not expire."""

    value: Scalar
    unit: str
    actor: str
    grant: str
    set_at_us: int
    expires_at_us: int


class Relation(msgspec.Struct, frozen=True, array_like=True):
    """An edge to another twin, listed backwards once the target accepts."""

    name: str
    target: str
    accepted: bool


class Model(msgspec.Struct, frozen=True, array_like=True):
    """The model that serves a task of this twin."""

    model_id: str
    task: str
    personal: bool


class TwinState(msgspec.Struct, frozen=True, array_like=True):
    """One twin. `revision` counts writes, `position` is the next readings offset; each replays exactly by itself."""

    layout: int = LAYOUT
    revision: int = 0
    position: int = 0
    lifecycle: int = 0  # 0: only readings so far, nobody created it yet
    owner: str = ""
    profile: str = ""
    cells: dict[str, Cell] = {}
    desired: dict[str, Wish] = {}
    relations: tuple[Relation, ...] = ()
    models: dict[str, Model] = {}
    windows: dict[str, bytes] = {}  # device to its anti-replay window, packed
    commands: tuple[bytes, ...] = ()  # ids of the last KEPT_COMMANDS writes
    proposal: int = 0  # highest offset of didymos.twin.command.v1 that was decided, plus one
    keep_days: int = 0  # how long its past is kept; 0: as long as the house keeps it
    withdrawn: dict[str, str] = {}  # task to its own model that lost its gain, until another one is attached

    @property
    def exists(self) -> bool:
        return self.lifecycle not in (0, Lifecycle.ERASED)


_DECODER = msgspec.msgpack.Decoder(TwinState)
_ENCODER = msgspec.msgpack.Encoder()


def pack(twin: TwinState) -> bytes:
    return _ENCODER.encode(twin)


def unpack(raw: bytes) -> TwinState:
    """Raises msgspec.ValidationError or DecodeError for bytes of no, or of another, layout."""
    twin = _DECODER.decode(raw)
    if twin.layout != LAYOUT:
        raise msgspec.ValidationError(f"layout {twin.layout}, this version knows {LAYOUT}")
    return twin


def with_changes(twin: TwinState, **changes: object) -> TwinState:
    """`twin` with `changes`."""
    return msgspec.structs.replace(twin, **changes)
