"""What sites are told: values into signed bytes. An order is the same bytes however often it is sent."""

from collections.abc import Mapping

from didymos.training.v1 import training_types_pb2 as pb
from didymos_did import Did, Signer, sign_detached
from didymos_privacy import (
    ORDER,
    Close,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SurvivorList,
    Unmask,
)
from didymos_privacy import Order as MaskingOrder

from didymos_training_orchestration.application.results import Order


class OrderBook:
    """Prints orders and signs them with the key of the coordinator.

    `recipient`: the public key of the service that serves personal models; sites seal their parameters to it.
    """

    def __init__(self, signer: Signer, recipient: bytes) -> None:
        self._signer, self._recipient = signer, recipient

    def open(self, order: Order, site: Did) -> bytes:
        """Train, then advertise or deliver."""
        body, member = _body(order), order.cohort.member(site)
        body.open.masking = order.spec.masking
        body.open.twins.extend(() if member is None else (subject.twin for subject in member.subjects))
        body.open.grantee, body.open.purpose = order.use.buyer, str(order.use.purpose)
        body.open.cohort = order.cohort.size
        body.open.validation_gradient = order.gradient
        return self._signed(body)

    def evaluate(self, order: Order, site: Did) -> bytes:
        """Find the errors of the model, then advertise."""
        body, member = _body(order), order.cohort.member(site)
        body.evaluate.twins.extend(() if member is None else (subject.twin for subject in member.subjects))
        body.evaluate.grantee, body.evaluate.purpose = order.use.buyer, str(order.use.purpose)
        body.evaluate.cohort = order.cohort.size
        return self._signed(body)

    def masking(
        self, order: Order, told: MaskingOrder, expected: bytes, signals: Mapping[tuple[str, str], bytes]
    ) -> bytes:
        """One step of the masked round. `signals`: what sites said, by site and step, for neighbours to verify."""
        body = _body(order)
        body.expected = expected
        match told:
            case SetupList(adverts):
                raws = (signals[advert.site, "advert"] for advert in adverts)
                body.setup.list.adverts.extend(map(pb.SiteSignal.FromString, raws))
            case SetupCiphertexts(ciphertexts):
                body.setup.ciphertexts.ciphertexts.extend(ciphertexts)
            case SetupBoxes(boxes, places):
                body.setup.boxes.boxes.extend(boxes)
                body.setup.boxes.expected.extend(places)
            case SurvivorList(survivors):
                body.confirm.survivors.extend(survivors)
            case Unmask():
                raws = (raw for (_, step), raw in sorted(signals.items()) if step == "confirm")
                body.unmask.confirmations.extend(map(pb.SiteSignal.FromString, raws))
            case Close(outcome, reason):
                body.close.outcome, body.close.reason = outcome, reason
        return self._signed(body)

    def close(self, order: Order, outcome: str, reason: str) -> bytes:
        body = _body(order)
        body.close.outcome, body.close.reason = outcome, reason
        return self._signed(body)

    def personalise(self, order: Order) -> bytes:
        body = _body(order)
        body.personalise.validation_gradient = order.gradient
        body.personalise.recipient = self._recipient
        return self._signed(body)

    def _signed(self, body: pb.OrderBody) -> bytes:
        signed = sign_detached(ORDER, body.SerializeToString(deterministic=True), self._signer)
        order = pb.Order(body=signed.body, kid=signed.kid, signature=signed.signature)
        return order.SerializeToString(deterministic=True)


def _body(order: Order) -> pb.OrderBody:
    return pb.OrderBody(
        run=order.run, round=order.round, attempt=order.attempt, deadline_us=order.deadline_us,
        spec=order.spec.digest, params=order.params, layout=order.spec.model.layout.digest,
        agreement=order.use.agreement,
    )  # fmt: skip
