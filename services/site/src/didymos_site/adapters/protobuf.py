"""Orders: bytes into verified values. Nothing is believed that the pinned coordinator, or a pinned neighbour, did not
sign."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, cast

from didymos.training.v1 import training_types_pb2 as pb
from didymos_contracts.errors import Problem
from didymos_contracts.errors.privacy import (
    PRIVACY_ADVERT_INVALID,
    PRIVACY_LIST_INCONSISTENT,
    PRIVACY_NEIGHBOUR_UNKNOWN,
    PRIVACY_ORDER_INVALID,
)
from didymos_did import Did, DidError, KeyId, Signed, TwinId, parse_site_enrolment, verify_detached
from didymos_privacy import (
    ORDER,
    Advert,
    Confirm,
    PrivacyError,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SurvivorList,
    verify_message,
)
from google.protobuf.message import DecodeError

from didymos_site.domain.order import (
    CloseOrder,
    Confirmations,
    Digest,
    EvaluateOrder,
    Header,
    MaskOrder,
    PersonaliseOrder,
    SignedConfirm,
    SiteOrder,
    Told,
    TrainOrder,
)


class OrderRefused(Exception):  # noqa: N818 - an answer to the coordinator
    """An order of the coordinator whose content is not to be believed."""

    def __init__(self, header: Header, problem: Problem) -> None:
        super().__init__(str(problem))
        self.header, self.problem = header, problem


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this site believes: one coordinator, and organisations that enrol sites."""

    coordinator: Did
    organisations: frozenset[Did]
    now: Callable[[], datetime]


def parse_order(order: pb.Order, trust: Trust) -> tuple[SiteOrder, Digest]:
    """The order, and its digest without the deadline, which a coordinator that starts again moves.

    Raises PRIVACY_ORDER_INVALID for what the coordinator did not sign, OrderRefused for what it should not have.
    """
    signed = Signed(order.body, KeyId(order.kid), order.signature)
    if signed.did != trust.coordinator or not verify_detached(ORDER, signed):
        raise PRIVACY_ORDER_INVALID.problem(detail="not signed by the coordinator that is pinned here")
    try:
        body = pb.OrderBody.FromString(order.body)
    except DecodeError as error:
        raise PRIVACY_ORDER_INVALID.problem(detail="cannot be read") from error
    header = Header(
        body.run, body.round, body.attempt, body.deadline_us, body.spec, body.params, body.layout, body.expected,
        body.agreement,
    )  # fmt: skip
    try:
        parsed = _parsed(body, header, trust)
    except Problem as problem:
        raise OrderRefused(header, problem) from problem
    body.deadline_us = 0
    return parsed, sha256(body.SerializeToString(deterministic=True)).digest()


def _parsed(body: pb.OrderBody, header: Header, trust: Trust) -> SiteOrder:
    match body.WhichOneof("step"):
        case "open":
            said = body.open
            twins = tuple(TwinId(Did(twin)) for twin in said.twins)
            gradient = said.validation_gradient
            return TrainOrder(header, said.masking, twins, Did(said.grantee), said.purpose, said.cohort, gradient)
        case "evaluate":
            asked = body.evaluate
            twins = tuple(TwinId(Did(twin)) for twin in asked.twins)
            return EvaluateOrder(header, twins, Did(asked.grantee), asked.purpose, asked.cohort)
        case "setup":
            return MaskOrder(header, _setup(body.setup, header, trust))
        case "confirm":
            return MaskOrder(header, SurvivorList(tuple(body.confirm.survivors)))
        case "unmask":
            signed = (_confirmed(signal, header) for signal in body.unmask.confirmations)
            return MaskOrder(header, Confirmations(tuple(signed)))
        case "close" if body.close.outcome in ("committed", "aborted"):
            outcome = cast("Literal['committed', 'aborted']", body.close.outcome)
            return CloseOrder(header, outcome, body.close.reason)
        case "personalise":
            return PersonaliseOrder(header, body.personalise.recipient)
    raise PRIVACY_ORDER_INVALID.problem(detail="a step that is not known here")


def _setup(setup: pb.Setup, header: Header, trust: Trust) -> Told:
    match setup.WhichOneof("stage"):
        case "list":
            return SetupList(tuple(_advert(signal, header, trust) for signal in setup.list.adverts))
        case "ciphertexts":
            return SetupCiphertexts(tuple(setup.ciphertexts.ciphertexts))
        case "boxes":
            return SetupBoxes(tuple(setup.boxes.boxes), tuple(setup.boxes.expected))
    raise PRIVACY_ORDER_INVALID.problem(detail="a stage that is not known here")


def _said_by_site(signal: pb.SiteSignal, header: Header, step: str, kind: type) -> pb.SignalBody:
    """The body of another site's signal for this very attempt. Raises PRIVACY_ADVERT_INVALID, _LIST_INCONSISTENT."""
    try:
        body = pb.SignalBody.FromString(signal.body)
        verify_message(kind, Signed(signal.body, KeyId(signal.kid), signal.signature), body.site)
    except (DecodeError, PrivacyError) as error:
        raise PRIVACY_ADVERT_INVALID.problem(detail=f"no site signed this {step}") from error
    if body.WhichOneof("step") != step:
        raise PRIVACY_ADVERT_INVALID.problem(detail=f"{step} is expected")
    if (body.run, body.round, body.attempt) != (header.run, header.round, header.attempt):
        raise PRIVACY_LIST_INCONSISTENT.problem(detail=f"{step} of another attempt, or replayed")
    return body


def _advert(signal: pb.SiteSignal, header: Header, trust: Trust) -> Advert:
    body = _said_by_site(signal, header, "advert", Advert)
    try:
        enrolment = parse_site_enrolment(body.advert.enrolment)
    except DidError as error:
        raise PRIVACY_NEIGHBOUR_UNKNOWN.problem(site=body.site, detail=error.detail) from error
    current = enrolment.valid_from <= trust.now() < enrolment.valid_until
    if enrolment.site != body.site or enrolment.organisation not in trust.organisations or not current:
        detail = "no organisation that is pinned here enrolled this neighbour for now"
        raise PRIVACY_NEIGHBOUR_UNKNOWN.problem(site=body.site, detail=detail)
    return Advert(body.site, body.advert.x25519, body.advert.mlkem, body.advert.subjects)


def _confirmed(signal: pb.SiteSignal, header: Header) -> SignedConfirm:
    body = _said_by_site(signal, header, "confirm", Confirm)
    confirm = Confirm(body.confirm.transcript, tuple(body.confirm.survivors))
    return SignedConfirm(Did(body.site), body.list, confirm)
