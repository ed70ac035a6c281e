"""Protobuf of the ledger to values and back."""

from collections.abc import Sequence

from didymos.ledger.v1 import ledger_service_pb2 as service
from didymos.ledger.v1 import ledger_types_pb2 as types
from didymos.ledger.v1.ledger_events_pb2 import CheckpointAgreed
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_provenance import Fact

from didymos_ledger.application.ports import Agreed
from didymos_ledger.domain.batch import EntryDraft, Receipt, SourceCursor


def drafts_of(request: service.AppendRequest) -> tuple[Sequence[EntryDraft], SourceCursor | None]:
    """Raises PLATFORM_INVALID_FIELD for a fact without a value, or one that stands twice."""
    drafts = [_draft(index, draft) for index, draft in enumerate(request.drafts)]
    if not request.HasField("cursor"):
        return drafts, None
    cursor = request.cursor
    return drafts, SourceCursor(cursor.topic, cursor.partition, cursor.next_offset)


def _draft(index: int, draft: types.EntryDraft) -> EntryDraft:
    facts: dict[str, Fact] = {}
    for fact in draft.facts:
        value = fact.WhichOneof("value")
        if value is None or fact.name in facts:
            pointer = f"/drafts/{index}/facts/{fact.name[:40]}"
            raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="a fact stands once, with a value")
        facts[fact.name] = fact.number if value == "number" else fact.text
    return EntryDraft(draft.event_id, draft.kind, draft.thread, draft.commitment, facts)


def receipt_message(receipt: Receipt) -> service.AppendResponse:
    promises = [
        types.Promise(body=promise.body, kid=promise.kid, signature=promise.signature) for promise in receipt.promises
    ]
    return service.AppendResponse(indices=receipt.indices, promises=promises)


def checkpoint_agreed(agreed: Agreed) -> CheckpointAgreed:
    checkpoint = agreed.checkpoint
    event = CheckpointAgreed(
        origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root, note=agreed.note.encode(),
        agreed=agreed.strength,
    )  # fmt: skip
    event.agreed_at.FromSeconds(agreed.at)
    return event
