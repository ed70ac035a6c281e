"""What sites say: bytes into verified values. Wire of learning.md section 6 and privacy.md section 10."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final, TypeAlias

from didymos.training.v1 import training_types_pb2 as pb
from didymos_contracts.errors.training import TRAINING_SIGNAL_INVALID, TRAINING_SITE_NOT_ENROLLED
from didymos_did import Did, DidError, KeyId, Signed, TwinId, parse_did, parse_site_enrolment, verify_detached
from didymos_privacy import (
    SIGNAL,
    Advert,
    Agree,
    Answers,
    Boxes,
    Confirm,
    Masked,
    Refuse,
    SiteMessage,
    tag_of,
)
from google.protobuf.message import DecodeError

from didymos_training_orchestration.domain.run import RunId

SIGNAL_BYTES: Final = 1 << 20
TWINS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Hello:
    """A site is here: how many subjects it has, which task it serves (empty: any), the twins whose grants it holds."""

    subjects: int
    task: str
    twins: tuple[TwinId, ...]
    enrolment: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    at_us: int


@dataclass(frozen=True, slots=True)
class Clear:
    """A sum in clear: digest of the delivered vector, sum of weights, subjects."""

    vector: bytes
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class Personal:
    """The lines of a report, as they came."""

    subjects: tuple[pb.SubjectReport, ...]


Said: TypeAlias = SiteMessage | Hello | Heartbeat | Clear | Personal


@dataclass(frozen=True, slots=True)
class Signal:
    """A verified signal. `raw`: as it came, for the journal and for neighbours."""

    site: Did
    run: RunId
    round: int
    attempt: int
    list: bytes
    step: str
    said: Said
    raw: bytes


def parse_signal(raw: bytes, site: Did) -> Signal:
    """Raises TRAINING_SIGNAL_INVALID unless `site` signed it, for its step, and all of it can be read."""
    if len(raw) > SIGNAL_BYTES:
        raise _invalid(f"over {SIGNAL_BYTES} bytes")
    try:
        signal = pb.SiteSignal.FromString(raw)
        body = pb.SignalBody.FromString(signal.body)
    except DecodeError as error:
        raise _invalid("not a signal") from error
    step = body.WhichOneof("step")
    if step is None or body.site != site:
        raise _invalid("no step, or said for another site")
    said = _said(step, body)
    signed = Signed(signal.body, KeyId(signal.kid), signal.signature)
    if signed.did != site or not verify_detached(_tag(said), signed):
        raise _invalid(f"not signed by this site as {_tag(said)}")
    return Signal(site, RunId(body.run), body.round, body.attempt, body.list, step, said, raw)


def _tag(said: Said) -> str:
    return SIGNAL if isinstance(said, Hello | Heartbeat | Clear | Personal) else tag_of(said)


def _said(step: str, body: pb.SignalBody) -> Said:
    match step:
        case "hello":
            return _hello(body.hello)
        case "heartbeat":
            return Heartbeat(body.heartbeat.at_us)
        case "refusal":
            return Refuse(plain_text(body.refusal.code, 64), plain_text(body.refusal.detail, 256))
        case "advert":
            return Advert(body.site, body.advert.x25519, body.advert.mlkem, body.advert.subjects)
        case "agree":
            return Agree(tuple(body.agree.ciphertexts))
        case "boxes":
            return _boxes(body.boxes)
        case "masked":
            return Masked(body.masked.vector)
        case "confirm":
            return Confirm(body.confirm.transcript, tuple(body.confirm.survivors))
        case "answers":
            answers = body.answers
            return Answers(tuple(answers.b_shares), tuple(answers.r_shares), tuple(answers.seed_checks))
        case "clear":
            return Clear(body.clear.vector, body.clear.weight, body.clear.count)
        case "personal":
            return Personal(tuple(body.personal.subjects))
    raise _invalid(f"step {step} is not known")


def plain_text(said: str, most: int) -> str:
    """What a site said, as text that any store can hold."""
    return "".join(character for character in said[:most] if character.isprintable())


def finite(said: float) -> float:
    """A figure that a site reports; 0 for one that is none."""
    return said if isfinite(said) else 0.0


def _boxes(boxes: pb.Boxes) -> Boxes:
    if not len(boxes.escrows) == len(boxes.commit_b) == len(boxes.commit_r) == 1:
        raise _invalid("one escrow and one commitment each")
    return Boxes(tuple(boxes.boxes), boxes.escrows[0], boxes.commit_b[0], boxes.commit_r[0])


def _hello(hello: pb.Hello) -> Hello:
    try:
        twins = tuple(sorted({TwinId(parse_did(twin)) for twin in hello.twins[: TWINS + 1]}))
    except DidError as error:
        raise _invalid(f"a twin is no DID: {error.detail}") from error
    if len(twins) > TWINS:
        raise _invalid(f"over {TWINS} twins")
    return Hello(hello.subjects, hello.task, twins, hello.enrolment)


def check_enrolled(site: Did, credential: bytes, organisations: Sequence[Did], now: datetime) -> Did:
    """The organisation that enrolled `site`. Raises TRAINING_SITE_NOT_ENROLLED unless it is pinned and it holds now."""
    try:
        enrolment = parse_site_enrolment(credential)
    except DidError as error:
        raise TRAINING_SITE_NOT_ENROLLED.problem(detail=error.detail) from error
    if enrolment.site != site or not enrolment.valid_from <= now < enrolment.valid_until:
        raise TRAINING_SITE_NOT_ENROLLED.problem(detail="for another site, or not valid now")
    if enrolment.organisation not in organisations:
        raise TRAINING_SITE_NOT_ENROLLED.problem(detail="this organisation is not pinned here")
    return enrolment.organisation


def _invalid(detail: str) -> Exception:
    return TRAINING_SIGNAL_INVALID.problem(detail=detail)
