"""Which sites are dialled in, what each is to be told, and where what they say goes. One event loop, no lock."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from didymos_did import Did, TwinId
from didymos_kit.telemetry.metrics import Gauge

from didymos_training_orchestration.adapters.journal import AttemptName
from didymos_training_orchestration.adapters.signals import Hello, Signal
from didymos_training_orchestration.domain.run import RunId

WAITING = 4096  # signals of an attempt that nobody took yet
KEPT_RUNS = 16  # of a site: how so many of its runs ended is told again when it dials in


class Session:
    """One open stream of a site. Orders wait here until the stream takes them."""

    def __init__(self, site: Did, hello: Hello) -> None:
        self.site, self.hello = site, hello
        self._orders: deque[bytes] = deque()
        self._stirred = asyncio.Event()
        self.ended = False

    def tell(self, order: bytes) -> None:
        self._orders.append(order)
        self._stirred.set()

    def end(self) -> None:
        """Another stream of this site took its place."""
        self.ended = True
        self._stirred.set()

    async def next(self) -> bytes | None:
        """The next order; None when this stream is over."""
        while not self._orders:
            if self.ended:
                return None
            self._stirred.clear()
            await self._stirred.wait()
        return self._orders.popleft()


class Inbox:
    """What sites say in one attempt."""

    def __init__(self) -> None:
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()

    def put(self, signal: Signal) -> None:
        """Beyond a bound what comes is dropped: who repeats itself so often is told again anyway."""
        if self._signals.qsize() < WAITING:
            self._signals.put_nowait(signal)

    async def take(self, seconds: float) -> Signal | None:
        """The next signal, or None when there was none for so long."""
        try:
            async with asyncio.timeout(seconds):
                return await self._signals.get()
        except TimeoutError:
            return None


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the last round ended, and what is to be done now."""

    closed: bytes | None
    now: bytes | None


class Attendance:
    def __init__(self, present: Gauge) -> None:
        self._sessions: dict[Did, Session] = {}
        self._standing: dict[Did, dict[RunId, _Standing]] = {}
        self._inboxes: dict[AttemptName, Inbox] = {}
        self._present = present
        self._known: set[Did] = set()
        self._stirred = asyncio.Event()
        self.late = 0

    @property
    def sites(self) -> Mapping[Did, Hello]:
        return {site: session.hello for site, session in sorted(self._sessions.items())}

    def knows(self, site: Did) -> bool:
        """Whether it attended: its stream may be broken at the moment, what it does may go on."""
        return site in self._known

    def offered(self, task: str) -> dict[Did, tuple[TwinId, ...]]:
        """Twins by site, of sites that serve this task."""
        return {site: hello.twins for site, hello in self.sites.items() if hello.task in ("", task)}

    def attend(self, site: Did, hello: Hello) -> Session:
        """The site is here; what it is to do is told again. An older stream of it ends."""
        older = self._sessions.get(site)
        if older is not None:
            older.end()
        session = self._sessions[site] = Session(site, hello)
        self._known.add(site)
        for standing in self._standing.get(site, {}).values():
            for order in (standing.closed, standing.now):
                if order is not None:
                    session.tell(order)
        self._changed()
        return session

    def leave(self, session: Session) -> None:
        if self._sessions.get(session.site) is session:
            del self._sessions[session.site]
        self._changed()

    def tell(self, site: Did, run: RunId, order: bytes, *, closing: bool = False) -> None:
        """What the site is to do for this run now, and each time it dials in, until it is told something else.

        The last round's close is told before what follows it: a site that was away must learn how that round ended.
        """
        standing = self._standing.setdefault(site, {})
        closed = standing[run].closed if run in standing else None
        standing[run] = _Standing(order, None) if closing else _Standing(closed, order)
        if len(standing) > KEPT_RUNS:
            over = next((old for old, said in standing.items() if said.now is None and old != run), None)
            if over is not None:
                del standing[over]
        session = self._sessions.get(site)
        if session is not None:
            session.tell(order)

    def heard(self, signal: Signal) -> bool:
        """Whether somebody waits for what this site said; else it is late, and is dropped and counted."""
        inbox = self._inboxes.get(AttemptName(signal.run, signal.round, signal.attempt))
        if inbox is None:
            self.late += 1
            return False
        inbox.put(signal)
        return True

    @contextmanager
    def listening(self, name: AttemptName) -> Iterator[Inbox]:
        inbox = self._inboxes[name] = Inbox()
        try:
            yield inbox
        finally:
            if self._inboxes.get(name) is inbox:
                del self._inboxes[name]

    async def changed(self, seconds: float) -> None:
        """Return when a site comes or goes, at the latest after `seconds`."""
        stirred = self._stirred
        try:
            async with asyncio.timeout(seconds):
                await stirred.wait()
        except TimeoutError:
            return

    async def gathered(self, sites: Iterable[Did], seconds: float) -> None:
        """Return when all of these are here, at the latest after `seconds`."""
        wanted = set(sites)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while wanted - set(self._sessions) and loop.time() < until:
            await self.changed(until - loop.time())

    def _changed(self) -> None:
        self._present.set(len(self._sessions))
        self._stirred.set()
        self._stirred = asyncio.Event()
