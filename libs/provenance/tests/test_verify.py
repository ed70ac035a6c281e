"""Bundles verify offline; nothing that was changed does, and the first thing that is wrong is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from didymos_provenance import (
    CHAINS,
    Evidence,
    Exit,
    Json,
    ProofBundle,
    ProvenanceError,
    Salt,
    Verdict,
    b64url,
    build_bundle,
    parse_bundle,
    seal_bundle,
    verify_bundle,
)
from didymos_testing.provenance import (
    NOON,
    ALog,
    Logged,
    a_did_signer,
    a_policy,
    a_signed,
    a_witness_signer,
    some_orgs,
)
from hypothesis import given, settings
from hypothesis import strategies as st

WITNESSES = [a_witness_signer(f"witness-{number}.example") for number in (1, 2, 3)]
OWNER, BUYER, STRANGER = a_did_signer("owner"), a_did_signer("buyer"), a_did_signer("stranger")
MADE = NOON + 120
AT = NOON + 3600
LEVEL = "sequencer+witness(2/3)"


def a_log() -> ALog:
    return ALog(witnesses=WITNESSES)


def names(logged: Logged) -> str:
    return b64url(logged.entry.commitment)


def grant_in(log: ALog, **changes: Json) -> Logged:
    record: dict[str, Json] = {
        "id": "urn:uuid:g1",
        "issuer": OWNER.did,
        "validUntil": "2027-01-01T00:00:00Z",
        **changes,
    }
    return log.log("grant.issued", a_signed(record, OWNER))


def agreement_in(log: ALog, state: str = "FINALIZED") -> Logged:
    record: dict[str, Json] = {"@id": "urn:uuid:a1", "assigner": log.org.did, "assignee": BUYER.did}
    return log.log("agreement.made", a_signed(record, log.org, BUYER), {"state": state})


def chain_in(log: ALog, kind: str) -> list[Logged]:
    """Records of a chain, each naming the one after it in the chain, in the order of the chain."""
    if kind == "grant":
        return [grant_in(log)]
    found = [agreement_in(log)]
    for step in reversed(CHAINS[kind][:-1]):
        record: dict[str, Json] = {
            "id": f"urn:uuid:{step.kind}",
            "issuer": log.org.did,
            step.pointer.removeprefix("/"): names(found[0]),
            "transfers": [{"id": "urn:uuid:t1", "minor": 4821}, {"id": "urn:uuid:t2", "minor": 7}],
        }
        found.insert(0, log.log(step.kind, a_signed(record, log.org)))
    return found


SUBJECTS = {
    "grant": "urn:uuid:g1",
    "agreement": "urn:uuid:a1",
    "round": "urn:uuid:round.closed",
    "model": "urn:uuid:model.published",
    "payout": "urn:uuid:t1",
}


def bundle_of(log: ALog, kind: str) -> bytes:
    chain = chain_in(log, kind)
    return build_bundle(kind, SUBJECTS[kind], [log.prove(one) for one in chain], MADE, LEVEL)


def verdict(raw: bytes, log: ALog, at: int = AT, **trust: bytes) -> Verdict:
    policy = trust.get("policy", a_policy([log.signer.key], [one.key for one in WITNESSES]))
    return verify_bundle(raw, policy, trust.get("orgs", some_orgs(log, others=[BUYER])), at)


@pytest.mark.parametrize("kind", CHAINS)
def test_a_bundle_of_each_kind_verifies(kind: str) -> None:
    log = a_log()
    found = verdict(bundle_of(log, kind), log)
    assert (found.exit, found.reason, found.kind, found.id) == (Exit.VALID, "", kind, SUBJECTS[kind])
    assert (found.strength, found.step) == (LEVEL, 0)
    assert [one.kind for one in found.proved] == [step.kind for step in CHAINS[kind]]


def test_a_payout_is_said_to_be_book_money_and_what_it_paid() -> None:
    log = a_log()
    found = verdict(bundle_of(log, "payout"), log)
    assert (found.money, found.payout) == ("book", {"id": "urn:uuid:t1", "minor": 4821})
    assert verdict(bundle_of(log, "grant"), log).money == ""


def test_a_grant_that_ended_is_said_to_be_revoked_since() -> None:
    log = a_log()
    issued = grant_in(log)
    for signer in (OWNER, log.org):
        record: dict[str, Json] = {"id": "urn:uuid:r1", "issuer": signer.did, "grant": names(issued)}
        ended = log.prove(log.log("grant.revoked", a_signed(record, signer)))
        raw = build_bundle("grant", "urn:uuid:g1", [log.prove(issued)], MADE, LEVEL, revoked=ended)
        found = verdict(raw, log)
        assert (found.exit, found.reason, found.status) == (Exit.VALID, "", "revoked since 2026-11-23T12:00:00Z")


def test_a_stranger_cannot_revoke() -> None:
    log = a_log()
    issued = grant_in(log)
    record: dict[str, Json] = {"id": "urn:uuid:r1", "issuer": STRANGER.did, "grant": names(issued)}
    ended = log.prove(log.log("grant.revoked", a_signed(record, STRANGER)))
    raw = build_bundle("grant", "urn:uuid:g1", [log.prove(issued)], MADE, LEVEL, revoked=ended)
    found = verdict(raw, log)
    assert (found.exit, found.step, found.item) == (Exit.INVALID, 7, "i2")


def test_a_grant_that_is_over_is_said_to_be_expired() -> None:
    log = a_log()
    raw = build_bundle(
        "grant", "urn:uuid:g1", [log.prove(grant_in(log, validUntil="2026-11-23T12:30:00Z"))], MADE, LEVEL
    )
    assert verdict(raw, log).status == "expired since 2026-11-23T12:30:00Z"
    assert verdict(raw, log, NOON + 600).status == "no revocation shown, bundle of 2026-11-23T12:02:00Z"


def test_too_few_witnesses_of_the_policy_is_genuine_but_below_policy() -> None:
    few = ALog(witnesses=WITNESSES[:1])
    found = verdict(bundle_of(few, "round"), few)
    assert (found.exit, found.step, found.item, found.strength) == (Exit.BELOW_POLICY, 4, "i1", "sequencer")
    log = a_log()
    raw = bundle_of(log, "round")
    alone = a_policy([log.signer.key])
    assert verdict(raw, log, policy=alone).strength == "sequencer"
    one_known = a_policy([log.signer.key], [WITNESSES[0].key], threshold=1)
    assert verdict(raw, log, policy=one_known).strength == "sequencer+witness(1/1)"
    others = a_policy([log.signer.key], [a_witness_signer(name).key for name in ("x.example", "y.example")])
    assert verdict(raw, log, policy=others).exit is Exit.BELOW_POLICY


def test_cosignatures_after_the_time_asked_about_do_not_count() -> None:
    log = a_log()
    raw = bundle_of(log, "agreement")
    assert verdict(raw, log, NOON + 60).exit is Exit.VALID
    assert verdict(raw, log, NOON + 59).exit is Exit.BELOW_POLICY
    assert (verdict(raw, log, NOON - 1).exit, verdict(raw, log, NOON - 1).step) == (Exit.INVALID, 4)


def test_trust_comes_from_the_two_files_only() -> None:
    log, other = a_log(), ALog("clinic-b.example", WITNESSES)
    raw = bundle_of(log, "agreement")
    foreign = a_policy([other.signer.key], [one.key for one in WITNESSES])
    assert (verdict(raw, log, policy=foreign).exit, verdict(raw, log, policy=foreign).step) == (Exit.INVALID, 4)
    for orgs in (some_orgs(other, others=[BUYER, log.org]), some_orgs(other, others=[BUYER])):
        assert (verdict(raw, log, orgs=orgs).exit, verdict(raw, log, orgs=orgs).step) == (Exit.INVALID, 4)
    buyer_unknown = verdict(raw, log, orgs=some_orgs(log))
    assert (buyer_unknown.exit, buyer_unknown.step) == (Exit.INVALID, 7)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"\xff", b"[" * 5000, b"null", b'{"a":1,"a":2}', b'{"type":1.5}', b"x" * 99]
)
def test_what_is_no_bundle_or_no_trust_file_is_unreadable(raw: bytes) -> None:
    log = a_log()
    good = bundle_of(log, "grant")
    assert verdict(raw, log).exit is Exit.UNREADABLE
    assert verdict(good, log, policy=raw).exit is Exit.UNREADABLE
    assert verdict(good, log, orgs=raw).exit is Exit.UNREADABLE


def test_a_lone_surrogate_and_a_huge_number_are_unreadable() -> None:
    log = a_log()
    good = bundle_of(log, "grant")
    for bad in (good.replace(b"urn:uuid:g1", b"\\ud800"), good.replace(b'"2027-', b'99999999999999999999,"x":"2027-')):
        assert verdict(bad, log).exit is Exit.UNREADABLE


def changed(raw: bytes, change: Callable[[ProofBundle], ProofBundle]) -> bytes:
    """What a forger makes of it: the digest fits again."""
    return seal_bundle(change(parse_bundle(raw)))


def in_item(name: str, **changes: Any) -> Callable[[ProofBundle], ProofBundle]:
    def change(bundle: ProofBundle) -> ProofBundle:
        return replace(bundle, items={**bundle.items, name: replace(bundle.items[name], **changes)})

    return change


def in_record(name: str, **members: Json) -> Callable[[ProofBundle], ProofBundle]:
    def change(bundle: ProofBundle) -> ProofBundle:
        return in_item(name, record={**bundle.items[name].record, **members})(bundle)

    return change


def in_text(name: str, member: str, old: str, new: str) -> Callable[[ProofBundle], ProofBundle]:
    def change(bundle: ProofBundle) -> ProofBundle:
        text = getattr(bundle.items[name], member)
        was = text.decode() if isinstance(text, bytes) else text
        now = was.replace(old, new)
        assert now != was
        return in_item(name, **{member: now.encode() if isinstance(text, bytes) else now})(bundle)

    return change


def swapped(bundle: ProofBundle) -> ProofBundle:
    first, second, *rest = bundle.items.items()
    return replace(bundle, items=dict([second, first, *rest]))


def without_last(bundle: ProofBundle) -> ProofBundle:
    return replace(bundle, items=dict(list(bundle.items.items())[:-1]), links=bundle.links[:-1])


@pytest.mark.parametrize(
    ("change", "step", "item"),
    [
        (in_text("i1", "entry", '"v":1', '"v":2'), 2, "i1"),
        (in_text("i2", "entry", '"v":1', '"v": 1'), 2, "i2"),
        (in_text("i2", "entry", "settlement.computed", "settlement.guessed"), 2, "i2"),
        (in_record("i1", transfers=[]), 3, "i1"),
        (in_item("i3", salt=Salt(bytes(32))), 3, "i3"),
        (in_item("i3", salt=Salt(bytes(31))), 3, "i3"),
        (in_text("i1", "tlog_proof", "\n3\n", "\n4\n"), 4, "i1"),
        (in_text("i1", "tlog_proof", "clinic-a.example/log/0 ", "clinic-b.example/log/0 "), 4, "i1"),
        (in_text("i1", "tlog_proof", "index 2", "extra AAAA\nindex 2"), 4, "i1"),
        (in_text("i1", "tlog_proof", "index 2", "index 1"), 5, "i1"),
        (in_text("i1", "tlog_proof", "index 2", "index 9"), 5, "i1"),
        (lambda bundle: replace(bundle, made_at=NOON + 59), 4, "i1"),
        (swapped, 8, ""),
        (without_last, 8, ""),
        (lambda bundle: replace(bundle, links=bundle.links[:-1]), 8, ""),
        (lambda bundle: replace(bundle, links=bundle.links[::-1]), 8, ""),
        (lambda bundle: replace(bundle, kind="model"), 8, ""),
        (lambda bundle: replace(bundle, id="urn:uuid:t3"), 8, "i1"),
        (lambda bundle: replace(bundle, revoked={"i1": "i2"}), 8, ""),
    ],
)
def test_a_forged_bundle_fails_at_the_step_that_finds_it(
    change: Callable[[ProofBundle], ProofBundle], step: int, item: str
) -> None:
    log = a_log()
    found = verdict(changed(bundle_of(log, "payout"), change), log)
    assert (found.exit, found.step, found.item) == (Exit.INVALID, step, item)
    assert found.reason


def forged_chain(log: ALog, **changes: Any) -> list[Logged]:
    """A payout whose parts are all in the log, with one thing wrong."""
    parties: dict[str, Json] = {"@id": "urn:uuid:a1", "assigner": log.org.did, "assignee": BUYER.did}
    made = log.log(
        "agreement.made",
        changes.get("agreement", a_signed(parties, log.org, BUYER)),
        {"state": changes.get("state", "FINALIZED")},
    )
    computed_record: dict[str, Json] = {"issuer": log.org.did, "agreement": names(made), "seq": 1}
    facts = {"seq": changes.get("seq", 1)}
    computed = log.log("settlement.computed", a_signed(computed_record, changes.get("signer", log.org)), facts)
    final_record: dict[str, Json] = {
        "issuer": log.org.did,
        "computed": changes.get("pointer", names(computed)),
        "transfers": [{"id": "urn:uuid:t1"}] * changes.get("times", 1),
    }
    return [log.log("settlement.final", a_signed(final_record, log.org)), computed, made]


@pytest.mark.parametrize(
    ("changes", "step", "item"),
    [
        ({}, 0, ""),
        ({"seq": 2}, 3, "i2"),
        ({"signer": STRANGER}, 7, "i2"),
        ({"agreement": {"@id": "urn:uuid:a1", "assigner": 5, "assignee": BUYER.did}}, 7, "i3"),
        ({"agreement": {"@id": "urn:uuid:a1", "assigner": BUYER.did, "assignee": BUYER.did}}, 7, "i3"),
        ({"agreement": {"@id": "urn:uuid:a1"}}, 7, "i3"),
        ({"pointer": "AAAAAAAAAAAAAAAAAAAAAA"}, 8, "i1"),
        ({"pointer": None}, 8, "i1"),
        ({"state": "AGREED"}, 8, "i1"),
        ({"times": 2}, 8, "i1"),
        ({"times": 0}, 8, "i1"),
    ],
)
def test_what_was_logged_wrong_is_found_although_it_is_in_the_log(
    changes: dict[str, Any], step: int, item: str
) -> None:
    log = a_log()
    chain = forged_chain(log, **changes)
    raw = build_bundle("payout", "urn:uuid:t1", [log.prove(one) for one in chain], MADE, LEVEL)
    found = verdict(raw, log)
    assert (found.step, found.item, found.exit is Exit.VALID) == (step, item, step == 0), found.reason


def test_an_agreement_needs_both_signatures() -> None:
    log = a_log()
    record: dict[str, Json] = {"@id": "urn:uuid:a1", "assigner": log.org.did, "assignee": BUYER.did}
    one, both = a_signed(record, log.org), a_signed(record, log.org, BUYER)
    proofs = both["proof"]
    assert isinstance(proofs, list)
    for wrong in (one, {**both, "proof": proofs[:1]}, {**both, "proof": proofs[::-1]}, {**both, "proof": []}, record):
        made = log.log("agreement.made", wrong, {"state": "FINALIZED"})
        found = verdict(build_bundle("agreement", "urn:uuid:a1", [log.prove(made)], MADE, LEVEL), log)
        assert (found.exit, found.step) == (Exit.INVALID, 7)


def test_two_histories_of_one_log_are_found() -> None:
    log, fork = a_log(), a_log()
    chain = chain_in(log, "round")
    chain_in(fork, "round")
    fork.texts[0] = fork.texts[0].replace(b"%d" % NOON, b"%d" % (NOON - 1))
    evidence = [log.prove(one) for one in chain]
    evidence[1] = fork.prove(chain[1])
    found = verdict(build_bundle("round", SUBJECTS["round"], evidence, MADE, LEVEL), log)
    assert (found.exit, found.step, found.item) == (Exit.INVALID, 6, "i2")


SMALL_LOG = a_log()
SMALL = bundle_of(SMALL_LOG, "grant")


def test_every_changed_byte_of_a_bundle_is_found() -> None:
    assert verdict(SMALL, SMALL_LOG).exit is Exit.VALID
    for place in range(len(SMALL)):
        raw = SMALL[:place] + bytes([SMALL[place] ^ 0x01]) + SMALL[place + 1 :]
        found = verdict(raw, SMALL_LOG)
        assert found.exit in (Exit.INVALID, Exit.UNREADABLE), (place, found)
        assert found.reason


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
@settings(max_examples=200)
def test_any_other_byte_at_any_place_is_found(place: int, bits: int) -> None:
    raw = SMALL[:place] + bytes([SMALL[place] ^ bits]) + SMALL[place + 1 :]
    assert verdict(raw, SMALL_LOG).exit in (Exit.INVALID, Exit.UNREADABLE)


@given(st.integers(0, len(SMALL)), st.binary(max_size=5), st.integers(0, 5))
@settings(max_examples=100)
def test_bytes_put_in_or_taken_out_are_found(place: int, more: bytes, fewer: int) -> None:
    raw = SMALL[:place] + more + SMALL[place + fewer :]
    assert verdict(raw, SMALL_LOG).exit in ((Exit.VALID,) if raw == SMALL else (Exit.INVALID, Exit.UNREADABLE))


def test_a_bundle_of_another_chain_is_not_built() -> None:
    log = a_log()
    grant = log.prove(grant_in(log))
    agreement = log.prove(agreement_in(log))
    wrong: list[tuple[str, list[Evidence], Evidence | None]] = [
        ("grant", [agreement], None),
        ("grant", [], None),
        ("parcel", [grant], None),
        ("agreement", [agreement], grant),
    ]
    for kind, chain, revoked in wrong:
        with pytest.raises(ProvenanceError, match=r"ledger\.bundle_unreadable"):
            build_bundle(kind, "urn:uuid:x", chain, MADE, LEVEL, revoked=revoked)


def test_members_that_nobody_reads_are_refused() -> None:
    said = json.loads(SMALL)
    for where in (said, said["items"][0], said["subject"]):
        where["extra"] = 1
        raw = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        assert verdict(raw, SMALL_LOG).exit is Exit.UNREADABLE
        del where["extra"]
