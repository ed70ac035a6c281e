"""One masked attempt: the coordinator of `didymos-sa-1` between a journal and the sites. privacy.md sections 3 and 11.

The machine decides; this shell journals what takes effect, tells each site what the machine says, and waits.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from didymos_did import Did
from didymos_kit import log
from didymos_privacy import (
    Aborted,
    Advert,
    Advertising,
    CoordinatorAgreeing,
    CoordinatorConfirming,
    CoordinatorMasking,
    CoordinatorSharing,
    CoordinatorState,
    CoordinatorUnmasking,
    Done,
    From,
    Masked,
    PrivacyError,
    SiteMessage,
    TimeIsUp,
    collect,
    expected_digest,
    invite,
    order_for,
    stage,
    survivors_of,
)

from didymos_training_orchestration.adapters.attendance import Attendance, Inbox
from didymos_training_orchestration.adapters.journal import AttemptName, Entry, SqlJournal
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.adapters.orders import OrderBook
from didymos_training_orchestration.adapters.signals import Clear, Heartbeat, Hello, Personal, Signal, parse_signal
from didymos_training_orchestration.adapters.unmasking import attempt_of, dimension, unmask
from didymos_training_orchestration.application.results import Broken, Lost, Opened, Order, Reached, Result, Stage

STAGES: Final[Mapping[str, Stage]] = {stage.name: stage for stage in Stage}
ADVERTISE: Final = "ADVERTISE"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that each stage waits for answers. After a restart it begins when the sites are back."""

    setup_seconds: float = 60.0
    mask_seconds: float = 120.0
    confirm_seconds: float = 60.0
    unmask_seconds: float = 60.0
    return_seconds: float = 120.0

    def of(self, name: str) -> float:
        return {
            "AGREE": self.setup_seconds, "SHARE": self.setup_seconds, "MASK": self.mask_seconds,
            "CONFIRM": self.confirm_seconds, "UNMASK": self.unmask_seconds,
        }[name]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Desk:
    """What an attempt works with."""

    attendance: Attendance
    journal: SqlJournal
    objects: FileObjects
    book: OrderBook
    patience: Patience


