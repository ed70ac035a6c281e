"""The line to the coordinator: dial, say who is here, carry out what is ordered, and dial again. Nothing listens."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from didymos.identity.v1.identity_service_pb2 import WatchRequest
from didymos.identity.v1.identity_service_pb2_grpc import GrantsStub
from didymos.training.v1 import training_types_pb2 as pb
from didymos.training.v1.training_service_pb2_grpc import RoundsStub
from didymos_contracts.errors import Problem
from didymos_did import TwinId
from didymos_kit import log
from didymos_kit.rpc import Peer

from didymos_site.adapters.consent import WatchedConsent
from didymos_site.adapters.protobuf import OrderRefused, Trust, parse_order
from didymos_site.adapters.voice import SignedVoice
from didymos_site.application.answer_order import answer_order
from didymos_site.application.ports import Away, Ports


class Changed(Exception):  # noqa: N818 - a reason to dial again
    """Owners put other grants into the folder: the site offers other twins."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses between two dials: full jitter between nothing and a bound that doubles. `beat`: between heartbeats."""

    first_seconds: float = 1.0
    most_seconds: float = 60.0
    beat_seconds: float = 10.0

    def pause(self, failures: int) -> float:
        """Before dial `failures` + 1."""
        return random.uniform(0.0, min(self.most_seconds, self.first_seconds * 2.0 ** min(failures, 16)))


@dataclass
class Site:
    """A running site. `coordinator`, `identity`: peers with tokens."""

    coordinator: Peer
    identity: Peer
    consent: WatchedConsent
    voice: SignedVoice
    ports: Ports
    trust: Trust
    patience: Patience = field(default_factory=Patience)
    _heard: set[str] = field(default_factory=set)  # lines that were answered since they were dialled

    async def run(self) -> None:
        """Until cancelled. Ends by itself only when the store fails."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._dialling("consent", self._watch))
            loops.create_task(self._dialling("rounds", self._attend))

    async def _dialling(self, what: str, dialled: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            begun = self.ports.clock.monotonic()
            self._heard.discard(what)
            try:
                await dialled()
            except Changed:
                failures = 0
                continue
            except (Problem, Away) as error:
                code = error.row.code if isinstance(error, Problem) else "platform.unavailable"
                log.get().warning("site.line_lost", line=what, code=code, said=str(error)[:200])
            if what in self._heard or self.ports.clock.monotonic() - begun > self.patience.most_seconds:
                failures = 0
            failures += 1
            await asyncio.sleep(self.patience.pause(failures))

    async def _watch(self) -> None:
        twins = tuple(self.ports.subjects)
        wanted = WatchRequest(twins=list(twins), enrolment=self.voice.enrolment)
        async with aclosing(GrantsStub(self.identity.channel).Watch(wanted)) as responses:  # type: ignore[type-var]
            async for response in responses:
                self._heard.add("consent")
                self.consent.told(response)

    async def _attend(self) -> None:
        while not self.consent.fresh:  # every order would be refused as stale: the coordinator waits for who returns
            await self.consent.settle()
        twins = self.consent.reload()
        outbox: asyncio.Queue[bytes] = asyncio.Queue()
        log.get().info("site.attends", site=self.voice.site, twins=len(twins))
        try:
            async with asyncio.TaskGroup() as line:
                beats = line.create_task(self._beat(outbox, twins))
                said = self._said(outbox, twins)
                async with aclosing(RoundsStub(self.coordinator.channel).Attend(said)) as orders:  # type: ignore[type-var]
                    async for order in orders:
                        self._heard.add("rounds")
                        signal = await self._answer(order)
                        if signal is not None:
                            outbox.put_nowait(signal)
                beats.cancel()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from ended

    async def _said(self, outbox: "asyncio.Queue[bytes]", twins: tuple[TwinId, ...]) -> AsyncIterator[pb.SiteSignal]:
        yield pb.SiteSignal.FromString(self.voice.hello(twins))
        while True:
            yield pb.SiteSignal.FromString(await outbox.get())

    async def _beat(self, outbox: "asyncio.Queue[bytes]", twins: tuple[TwinId, ...]) -> None:
        while True:
            await asyncio.sleep(self.patience.beat_seconds)
            if self.consent.reload() != twins:
                raise Changed
            outbox.put_nowait(self.voice.heartbeat(self.ports.clock.now_us()))

    async def _answer(self, order: pb.Order) -> bytes | None:
        try:
            parsed, digest = parse_order(order, self.trust)
        except OrderRefused as refused:
            problem, header = refused.problem, refused.header
            log.get().warning("site.refused", run=header.run, round=header.round, code=problem.row.code)
            return self.voice.refuse(header, problem.row.code, str(problem.values.get("detail", "")))
        except Problem as problem:
            log.get().warning("site.order_ignored", code=problem.row.code)
            return None
        return await answer_order(parsed, digest, self.ports)
