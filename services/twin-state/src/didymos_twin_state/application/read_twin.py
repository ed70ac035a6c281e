"""The current state of a twin as one caller may see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import READ_TOKEN_TIMEOUT
from didymos_did import Action, TwinId
from didymos_kit.eventlog.partition import partition_of

from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import HotTwins, Marks, Seals, TwinHistory
from didymos_twin_state.domain.twin import Cell, Model, Relation, TwinState, Wish, unpack

PARTITIONS: Final = 64
BLOB_PATH: Final = "*"


@dataclass(frozen=True, slots=True)
class Places:
    """What a consistency token names of ours, by partition: everything below these marks is to be seen."""

    by_part: Mapping[int, Marks]


@dataclass(frozen=True, slots=True)
class Twins:
    """Where states are read: the hot store, and the snapshot of a twin that did not change lately.

    `seconds`: how long a read waits for what its token names, or for a partition that is being recovered.
    """

    hot: HotTwins
    history: TwinHistory
    seals: Seals
    seconds: float

    async def wait(self, places: Places) -> None:
        """Until all places are applied. Raises READ_TOKEN_TIMEOUT."""
        for part, marks in places.by_part.items():
            if not await self.hot.wait(part, marks, self.seconds):
                raise READ_TOKEN_TIMEOUT.problem(partition=part)

    async def state(self, twin: str) -> TwinState:
        """The twin now; an empty one if nothing is known of it. Raises READ_TOKEN_TIMEOUT while it is recovered."""
        part = part_of(twin)
        marks, blob = await self.hot.look(part, twin)
        if marks is None:
            if not await self.hot.wait(part, Marks(), self.seconds):
                raise READ_TOKEN_TIMEOUT.problem(partition=part, detail="the partition is being recovered")
            _, blob = await self.hot.look(part, twin)
        if blob is None:
            stored = await self.history.snapshot(part, twin)
            blob = None if stored is None else await self.seals.open_blob(twin, stored, BLOB_PATH)
        return TwinState() if blob is None else unpack(blob)


@dataclass(frozen=True, slots=True)
class TwinView:
    """What may be seen of a twin. Relations and models go with the right to read any property."""

    twin: TwinId
    state: TwinState
    cells: Mapping[str, Cell]
    desired: Mapping[str, Wish]
    relations: tuple[Relation, ...]
    models: Mapping[str, Model]


def part_of(twin: str) -> int:
    """The partition of a twin, in every topic of twins."""
    return partition_of(twin.encode(), PARTITIONS)


async def read_twin(
    twin: TwinId, reader: Reader, permits: Permits, twins: Twins, action: Action = Action.READ
) -> TwinView:
    """Raises CONSENT_STALE; PLATFORM_NOT_FOUND for a twin that is unknown, erased, or of which nothing may be seen."""
    state = await twins.state(twin)
    names = {*state.cells, *state.desired}
    seen = permits.visible(reader, action, twin, names)
    owner = permits.is_owner(reader, twin)
    if not state.exists or not (seen or owner):
        raise PLATFORM_NOT_FOUND.problem(twin=twin)
    return TwinView(
        twin, state,
        {name: cell for name, cell in state.cells.items() if name in seen},
        {name: wish for name, wish in state.desired.items() if name in seen},
        state.relations, state.models,
    )  # fmt: skip
