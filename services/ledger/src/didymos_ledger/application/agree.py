"""From published to agreed: collect cosignatures for a checkpoint until the policy has its quorum."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.ledger import LEDGER_SIZE_CONFLICT
from didymos_provenance import (
    Note,
    ProvenanceError,
    Signature,
    TrustPolicy,
    open_checkpoint,
    parse_signatures,
    require_quorum,
)

from didymos_ledger.application.ports import Agreed, Head, TileReader, WitnessAnswer, WitnessClient
from didymos_ledger.application.prove import prove_consistency
from didymos_ledger.application.witness import OK, AddCheckpoint

WITNESS_SECONDS: Final = 0.8


@dataclass(frozen=True, slots=True)
class Collected:
    """The checkpoint with the cosignatures that came, the sizes the witnesses are at now, and why others did not."""

    note: Note
    sizes: Mapping[str, int]
    refused: Mapping[str, str]  # name of the witness to what it said, or `timeout`
    agreed: Agreed | None


async def agree(
    head: Head,
    witnesses: Sequence[WitnessClient],
    known: Mapping[str, int],
    policy: TrustPolicy,
    tiles: TileReader,
    now: int,
) -> Collected:
    """Ask all witnesses at once, each within 800 ms; `known`: the size each cosigned last. Never raises for a witness.

    Lines that are not of the witness's key in the policy, or do not verify, are left out: they count for nothing.
    """
    asked = [_ask_in_time(head, one, known.get(one.name, 0), policy, tiles) for one in witnesses]
    answers = dict(zip((one.name for one in witnesses), await asyncio.gather(*asked), strict=True))
    signatures = [answer for answer in answers.values() if isinstance(answer, Signature)]
    note = head.note.with_signatures(signatures)
    cosigned = {name for name, answer in answers.items() if isinstance(answer, Signature)}
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    sizes = {**known, **dict.fromkeys(cosigned, head.checkpoint.size)}
    return Collected(note, sizes, refused, _agreed(head, note, policy, now))


def _agreed(head: Head, note: Note, policy: TrustPolicy, now: int) -> Agreed | None:
    """Agreed at the time of its last cosignature: what is made from it is not older."""
    try:
        opened = open_checkpoint(note, policy)
        require_quorum(opened, policy)
    except ProvenanceError:
        return None
    return Agreed(head.checkpoint, note, policy.strength(), max([now, *opened.cosigned.values()]))


async def _ask_in_time(
    head: Head, witness: WitnessClient, old: int, policy: TrustPolicy, tiles: TileReader
) -> Signature | str:
    try:
        async with asyncio.timeout(WITNESS_SECONDS):
            return await _ask(head, witness, old, policy, tiles)
    except TimeoutError:
        return "timeout"
    except Problem as problem:
        return str(problem)


async def _ask(head: Head, witness: WitnessClient, old: int, policy: TrustPolicy, tiles: TileReader) -> Signature | str:
    answer = await _send(head, witness, old, tiles)
    if answer.status == LEDGER_SIZE_CONFLICT.http:  # it knows another size: build the proof from there, once
        size = answer.body.decode("ascii", "replace").strip()
        if not size.isdecimal() or int(size) > head.checkpoint.size:
            return f"{answer.status} {size[:40]}"
        answer = await _send(head, witness, int(size), tiles)
    if answer.status != OK:
        return f"{answer.status} {answer.body[:200].decode('utf-8', 'replace').strip()}"
    return _verified(head, witness.name, answer, policy)


async def _send(head: Head, witness: WitnessClient, old: int, tiles: TileReader) -> WitnessAnswer:
    path = await prove_consistency(old, head.checkpoint.size, tiles)
    return await witness.add_checkpoint(AddCheckpoint(old, path, head.note).encode())


def _verified(head: Head, name: str, answer: WitnessAnswer, policy: TrustPolicy) -> Signature | str:
    """The line of this witness out of its answer, if it verifies."""
    try:
        lines = parse_signatures(answer.body.decode())
        for line in lines:
            if name in policy.witnesses and line.is_by(policy.witnesses[name]):
                opened = open_checkpoint(head.note.with_signatures([line]), policy)
                return line if name in opened.cosigned else "no cosignature"
    except (ProvenanceError, UnicodeDecodeError) as error:
        return str(error)
    return "no line of its key"
