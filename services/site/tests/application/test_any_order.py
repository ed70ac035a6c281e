"""Whatever the coordinator signs, a site answers with a signal, or not at all: it never breaks."""

import asyncio
from typing import Any

import pytest
from didymos.training.v1 import training_types_pb2 as pb
from didymos_contracts.errors import Problem
from didymos_did import sign_detached
from didymos_testing.site import COORDINATOR, a_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NUMBERS = st.integers(0, 2**32 - 1)
BYTES = st.binary(max_size=40)


@st.composite
def bodies(draw: st.DrawFn) -> pb.OrderBody:
    body = pb.OrderBody(
        run=draw(st.text(max_size=5)), round=draw(NUMBERS), attempt=draw(NUMBERS), params=draw(BYTES),
        spec=draw(BYTES), layout=draw(BYTES), expected=draw(BYTES), agreement=draw(st.text(max_size=5)),
    )  # fmt: skip
    match draw(st.integers(0, 8)):
        case 0:
            body.open.masking, body.open.grantee = draw(st.text(max_size=8)), draw(st.text(max_size=8))
            body.open.twins.extend(draw(st.lists(st.text(max_size=8), max_size=3)))
        case 1:
            body.setup.list.adverts.add(body=draw(BYTES), kid=draw(st.text(max_size=8)), signature=draw(BYTES))
        case 2:
            body.setup.ciphertexts.ciphertexts.extend(draw(st.lists(BYTES, max_size=3)))
        case 3:
            body.setup.boxes.expected.extend(draw(st.lists(NUMBERS, max_size=3)))
        case 4:
            body.confirm.survivors.extend(draw(st.lists(NUMBERS, max_size=3)))
        case 5:
            body.unmask.confirmations.add(body=draw(BYTES))
        case 6:
            body.close.outcome = draw(st.text(max_size=9))
        case 7:
            body.personalise.recipient = draw(BYTES)
    return body


@given(bodies())
@QUIET
def test_any_order_that_is_signed_is_answered_or_closed(a_world: Any, body: pb.OrderBody) -> None:
    world = made(a_world)
    site = world.first.did
    raw = asyncio.run(world.answer(site, world.coordinator.signed(site, body)))
    if raw is not None:
        assert world.coordinator.hear(raw).body.site == site


@given(st.binary(max_size=200))
@QUIET
def test_any_bytes_that_are_signed_are_an_order_or_a_problem(a_world: Any, raw: bytes) -> None:
    world = made(a_world)
    signed = sign_detached("order", raw, COORDINATOR)
    order = pb.Order(body=signed.body, kid=signed.kid, signature=signed.signature)
    said: list[str] = []
    try:
        asyncio.run(world.answer(world.first.did, order))
    except Problem as problem:
        said.append(problem.row.code)
    assert said in ([], ["privacy.order_invalid"])


_made: dict[int, Any] = {}


def made(a_world: Any) -> Any:
    """One world for all examples of a test."""
    if id(a_world) not in _made:
        _made.clear()
        _made[id(a_world)] = a_world(sites=1, each=1, spec=a_spec())
    return _made[id(a_world)]


@pytest.mark.parametrize("kid", ["", "did:key:zNobody#zNobody", "not a key"])
async def test_a_key_id_that_is_none_signs_nothing(a_world: Any, kid: str) -> None:
    world = a_world(sites=1, each=1)
    order = world.coordinator.opening(world.first.did, 1)
    order.kid = kid
    with pytest.raises(Problem, match=r"privacy\.order_invalid"):
        await world.answer(world.first.did, order)
