"""One partition of twins and its single writer: records in, state, history and announcements out, each once.

Everything here is a function of the stored state and the records, so that a replay repeats it exactly (data-path.md
8 to 10). Order of a flush: hot store (atomic, fenced), announcements; then, less often, the durable checkpoint. A crash
anywhere replays from the checkpoint: below the hot marks nothing is written again, below the announced marks nothing is
said again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Final, TypeAlias

from didymos_readings import Profile
from didymos_readings.window import Admission

from didymos_twin_state.application.ports import (
    Announcements,
    Change,
    Control,
    Dirty,
    Held,
    HotCommit,
    HotTwins,
    Lived,
    Marks,
    ParcelRow,
    Refused,
    Seals,
    TwinHistory,
    TwinRow,
)
from didymos_twin_state.domain.command import Command, Create, Outcome, SetLifecycle, apply_command
from didymos_twin_state.domain.reading import OpenParcel, apply_parcels, place
from didymos_twin_state.domain.search import clear_of
from didymos_twin_state.domain.twin import Lifecycle, TwinState, pack, unpack

BLOB_PATH: Final = "*"  # a blob spans all paths of a twin
DIRTY_TWINS: Final = 700  # Lua cannot unpack many thousand arguments: a flush is one call, never split
MEMORY_TWINS: Final = 20_000
LOADED_TWINS: Final = 1_000  # of one query
NOWHERE: Final = Marks()
NO_PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({})
News: TypeAlias = Change | Held | Refused | Lived


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """One record of didymos.readings.v1: its parcels opened; those of destroyed keys are left out and counted."""

    offset: int
    parcels: tuple[ParcelRow, ...]
    erased: int = 0


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One record of didymos.twin.write.v1; without a command if it cannot be read: its offset moves on."""

    offset: int
    command: Command | None


@dataclass(slots=True)
class Counts:
    """What became of the readings of a partition since its worker began."""

    applied: int = 0
    duplicate: int = 0
    held: int = 0
    erased: int = 0


