"""Builders for the ledger service."""

import asyncio

from didymos_ledger.application.ports import EntryLog
from didymos_ledger.domain.batch import EntryDraft

from didymos_testing.provenance import a_salt, a_thread, an_event_id


def a_draft(seed: str, kind: str = "grant.issued") -> EntryDraft:
    return EntryDraft(an_event_id(seed), kind, a_thread(seed), bytes(a_salt(seed)))


def drafts(first: int, count: int) -> list[EntryDraft]:
    return [a_draft(str(number)) for number in range(first, first + count)]


async def published(log: EntryLog, size: int) -> None:
    """Wait until a checkpoint covers `size` entries."""
    if log.head().checkpoint.size < size:
        async with asyncio.timeout(10):
            async for head in log.grown(log.head().checkpoint.size):
                if head.checkpoint.size >= size:
                    return
