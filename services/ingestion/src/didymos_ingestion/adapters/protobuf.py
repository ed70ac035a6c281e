"""Messages of other services and of the log as values, and values as messages."""

from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsQuarantined
from didymos.ingestion.v1.ingestion_service_pb2 import Ack
from didymos.ingestion.v1.ingestion_types_pb2 import Refused, SignedRequest
from didymos.twin.v1.twin_events_pb2 import TwinLifecycleChanged
from didymos.twin.v1.twin_types_pb2 import Lifecycle
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_MALFORMED
from didymos_did import Did, TwinId
from didymos_kit.clock import from_us
from didymos_kit.errors import retry_after
from didymos_kit.eventlog import Stored
from didymos_readings import HttpSignature, refused_message
from google.protobuf.message import DecodeError

from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.domain.refusal import KeptRefusal


def kept_refusals(record: Stored) -> list[KeptRefusal]:
    """What a record of the quarantine lists. Raises PLATFORM_MALFORMED."""
    try:
        said = ReadingsQuarantined.FromString(record.value or b"")
    except DecodeError as error:
        raise PLATFORM_MALFORMED.problem(detail="no ReadingsQuarantined") from error
    parcel = said.parcel
    return [
        KeptRefusal(
            parcel.twin, parcel.device, parcel.digest, record.partition, record.offset, each.index, each.count,
            each.code, each.detail, said.profile, from_us(said.received_at_us),
        )
        for each in parcel.refused
    ]  # fmt: skip


def erased_twin(record: Stored) -> TwinId | None:
    """The twin that a record of twin.lifecycle says is erased. Raises PLATFORM_MALFORMED."""
    try:
        said = TwinLifecycleChanged.FromString(record.value or b"")
    except DecodeError as error:
        raise PLATFORM_MALFORMED.problem(detail="no TwinLifecycleChanged") from error
    return TwinId(Did(said.twin)) if said.lifecycle == Lifecycle.LIFECYCLE_ERASED else None


def ack_of(taken: Taken) -> Ack:
    return Ack(
        batch=taken.digest, accepted=taken.accepted, refused=[refused_message(each) for each in taken.refused],
        token=taken.token,
    )  # fmt: skip


def nack_of(digest: bytes, problem: Problem) -> Ack:
    """A batch of which nothing was taken: its code, when to come again, and what was refused one by one."""
    detail = str(problem.values.get("detail", problem.row.title))
    seconds = retry_after(problem)
    if seconds is not None:
        detail = f"{detail}; retry in {seconds} s"
    refused = [
        Refused(index=each["index"], count=each["count"], code=each["code"], detail=each["detail"])
        for each in problem.values.get("refused", ())
    ]
    return Ack(batch=digest, code=problem.row.code, detail=detail, refused=refused)


def signed_request(said: HttpSignature, body: bytes) -> bytes:
    """What proves readings that came in a signed request."""
    return SignedRequest(base=said.base, signature=said.signature, kid=said.kid, body=body).SerializeToString()


def proved_document(kid: str, body: bytes) -> bytes:
    """The same of a document that has its proof in it."""
    return SignedRequest(kid=kid, body=body).SerializeToString()
