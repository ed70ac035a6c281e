"""Consent at a site: the credential of the owner and the word of identity, both, and fresh."""

import asyncio
from dataclasses import replace

import pytest
from didymos_did import Freshness, GrantState, TwinId, Usage
from didymos_site.adapters.consent import WatchedConsent
from didymos_site.domain.subject import Subject
from didymos_testing.clock import FixedClock
from didymos_testing.did import STRANGER
from didymos_testing.site import a_beat, a_person, told_grant

PERSON = a_person(1)
SUBJECT = Subject(PERSON.twin, PERSON.grant.owner, "a.csv", "")


def consent(clock: FixedClock, subject: Subject = SUBJECT) -> WatchedConsent:
    return WatchedConsent({subject.twin: subject}, lambda: [PERSON.grant], clock)


def test_before_the_first_word_and_after_silence_consent_is_stale() -> None:
    clock = FixedClock()
    held = consent(clock)
    assert held.facts(PERSON.twin, {}).freshness is Freshness.STALE
    held.told(a_beat())
    clock.advance(4.9)
    assert held.facts(PERSON.twin, {}).freshness is Freshness.FRESH
    clock.advance(0.2)
    assert held.facts(PERSON.twin, {}).freshness is Freshness.STALE
    held.told(a_beat(staleness_ms=4000))
    clock.advance(1.5)
    assert held.facts(PERSON.twin, {}).freshness is Freshness.STALE


def test_a_grant_counts_in_the_state_that_identity_tells_whatever_the_order() -> None:
    held = consent(FixedClock())
    assert held.facts(PERSON.twin, {}).grants == ()
    held.told(told_grant(PERSON.grant, GrantState.REVOKED, 2))
    held.told(told_grant(PERSON.grant))
    (grant,) = held.facts(PERSON.twin, {PERSON.grant.id: 3}).grants
    assert (grant.state, grant.revision) == (GrantState.REVOKED, 2)
    assert held.facts(PERSON.twin, {PERSON.grant.id: 3}).usage == {PERSON.grant.id: Usage(3, 3)}


@pytest.mark.parametrize("changed", [{"digest": b"\x12\x20" + b"x" * 32}, {"twin": TwinId(STRANGER.did)}])
def test_what_identity_tells_of_another_credential_is_no_grant(changed: dict[str, object]) -> None:
    held = consent(FixedClock())
    held.told(told_grant(replace(PERSON.grant, **changed)))  # type: ignore[arg-type] # one of its members
    assert held.facts(PERSON.twin, {}).grants == ()
    assert held.facts(TwinId(STRANGER.did), {}).grants == ()


def test_twins_are_offered_with_a_credential_of_their_owner_only() -> None:
    assert consent(FixedClock()).reload() == (PERSON.twin,)
    assert consent(FixedClock(), replace(SUBJECT, owner=STRANGER.did)).reload() == ()
    assert consent(FixedClock(), replace(SUBJECT, twin=TwinId(STRANGER.did))).reload() == ()


async def test_a_stale_moment_is_waited_out_and_silence_is_not() -> None:
    clock = FixedClock()
    held = consent(clock)
    waiting = asyncio.create_task(held.settle())
    await asyncio.sleep(0)
    held.told(a_beat(staleness_ms=6000))
    await asyncio.sleep(0)
    assert not waiting.done()
    held.told(a_beat())
    await waiting
    impatient = WatchedConsent({}, list, clock, patience_seconds=0.01)
    await impatient.settle()
    assert impatient.facts(PERSON.twin, {}).freshness is Freshness.STALE
