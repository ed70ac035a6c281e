"""The provenance log: durable append against a bare write and fsync, and what a verifier does."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from didymos_ledger.adapters.file_log import FileLog, open_file_log
from didymos_ledger.domain.batch import EntryDraft
from didymos_provenance import Json, append, b64url, build_bundle, encode_entries, leaf_hash, verify_bundle
from didymos_provenance.merkle import Frontier
from didymos_testing.provenance import (
    NOON,
    ORG,
    ALog,
    a_did_signer,
    a_log_signer,
    a_policy,
    a_signed,
    a_thread,
    a_witness_signer,
    some_orgs,
)

from tests.bench.measure import Measure, interleaved, measure

BATCH: Final = 1024
APPENDS: Final = 20  # batches of one timed run
APPENDERS: Final = 4  # at once: one is prepared while another is synced
ROUNDS: Final = 7
ENTRY: Final = b"e" * 172
BUILD: Final = Path(__file__).resolve().parents[2] / "build"  # a disk: the folder for temporary files may be memory
VERDICTS: Final = 20


class Drafts:
    """Batches of new events, made before the clock starts."""

    def __init__(self, batches: int) -> None:
        thread = a_thread("bench")
        self._batches = [
            [EntryDraft(os.urandom(16), "grant.issued", thread, os.urandom(32)) for _ in range(BATCH)]
            for _ in range(batches)
        ]

    def next(self) -> list[EntryDraft]:
        return self._batches.pop()


class Bare:
    """One file: the same bytes, written and synced batch by batch; with `hashed`, leaves and root as well."""

    def __init__(self, path: Path, *, hashed: bool) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._hashed, self._frontier = hashed, Frontier()

    async def append(self) -> None:
        for _ in range(APPENDS):
            os.write(self._file, encode_entries([ENTRY] * BATCH))
            os.fdatasync(self._file)
            if self._hashed:
                self._frontier, _ = append(self._frontier, [leaf_hash(ENTRY) for _ in range(BATCH)])

    def close(self) -> None:
        os.close(self._file)


async def in_turn(ours: Callable[[], Awaitable[None]], *others: Callable[[], Awaitable[None]]) -> list[float]:
    """Median seconds of each, called in turn after one warm-up each."""
    taken: list[list[float]] = [[] for _ in range(1 + len(others))]
    for round_number in range(ROUNDS + 1):
        for work, into in zip((ours, *others), taken, strict=True):
            begun = time.perf_counter()
            await work()
            if round_number:
                into.append(time.perf_counter() - begun)
    return [sorted(times)[len(times) // 2] for times in taken]


async def append_lines() -> list[Measure]:
    drafts = Drafts((ROUNDS + 1) * APPENDS)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        place = Path(folder)
        written, hashed = Bare(place / "written", hashed=False), Bare(place / "hashed", hashed=True)
        async with open_file_log(place / "log", ORG, a_log_signer(), lambda: NOON) as log:

            async def ours(into: FileLog = log) -> None:
                async def appender() -> None:
                    for _ in range(APPENDS // APPENDERS):
                        await into.append(drafts.next())

                await asyncio.gather(*(appender() for _ in range(APPENDERS)))

            took, bare, with_hash = await in_turn(ours, written.append, hashed.append)
        written.close()
        hashed.close()
    count = APPENDS * BATCH
    return [
        measure(
            "durable append, batch 1,024", count / took, "entries/s", against=f"hash + fsync {count / with_hash:,.0f}",
            ratio=with_hash / took, goal=0.6,
        ),
        measure("the same", count / took, "entries/s", against=f"write + fsync {count / bare:,.0f}", ratio=bare / took),
        measure("the same, absolute", count / took, "entries/s", goal=50_000),
    ]  # fmt: skip


async def checkpoint_lines() -> list[Measure]:
    """From the answer of an append to a checkpoint that covers it, on an idle log."""
    drafts, waits = Drafts(20), list[float]()
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        async with open_file_log(Path(folder) / "log", ORG, a_log_signer(), lambda: NOON) as log:
            for _ in range(20):
                await log.append(drafts.next()[:8])
                begun, size = time.perf_counter(), log.head().checkpoint.size
                async for _ in log.grown(size):
                    waits.append(time.perf_counter() - begun)
                    break
    return [measure("append to checkpoint, worst of 20", max(waits), "s")]


def verify_lines() -> list[Measure]:
    """`verify` of a payout, against checking its signatures alone: 2 + 2 of records, 1 + 3 of each checkpoint."""
    log = ALog(witnesses=[a_witness_signer(f"witness-{number}") for number in (1, 2, 3)])
    raw, policy, orgs = a_payout(log)
    if verify_bundle(raw, policy, orgs, NOON + 120).exit != 0:
        raise RuntimeError(verify_bundle(raw, policy, orgs, NOON + 120).reason)
    key = log.signer
    signature = key.sign(ENTRY)

    def ours() -> None:
        for _ in range(VERDICTS):
            verify_bundle(raw, policy, orgs, NOON + 120)

    def signatures() -> None:
        for _ in range(VERDICTS * 16):
            key.key.verifies(signature, ENTRY)

    took, bare = interleaved(ours, signatures, ROUNDS)
    milliseconds = took / VERDICTS * 1000
    return [
        measure("verify a payout", milliseconds, "ms", against="its 16 signatures alone", ratio=bare / took),
        measure("payouts verified", 1000 / milliseconds, "1/s", goal=20),
    ]


def a_payout(log: ALog) -> tuple[bytes, bytes, bytes]:
    """Bundle, policy and organisations of a payout in `log`."""
    buyer = a_did_signer("buyer")
    parties: dict[str, Json] = {"@id": "urn:uuid:a", "assigner": str(log.org.did), "assignee": str(buyer.did)}
    agreement = log.log("agreement.made", a_signed(parties, log.org, buyer), {"state": "FINALIZED"})
    issuer: dict[str, Json] = {"issuer": str(log.org.did)}
    computed = log.log(
        "settlement.computed", a_signed({**issuer, "agreement": b64url(agreement.entry.thread)}, log.org)
    )
    transfers: list[Json] = [{"id": "t", "minor": 5}]
    final = log.log(
        "settlement.final",
        a_signed({**issuer, "computed": b64url(computed.entry.commitment), "transfers": transfers}, log.org),
    )
    chain = [log.prove(one) for one in (final, computed, agreement)]
    raw = build_bundle("payout", "t", chain, NOON + 90, "sequencer+witness(2/3)")
    keys = [witness.key for witness in log.witnesses]
    return raw, a_policy([log.signer.key], keys), some_orgs(log, others=[buyer])


def run() -> list[Measure]:
    BUILD.mkdir(exist_ok=True)
    return [*asyncio.run(append_lines()), *asyncio.run(checkpoint_lines()), *verify_lines()]
