"""What sites say is text and figures that any store can hold, or it is refused."""

import pytest
from didymos.training.v1 import training_types_pb2 as pb
from didymos_contracts.errors import Problem
from didymos_did import sign_detached
from didymos_privacy import Refuse
from didymos_testing.did import a_signer
from didymos_training_orchestration.adapters.signals import (
    SIGNAL_BYTES,
    Clear,
    Heartbeat,
    Personal,
    finite,
    parse_signal,
    plain_text,
)

SITE = a_signer("site")


def signed(body: pb.SignalBody, tag: str = "site-signal") -> bytes:
    made = sign_detached(tag, body.SerializeToString(), SITE)
    return pb.SiteSignal(body=made.body, kid=made.kid, signature=made.signature).SerializeToString()


def test_a_signal_says_of_which_attempt_it_speaks() -> None:
    body = pb.SignalBody(
        site=SITE.did, run="r", round=2, attempt=3, list=b"l", clear=pb.ClearSum(vector=b"v", weight=2.0, count=1)
    )
    found = parse_signal(signed(body), SITE.did)
    assert (found.site, found.run, found.round, found.attempt, found.list) == (SITE.did, "r", 2, 3, b"l")
    assert (found.said, found.step) == (Clear(b"v", 2.0, 1), "clear")


def test_a_refusal_is_cut_to_what_can_be_stored() -> None:
    body = pb.SignalBody(site=SITE.did, refusal=pb.Refusal(code="a\0b" * 100, detail="c\n" * 300))
    said = parse_signal(signed(body), SITE.did).said
    assert isinstance(said, Refuse)
    assert (said.code, len(said.detail)) == (("ab" * 22)[:43], 128)


def test_reports_and_heartbeats_are_signed_as_plain_signals() -> None:
    report = pb.SignalBody(site=SITE.did, personal=pb.PersonalReport(subjects=[pb.SubjectReport(twin="x")]))
    beat = pb.SignalBody(site=SITE.did, heartbeat=pb.Heartbeat(at_us=5))
    assert isinstance(parse_signal(signed(report), SITE.did).said, Personal)
    assert parse_signal(signed(beat), SITE.did).said == Heartbeat(5)


@pytest.mark.parametrize("escrows", [[], [b"a", b"b"]])
def test_boxes_have_one_escrow(escrows: list[bytes]) -> None:
    boxes = pb.Boxes(boxes=[b"x"], escrows=escrows, commit_b=[b"b"], commit_r=[b"r"])
    refused(signed(pb.SignalBody(site=SITE.did, boxes=boxes), "sa-share"))


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", b"x" * (SIGNAL_BYTES + 1)], ids=["bytes", "nothing", "too long"])
def test_what_is_no_signal_is_refused(raw: bytes) -> None:
    refused(raw)


def test_a_body_of_another_kind_is_refused() -> None:
    made = sign_detached("site-signal", b"\xff\xff", SITE)
    refused(pb.SiteSignal(body=made.body, kid=made.kid, signature=made.signature).SerializeToString())


def refused(raw: bytes) -> None:
    with pytest.raises(Problem) as raised:
        parse_signal(raw, SITE.did)
    assert raised.value.row.code == "training.signal_invalid"


def test_figures_are_finite() -> None:
    assert [finite(said) for said in (1.5, float("nan"), float("-inf"))] == [1.5, 0.0, 0.0]
    assert plain_text("ok\0\x1b[31m é", 8) == "ok[31m é"[:6]
