"""The JSON mirror of the native batch, `application/vnd.didymos.batch+json`: protobuf JSON of SignedBatch."""

from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from google.protobuf import json_format

from didymos_readings.batch import BODY_BYTES, Envelope, envelope_of, message_of
from didymos_readings.errors import ReadingError
from didymos_readings.strict_json import parse_json

JSON_BYTES = BODY_BYTES * 3 // 2  # base64 grows by a third


def parse_batch_json(body: bytes) -> Envelope:
    """As `parse_batch`. Names of members are the protobuf JSON names; unknown or repeated ones are refused."""
    if len(body) > JSON_BYTES:
        raise ReadingError("batch.too_large", "a batch in JSON has at most 1.5 MiB", limit=JSON_BYTES)
    said = parse_json(body)
    if not isinstance(said, dict):
        raise ReadingError("batch.malformed", "the body is no JSON object")
    try:
        signed = json_format.ParseDict(said, pb.SignedBatch())
    except (json_format.ParseError, ValueError, TypeError) as error:
        raise ReadingError("batch.malformed", "the body is no SignedBatch in protobuf JSON") from error
    if signed.ByteSize() > BODY_BYTES:
        raise ReadingError("batch.too_large", "a batch has at most 1 MiB", limit=BODY_BYTES)
    return envelope_of(signed)


def encode_batch_json(envelope: Envelope) -> bytes:
    """The body of the JSON mirror."""
    return json_format.MessageToJson(message_of(envelope), indent=None).encode()
