"""Clients that are sites: they dial in, train where the data lies, and send sums, masked or clear. learning.md 6."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from didymos.training.v1 import training_types_pb2 as pb
from didymos_did import Did, DidError, TwinId, parse_did
from didymos_kit import log
from didymos_learning import Flat, RunSpec
from didymos_learning.strategies import Broadcast
from didymos_privacy import Masked, Refuse

from didymos_training_orchestration.adapters.clear_attempt import ClearAttempt
from didymos_training_orchestration.adapters.journal import AttemptName, Entry
from didymos_training_orchestration.adapters.masked_attempt import Desk, MaskedAttempt
from didymos_training_orchestration.adapters.signals import Clear, Personal, Signal, finite, parse_signal, plain_text
from didymos_training_orchestration.application.results import Offer, Order, Result
from didymos_training_orchestration.domain.contribution import SubjectReport

DIGEST_BYTES = 32


class SiteClients:
    """Fills `Clients`. What an attempt needs to go on after a restart is in the journal and among the objects."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def keeps(self, spec: RunSpec) -> bool:
        del spec
        return True

    def engine(self, spec: RunSpec) -> str:
        """Sites train client by client, whatever the run names."""
        del spec
        return "loop"

    async def offered(self, spec: RunSpec) -> Offer:
        return Offer(sites=self._desk.attendance.offered(spec.model.layout.digest.hex()))

    async def changed(self, seconds: float) -> None:
        await self._desk.attendance.changed(seconds)

    async def open(self, order: Order, params: Flat, broadcast: Broadcast = ()) -> None:
        """Sites fetch `params` by their digest: nothing to do before `results`. No strategy broadcasts to them."""

    async def results(self, order: Order) -> AsyncIterator[Result]:
        kind = MaskedAttempt if order.spec.masking == "pairwise" else ClearAttempt
        attempt = kind(order, self._desk, order.training_us / 1e6)
        with self._desk.attendance.listening(_name(order)) as inbox:
            async for result in attempt.results(inbox):
                yield result

    async def close(self, order: Order, outcome: str, reason: str) -> None:
        """Tell all members, and drop the vectors that they delivered."""
        told = self._desk.book.close(order, outcome, reason)
        for site in order.cohort.names:
            self._desk.attendance.tell(site, order.run, told, closing=True)
        for entry in await self._desk.journal.entries(_name(order)):
            if entry.site is not None and entry.step in ("masked", "clear"):
                said = parse_signal(entry.signal, entry.site).said
                if isinstance(said, Masked | Clear):
                    await self._desk.objects.drop(said.vector)
        await self._desk.journal.forget(order.run, order.round)

    async def personalise(self, order: Order, params: Flat) -> Sequence[SubjectReport]:
        del params  # sites fetch them by digest
        waiting, found = set(order.cohort.names), dict[TwinId, SubjectReport]()
        name = _name(order)
        with self._desk.attendance.listening(name) as inbox:
            for entry in await self._desk.journal.entries(name):
                if entry.site is not None:
                    waiting.discard(entry.site)
                    found |= await self._reported(order, parse_signal(entry.signal, entry.site))
            for site in sorted(waiting):
                self._desk.attendance.tell(site, order.run, self._desk.book.personalise(order))
            await self._desk.attendance.gathered(waiting, self._desk.patience.return_seconds)
            loop = asyncio.get_running_loop()
            until = loop.time() + order.training_us / 1e6
            while waiting:
                signal = await inbox.take(max(until - loop.time(), 0.0))
                if signal is None:
                    break
                if signal.site not in waiting or not isinstance(signal.said, Personal | Refuse):
                    continue
                waiting.discard(signal.site)
                await self._desk.journal.add(name, Entry(signal.site, signal.step, signal.raw))
                found |= await self._reported(order, signal)
        for site in sorted(waiting):
            log.get().warning("training.report_missing", run=order.run, site=site)
        for site in order.cohort.names:
            self._desk.attendance.tell(site, order.run, self._desk.book.close(order, "committed", ""), closing=True)
        return [found[twin] for twin in sorted(found)]

    async def _reported(self, order: Order, signal: Signal) -> dict[TwinId, SubjectReport]:
        """Lines about the subjects of this site, and of no others."""
        if not isinstance(signal.said, Personal):
            return {}
        member = order.cohort.member(signal.site)
        own = {subject.twin for subject in member.subjects} if member is not None else set()
        lines = [await self._line(signal.site, line) for line in signal.said.subjects]
        return {line.twin: line for line in lines if line is not None and line.twin in own}

    async def _line(self, site: Did, said: pb.SubjectReport) -> SubjectReport | None:
        try:
            twin = TwinId(parse_did(said.twin))
        except DidError:
            return None
        model = await self._model(said.model)
        return SubjectReport(
            twin=twin, site=site, accepted=said.accepted, reason=plain_text(said.reason, 128),
            candidate=plain_text(said.candidate, 64), bound=finite(said.bound), gate_windows=said.gate_windows,
            test_windows=said.test_windows, rmse_last_value=finite(said.rmse_last_value),
            rmse_own=finite(said.rmse_own), rmse_global=finite(said.rmse_global),
            rmse_personal=finite(said.rmse_personal), score=finite(said.score),
            interval_low=finite(said.interval_low), interval_high=finite(said.interval_high), model=model,
            rmse_gate=finite(said.rmse_gate), input_shift=finite(said.input_shift),
            gain_low=finite(said.gain_low), gain_high=finite(said.gain_high),
        )  # fmt: skip

    async def _model(self, said: bytes) -> bytes:
        """The digest of the sealed parameters: delivered before, or inside the report. Empty: none are here."""
        if len(said) == DIGEST_BYTES:
            return said if await self._desk.objects.get(said) is not None else b""
        return await self._desk.objects.put(said) if said else b""


def _name(order: Order) -> AttemptName:
    return AttemptName(order.run, order.round, order.attempt)