class Partition:
    """The twins of one partition. One owner at a time, told apart by `epoch`; not safe for two tasks at once."""

    def __init__(
        self, part: int, hot: HotTwins, history: TwinHistory, seals: Seals, news: Announcements,
        profiles: Mapping[str, Profile] = NO_PROFILES,
    ) -> None:  # fmt: skip
        self._profiles = profiles
        self._part, self._hot, self._history, self._seals, self._news = part, hot, history, seals, news
        self._twins: dict[str, TwinState] = {}  # those that changed last are the last
        self._fresh: set[str] = set()  # changed since the last flush
        self._results: dict[bytes, Outcome] = {}
        self._pending: list[News] = []
        self._dirty = Dirty()
        self._changed: set[str] = set()  # changed since the last checkpoint
        self._unsaved: set[tuple[str, bytes]] = set()  # (twin, digest) of parcels that wait for the checkpoint
        self._epoch = 0
        self._reached = self._durable = Marks()
        self._hot_marks: Marks | None = None
        self._replay_to = self._announced = Marks()
        self.counts = Counts()

    @property
    def reached(self) -> Marks:
        return self._reached

    @property
    def unsaved(self) -> bool:
        """Whether a checkpoint would store something."""
        return self._reached != self._durable

    async def claim(self, owner: str, ends: Marks = NOWHERE) -> Marks:
        """Take the partition and say where to start reading both inputs. Raises Fenced.

        `ends`: where the inputs end now. If the hot store was wiped, nothing is shown before they are reached: readers
        may have seen it already.
        """
        checkpoint = await self._history.claim(self._part, owner)
        control = await self._hot.claim(self._part, checkpoint.epoch)
        if control.marks is None or not control.marks.reached(checkpoint.marks):
            await self._hot.wipe(self._part, checkpoint.epoch)  # wiped or fallen back: what is durable is newer
            control = Control(checkpoint.epoch, None, control.announced)
        self._epoch = checkpoint.epoch
        self._reached = self._durable = checkpoint.marks
        self._hot_marks = control.marks
        self._replay_to = control.marks or ends
        self._announced = control.announced
        return checkpoint.marks

    async def readings(self, records: Sequence[ReadingRecord]) -> None:
        """Apply records of the readings topic, in order of offsets."""
        named = [row.parcel.twin for each in records if each.offset >= self._reached.readings for row in each.parcels]
        await self._load(dict.fromkeys(named))
        for record in records:
            if record.offset < self._reached.readings:
                continue
            by_twin: dict[str, list[ParcelRow]] = {}
            for row in record.parcels:
                by_twin.setdefault(row.parcel.twin, []).append(row)
            for twin, rows in by_twin.items():
                await self._parcels(twin, rows)
            self.counts.erased += record.erased
            self._reached = replace(self._reached, readings=record.offset + 1)
            if len(self._fresh) >= DIRTY_TWINS:
                await self.flush()

    async def writes(self, records: Sequence[WriteRecord]) -> None:
        """Apply records of the write topic, in order of offsets."""
        for record in records:
            if record.offset < self._reached.writes:
                continue
            if record.command is not None:
                await self._command(record.offset, record.command)
            self._reached = replace(self._reached, writes=record.offset + 1)
            if len(self._fresh) >= DIRTY_TWINS:
                await self.flush()

    async def flush(self) -> None:
        """Make what was applied visible, then announce it. Nothing happens while a replay is below the hot marks."""
        if not self._reached.reached(self._replay_to):
            return
        if self._hot_marks is None or self._hot_marks != self._reached or self._fresh:
            blobs = {twin: pack(self._twins[twin]) for twin in self._fresh}
            while len(blobs) > DIRTY_TWINS:  # after a long replay; nobody loads state from there, so it may be split
                first = {twin: blobs.pop(twin) for twin in list(blobs)[:DIRTY_TWINS]}
                await self._hot.fill(self._part, self._epoch, first)
            results = {command: outcome.name.encode() for command, outcome in self._results.items()}
            await self._hot.commit(
                HotCommit(self._part, self._epoch, self._hot_marks, self._reached, self._announced, blobs, results)
            )
            self._hot_marks = self._reached
            self._fresh.clear()
            self._results.clear()
        if self._pending:
            await self._news.announce(self._pending)
            self._pending.clear()
        self._announced = self._reached

    async def checkpoint(self) -> None:
        """Store history, snapshots and marks in one transaction. Raises Fenced, Moved."""
        await self.flush()
        if self._reached == self._durable or not self._reached.reached(self._replay_to):
            return
        for twin in self._changed:
            state = self._twins[twin]
            blob = await self._seals.seal_blob(twin, pack(state), BLOB_PATH)
            if blob is not None:
                self._dirty.blobs[twin] = blob
            clear = clear_of(state, self._profiles.get(state.profile))
            self._dirty.twins[twin] = TwinRow(
                twin, self._part, state.owner, state.profile, state.lifecycle, state.revision, state.relations, clear,
                state.keep_days,
            )  # fmt: skip
        await self._history.checkpoint(self._part, self._epoch, self._durable, self._reached, self._dirty)
        self._durable = self._reached
        self._dirty = Dirty()
        self._changed.clear()
        self._unsaved.clear()
        for twin in list(islice(self._twins, max(0, len(self._twins) - MEMORY_TWINS))):
            del self._twins[twin]  # it is in the snapshot now

    async def _twin(self, twin: str) -> TwinState:
        if twin not in self._twins:
            await self._load([twin])
        return self._twins[twin]

    async def _load(self, twins: Collection[str]) -> None:
        """Twins as of the marks: those not in memory come from the snapshot, or are new.

        Never from the hot store: during a replay it is ahead, and afterwards memory holds every twin that changed
        since the snapshot.
        """
        missing = [twin for twin in twins if twin not in self._twins]
        for first in range(0, len(missing), LOADED_TWINS):
            some = missing[first : first + LOADED_TWINS]
            stored = await self._history.snapshots(self._part, some)
            for twin in some:
                blob = stored.get(twin)
                plain = None if blob is None else await self._seals.open_blob(twin, blob, BLOB_PATH)
                self._twins[twin] = TwinState() if plain is None else unpack(plain)

    async def _parcels(self, name: str, rows: Sequence[ParcelRow]) -> None:
        """All that one record holds of one twin: one state, one change. Nothing is kept before history was asked."""
        twin = await self._twin(name)
        after, cells, found = apply_parcels(twin, [row.parcel for row in rows])
        admissions, late = await self._looked_up(name, rows, found)
        for parcel in late:
            after, placed = place(after, parcel)
            cells |= placed
        for row, admission in zip(rows, admissions, strict=True):
            parcel = row.parcel
            if admission is Admission.NEW:
                self.counts.applied += parcel.count
                self._dirty.parcels.append(row)
                self._unsaved.add((name, parcel.digest))
            elif admission is Admission.CONFLICT:
                self.counts.held += parcel.count
                self._dirty.held.append(row)
                self._say(Held(self._part, parcel.offset, parcel, "batch.number_conflict"), self._announced.readings)
            else:
                self.counts.duplicate += parcel.count
        if Admission.NEW in admissions:
            self._keep(name, after)
            offset = rows[0].parcel.offset
            change = Change(name, after.owner, after.revision, "readings", self._part, offset, cells, after)
            self._say(change, self._announced.readings)

    async def _looked_up(
        self, name: str, rows: Sequence[ParcelRow], admissions: Sequence[Admission]
    ) -> tuple[Sequence[Admission], Sequence[OpenParcel]]:
        """The same, with what history says of parcels below the window; those among them that it does not hold."""
        if Admission.BELOW not in admissions:
            return admissions, ()
        found, late = list(admissions), dict[bytes, OpenParcel]()
        for at, (row, admission) in enumerate(zip(rows, admissions, strict=True)):
            if admission is Admission.BELOW:
                digest = row.parcel.digest
                known = (name, digest) in self._unsaved or digest in late
                if known or await self._history.holds(name, digest, row.t_min_us) is not None:
                    found[at] = Admission.DUPLICATE
                else:
                    found[at], late[digest] = Admission.NEW, row.parcel
        return found, list(late.values())

    async def _command(self, offset: int, command: Command) -> None:
        twin = await self._twin(command.twin)
        after, outcome = apply_command(twin, command)
        if outcome is not Outcome.REPEATED:
            self._results[command.id] = outcome
        if outcome is Outcome.APPLIED:
            self._keep(command.twin, after)
            change = Change(command.twin, after.owner, after.revision, "writes", self._part, offset, {}, after, command)
            self._say(change, self._announced.writes)
            if isinstance(command.body, Create | SetLifecycle):
                lived = Lived(
                    self._part, offset, command.twin, after.owner, after.profile, Lifecycle(after.lifecycle),
                    after.revision, command.at_us,
                )  # fmt: skip
                self._say(lived, self._announced.writes)
        elif command.proposal and outcome is not Outcome.REPEATED:
            self._say(Refused(self._part, offset, command, outcome), self._announced.writes)

    def _keep(self, twin: str, state: TwinState) -> None:
        self._twins.pop(twin, None)
        self._twins[twin] = state
        self._fresh.add(twin)
        self._changed.add(twin)

    def _say(self, news: News, announced: int) -> None:
        if news.offset >= announced:
            self._pending.append(news)
