"""Agreements of the marketplace, asked over gRPC, as the terms under which a run trains."""

from collections.abc import Iterator
from typing import Any, Final

from didymos.market.v1.market_service_pb2 import GetAgreementRequest, GetAgreementResponse
from didymos.market.v1.market_service_pb2_grpc import MarketStub
from didymos.market.v1.market_types_pb2 import NegotiationState
from didymos_contracts.errors.training import TRAINING_AGREEMENT_MISMATCHED, TRAINING_AGREEMENT_NOT_FINAL
from didymos_did import DidError, Purpose, parse_did, parse_purpose, parse_strict
from didymos_kit.house import House

from didymos_training_orchestration.domain.run import Terms

SECONDS: Final = 5.0
TERMS_BYTES: Final = 1 << 20
_PURPOSE: Final = frozenset({"odrl:purpose", "purpose", "http://www.w3.org/ns/odrl/2/purpose"})
_SPEC: Final = "didymos:spec"


class MarketAgreements:
    """Fills `Agreements`."""

    def __init__(self, house: House, service: str) -> None:
        self._house, self._service = house, service

    async def final(self, agreement: str, purpose: str = "") -> Terms:
        async with self._house.rpc("marketplace", self._service) as peer:
            answer = await MarketStub(peer.channel).GetAgreement(GetAgreementRequest(id=agreement), timeout=SECONDS)
        return terms_of(answer, purpose)


def terms_of(answer: GetAgreementResponse, purpose: str = "") -> Terms:
    """Raises TRAINING_AGREEMENT_NOT_FINAL unless both signed and the money is held; TRAINING_AGREEMENT_MISMATCHED."""
    funded = answer.funded.asset == answer.cap.asset and answer.funded.minor >= answer.cap.minor
    if answer.state != NegotiationState.NEGOTIATION_STATE_FINALIZED or not funded:
        state = NegotiationState.Name(answer.state).removeprefix("NEGOTIATION_STATE_")
        raise TRAINING_AGREEMENT_NOT_FINAL.problem(agreement=answer.id, state=state, funded=answer.funded.minor)
    try:
        said = parse_strict(answer.terms, limit=TERMS_BYTES, floats=True)
        buyer, provider = parse_did(answer.buyer), parse_did(answer.provider)
        purposes = sorted({parse_purpose(found) for found in _purposes(said)})
        wanted = parse_purpose(purpose) if purpose else None
        spec = bytes.fromhex(next(_values(said, _SPEC), ""))
    except (DidError, ValueError) as error:
        raise _unreadable(answer.id, str(error)) from error
    chosen = [each for each in purposes if wanted in (None, each)]
    if len(chosen) != 1 or len(spec) not in (0, 32):
        raise _unreadable(answer.id, f"of its {len(purposes)} purposes one must be named")
    return Terms(answer.id, buyer, provider, Purpose(chosen[0]), spec, _rounds(said))


def _rounds(said: Any) -> int:  # noqa: ANN401 - JSON
    settlement = said.get("didymos:settlement") if isinstance(said, dict) else None
    rounds = settlement.get("rounds") if isinstance(settlement, dict) else None
    return rounds if type(rounds) is int and rounds > 0 else 0


def _purposes(said: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Every text that an ODRL constraint on the purpose names, and a plain member `purpose`, wherever they stand."""
    if isinstance(said, list):
        for each in said:
            yield from _purposes(each)
        return
    if not isinstance(said, dict):
        return
    if said.get("leftOperand") in _PURPOSE:
        yield from _texts(said.get("rightOperand"))
    for name, inner in said.items():
        if name in ("purpose", "purposes"):
            yield from _texts(inner)
        yield from _purposes(inner)


def _values(said: Any, wanted: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Every text under a member of this name, or right of an operand of this name."""
    if isinstance(said, list):
        for each in said:
            yield from _values(each, wanted)
    elif isinstance(said, dict):
        if said.get("leftOperand") == wanted:
            yield from _texts(said.get("rightOperand"))
        for name, inner in said.items():
            if name == wanted:
                yield from _texts(inner)
            yield from _values(inner, wanted)


def _texts(said: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        yield from (each for each in said if isinstance(each, str))


def _unreadable(agreement: str, detail: str) -> Exception:
    return TRAINING_AGREEMENT_MISMATCHED.problem(agreement=agreement, detail=detail[:256])