class MaskedAttempt:
    def __init__(self, order: Order, desk: Desk, training_seconds: float) -> None:
        self._order, self._desk, self._training_seconds = order, desk, training_seconds
        self._name = AttemptName(order.run, order.round, order.attempt)
        self._signals: dict[tuple[str, str], bytes] = {}
        self._state: CoordinatorState = invite(attempt_of(order), order.cohort.names)

    async def results(self, inbox: Inbox) -> AsyncIterator[Result]:
        resumed = await self._replay()
        last = members_of(self._state)
        while True:
            state, name = self._state, stage(self._state)
            for lost in sorted(set(last) - set(members_of(state))):
                yield Lost(lost, _left_in(state))
            last = members_of(state)
            if isinstance(state, Aborted):
                yield Broken(state.code)
                return
            if isinstance(state, Done):
                yield await self._opened(state)
                return
            if name != ADVERTISE:
                yield Reached(STAGES[name], last)
            self._tell(state)
            if resumed:
                await self._desk.attendance.gathered(last, self._desk.patience.return_seconds)
                resumed = False
            await self._wait(inbox, name)

    async def _replay(self) -> bool:
        """Where a coordinator before us stood. Whether there was one."""
        entries = await self._desk.journal.entries(self._name)
        for entry in entries:
            if entry.site is None:
                self._state = collect(self._state, TimeIsUp(entry.step))
                continue
            signal = parse_signal(entry.signal, entry.site)
            message = signal.said
            if not isinstance(message, Hello | Heartbeat | Clear | Personal):
                self._take(signal, message)
        return bool(entries)

    def _take(self, signal: Signal, message: SiteMessage) -> None:
        self._state = collect(self._state, From(signal.site, signal.list, message))
        self._signals[signal.site, signal.step] = signal.raw

    def _tell(self, state: CoordinatorState) -> None:
        """Each site what it is to do now; before there is a list that is to train."""
        for site in self._order.cohort.names:
            if isinstance(state, Advertising):
                asks = self._desk.book.evaluate if self._order.evaluates else self._desk.book.open
                told = asks(self._order, site)
            else:
                order = order_for(state, site)
                if order is None:
                    continue
                told = self._desk.book.masking(self._order, order, expected_digest(state), self._signals)
            self._desk.attendance.tell(site, self._order.run, told)

    async def _wait(self, inbox: Inbox, name: str) -> None:
        """Until the machine leaves stage `name`: all answered, or the time is up."""
        seconds = self._training_seconds if name == ADVERTISE else self._desk.patience.of(name)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while stage(self._state) == name:
            left = until - loop.time()
            signal = await inbox.take(left) if left > 0 else None
            if signal is None:
                await self._desk.journal.add(self._name, Entry(None, name))
                self._state = collect(self._state, TimeIsUp(name))
                return
            await self._hear(signal)

    async def _hear(self, signal: Signal) -> None:
        """Try it, journal it, let it take effect. What the machine refuses leaves no trace but a log line."""
        message = signal.said
        if isinstance(message, Hello | Heartbeat | Clear | Personal):
            return
        try:
            if isinstance(message, Masked):
                await self._check_vector(message)
            if isinstance(message, Advert):
                self._check_size(signal.site, message)
            if collect(self._state, From(signal.site, signal.list, message)) == self._state:
                return
        except PrivacyError as error:
            log.get().warning(
                "training.signal_refused", run=self._order.run, round=self._order.round, site=signal.site,
                step=signal.step, code=error.code, detail=error.detail,
            )  # fmt: skip
            return
        await self._desk.journal.add(self._name, Entry(signal.site, signal.step, signal.raw))
        self._take(signal, message)

    def _check_size(self, site: Did, advert: Advert) -> None:
        """Raises PrivacyError `privacy.advert_invalid` for more subjects than were admitted there."""
        member = self._order.cohort.member(site)
        if member is None or advert.subjects > member.size:
            raise PrivacyError("privacy.advert_invalid", "more subjects than may take part at this site")

    async def _check_vector(self, masked: Masked) -> None:
        """Raises PrivacyError `privacy.vector_mismatched` unless the vector lies here, with the bytes it must have."""
        vector = await self._desk.objects.get(masked.vector)
        wanted = 4 * dimension(self._order)
        if vector is None or len(vector) != wanted:
            there = "nothing" if vector is None else f"{len(vector)} bytes"
            raise PrivacyError("privacy.vector_mismatched", f"{there} delivered, {wanted} bytes expected")

    async def _opened(self, done: Done) -> Result:
        survivors = survivors_of(done)
        vectors = [await self._desk.objects.get(digest) for _, digest in survivors]
        there = [vector for vector in vectors if vector is not None]
        if len(there) != len(vectors):
            return Broken("privacy.vector_mismatched")
        total = await asyncio.to_thread(unmask, done, there, self._order)
        transcript = done.attempt.transcript(expected_digest(done))
        return Opened(tuple(Did(site) for site, _ in survivors), total, transcript)


def members_of(state: CoordinatorState) -> tuple[Did, ...]:
    """Who is in this attempt as it stands: the survivors once they are fixed."""
    match state:
        case Advertising(invited=invited):
            names = invited
        case Aborted():
            return ()
        case CoordinatorAgreeing():
            return tuple(Did(advert.site) for advert in state.cohort.adverts)
        case CoordinatorSharing():
            return _at(state, [place for place, _ in state.agreed])
        case CoordinatorMasking():
            return _at(state, [place for place, _ in state.shared])
        case CoordinatorConfirming() | CoordinatorUnmasking() | Done():
            names = tuple(site for site, _ in survivors_of(state))
    return tuple(map(Did, names))


def _at(state: CoordinatorSharing | CoordinatorMasking, places: list[int]) -> tuple[Did, ...]:
    return tuple(Did(state.cohort.adverts[place].site) for place in places)


def _left_in(state: CoordinatorState) -> str:
    """Why a member is lost: it did not answer the stage before this one, or the attempt broke."""
    return state.code if isinstance(state, Aborted) else "deadline"
