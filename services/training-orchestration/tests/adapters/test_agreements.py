"""Agreements as the marketplace shows them, as the terms of a run."""

from typing import Any

import pytest
from didymos.market.v1.market_types_pb2 import NEGOTIATION_STATE_VERIFIED, Money
from didymos_contracts.errors import Problem
from didymos_did import DPV, jcs
from didymos_testing.did import PERSONAL, RESEARCH
from didymos_testing.training import AGREEMENT, BUYER, PROVIDER, an_agreement
from didymos_training_orchestration.adapters.agreements import terms_of
from didymos_training_orchestration.domain.run import Terms


def terms_with(*purposes: str, **more: Any) -> bytes:
    constraint = {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": list(purposes)}
    return jcs({"permission": [{"constraint": [constraint]}], **more})


def test_a_final_agreement_gives_its_parties_purpose_and_rounds() -> None:
    expected = Terms(AGREEMENT, BUYER.did, PROVIDER.did, RESEARCH, b"", 30)
    assert terms_of(an_agreement()) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"state": NEGOTIATION_STATE_VERIFIED},
        {"funded": Money(asset="EUR/2", minor=99)},
        {"funded": Money(asset="USD/2", minor=100)},
    ],
)
def test_what_is_not_final_or_not_funded_starts_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(Problem) as raised:
        terms_of(an_agreement(**changes))
    assert raised.value.row.code == "training.agreement_not_final"


def test_of_several_purposes_the_buyer_names_one() -> None:
    agreement = an_agreement(terms=terms_with(RESEARCH, PERSONAL))
    assert terms_of(agreement, str(PERSONAL)).purpose == PERSONAL
    with pytest.raises(Problem) as raised:
        terms_of(agreement)
    assert raised.value.row.code == "training.agreement_mismatched"


@pytest.mark.parametrize("terms", [b"{", jcs({}), terms_with(DPV + "NoSuchPurpose"), jcs([1])])
def test_terms_that_say_no_purpose_start_nothing(terms: bytes) -> None:
    with pytest.raises(Problem) as raised:
        terms_of(an_agreement(terms=terms))
    assert raised.value.row.code == "training.agreement_mismatched"


def test_an_agreement_may_name_the_one_specification() -> None:
    spec = b"\x05" * 32
    assert terms_of(an_agreement(terms=terms_with(RESEARCH, **{"didymos:spec": spec.hex()}))).spec == spec
