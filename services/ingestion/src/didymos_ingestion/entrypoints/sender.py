"""Who sent a request of a foreign format, and what vouches for it: its signature (RFC 9421), or a token."""

from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.ingestion import BATCH_KEY_UNKNOWN, BATCH_SIGNATURE_INVALID
from didymos_contracts.errors.platform import QUOTA_EXCEEDED
from didymos_did import Did, DidError, key_of
from didymos_kit.access import Guard
from didymos_readings import READINGS_JSON, Proved, ReadingError, proved_readings, signature_of
from didymos_readings import Request as SignedOver
from fastapi import Request

from didymos_ingestion.adapters.protobuf import proved_document, signed_request
from didymos_ingestion.entrypoints.intake import Intake, problem_of_reading

SIGNED_BY: Final = "signature-input"


def is_signed(request: Request) -> bool:
    return SIGNED_BY in request.headers


@dataclass(frozen=True, slots=True)
class SignedSender:
    """The device that signed a request or its body, and the SignedRequest that proves it.

    `signature`: of the request, the same in a retry. `said`: what a body with a proof says of itself.
    """

    device: Did
    original: bytes
    signature: bytes
    said: Proved | None = None


def is_proved(request: Request, media: str) -> bool:
    """Whether the body must have a proof in it: nothing else was sent that says who sent it."""
    return media == READINGS_JSON and "authorization" not in request.headers


def verify_proof(body: bytes, intake: Intake) -> SignedSender:
    """Who made a document of readings. Raises BATCH_MALFORMED, BATCH_TOO_LARGE, BATCH_AUDIENCE_WRONG,
    BATCH_SIGNATURE_INVALID."""
    try:
        said = proved_readings(body, intake.ports.operator)
    except ReadingError as error:
        raise problem_of_reading(error) from error
    return SignedSender(Did(said.device), proved_document(said.kid, body), b"", said)


def verify_sender(request: Request, body: bytes, intake: Intake) -> SignedSender:
    """Who signed the request.

    Raises BATCH_SIGNATURE_INVALID, BATCH_KEY_UNKNOWN, QUOTA_EXCEEDED.
    """
    guard: Guard = request.app.state.guard
    headers = fields_of(request)
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query = request.scope["query_string"].decode("latin-1")
    url = guard.origin + raw.partition(b"?")[0].decode("latin-1") + (f"?{query}" if query else "")
    try:
        said = signature_of(SignedOver(request.method, url, headers, body), intake.clock.now_us() // 1_000_000)
    except ReadingError as error:
        raise problem_of_reading(error) from error
    device = Did(said.kid.partition("#")[0])
    seconds = intake.ports.buckets.wait_seconds(device, intake.clock.monotonic())
    if seconds:
        raise QUOTA_EXCEEDED.problem(detail="more readings than this device may send", retry_after_seconds=seconds)
    try:
        key = key_of(said.kid)
    except DidError as error:
        raise BATCH_KEY_UNKNOWN.problem(detail=error.detail) from error
    if not said.holds(key):
        raise BATCH_SIGNATURE_INVALID.problem(detail="the key did not sign this request")
    return SignedSender(device, signed_request(said, body), said.signature)


def fields_of(request: Request) -> dict[str, str]:
    """Headers by small name; those that came several times are one list, in order (RFC 9110 section 5.2)."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
