"""What the coordinator takes and refuses, and that its state survives every step as bytes (the builder stores it)."""

from dataclasses import replace
from typing import Any

import pytest
from didymos_privacy import (
    Aborted,
    Agree,
    Answers,
    Boxes,
    Close,
    Confirm,
    CoordinatorState,
    CoordinatorUnmasking,
    Done,
    From,
    Left,
    Masked,
    PrivacyError,
    Refuse,
    TimeIsUp,
    collect,
    coordinator_state,
    expected_digest,
    expected_of,
    list_digest,
    order_for,
    site_state,
    stage,
    subjects_of,
    survivors_of,
)
from didymos_testing.privacy import World, a_world, names

FIRST, LAST = names(6)[0], names(6)[5]


def stopped_at(at: str, count: int = 6, last: str = LAST) -> World:
    """A world that waits for one more message, that of `last`, in stage `at`."""
    world = a_world(count)
    hear = world.hear

    def stop(name: str, message: Any) -> None:
        if stage(world.state) == at and name == last:
            raise StopIteration
        hear(name, message)

    world.hear = stop  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        world.run()
    world.hear = hear  # type: ignore[method-assign]
    return world


def code(state: CoordinatorState, said: Any, site: str = LAST, listed: bytes | None = None) -> str:
    with pytest.raises(PrivacyError) as raised:
        collect(state, From(site, list_digest(state) if listed is None else listed, said))
    return raised.value.code


@pytest.mark.parametrize(
    ("at", "bad", "wanted"),
    [
        ("AGREE", Agree((b"x",)), "privacy.list_inconsistent"),
        ("AGREE", Agree((b"x",) * 5), "privacy.list_inconsistent"),
        ("AGREE", Masked(b"v" * 32), "privacy.step_out_of_order"),
        ("SHARE", Boxes((b"",) * 5, b"", b"", b""), "privacy.list_inconsistent"),
        ("MASK", Masked(b"v"), "privacy.list_inconsistent"),
        ("CONFIRM", Confirm(b"t" * 32, (0, 1, 2, 3, 4, 5)), "privacy.second_list_refused"),
        ("UNMASK", Answers((), (), ()), "privacy.list_inconsistent"),
        ("UNMASK", Answers((b"",) * 5, (b"r" * 36,) * 5, (b"c" * 16,) * 5), "privacy.list_inconsistent"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_and_the_state_stays(at: str, bad: Any, wanted: str) -> None:
    world = stopped_at(at)
    assert code(world.state, bad) == wanted
    assert code(world.state, bad, listed=b"another list") == "privacy.list_inconsistent"
    assert code(world.state, bad, site="did:key:zstranger") == "privacy.list_inconsistent"


def test_a_repeat_changes_nothing_and_another_word_is_refused() -> None:
    world = stopped_at("MASK")
    name, said = next((name, m) for name, m in world.heard if isinstance(m, Masked))
    listed = list_digest(world.state)
    assert collect(world.state, From(name, listed, said)) == world.state
    assert code(world.state, Masked(b"w" * 32), site=name) == "privacy.second_vector_refused"
    agreed = next(m for other, m in world.heard if isinstance(m, Agree) and other == name)
    assert collect(world.state, From(name, listed, agreed)) == world.state
    dropped = collect(world.state, TimeIsUp("MASK"))
    assert collect(dropped, From(LAST, listed, Masked(b"late" * 8))) == dropped
    advert = next(m for other, m in world.heard if other == name)
    assert collect(world.state, From(name, b"", advert)) == world.state
    assert code(world.state, replace(advert, subjects=9), site=name) == "privacy.step_out_of_order"


def test_adverts_are_taken_of_invited_sites_once() -> None:
    world = a_world(6)
    one, other = (world.sites[name].advert() for name in names(6)[:2])
    state = collect(world.state, From(one.site, b"", one))
    assert collect(state, From(one.site, b"", one)) == state
    assert order_for(state, one.site) is None
    assert (list_digest(state), expected_of(state), expected_digest(state), subjects_of(state)) == (b"", (), b"", 0)
    assert survivors_of(state) == ()
    assert code(state, replace(one, subjects=9), site=one.site) == "privacy.list_inconsistent"
    assert code(state, replace(one, site=other.site), site=other.site) == "privacy.list_inconsistent"
    assert code(state, one, site=other.site) == "privacy.step_out_of_order"
    assert code(state, one, site="did:key:zstranger") == "privacy.step_out_of_order"


def test_a_site_that_refuses_is_not_waited_for() -> None:
    world = a_world(7)
    everyone = list(world.sites)
    world.state = collect(world.state, From(everyone[0], b"", Refuse("consent.stale", "")))
    world.silent = {"ADVERTISE": everyone[:1]}
    assert isinstance(world.run(), Done)
    world = stopped_at("MASK")
    world.state = collect(world.state, From(LAST, list_digest(world.state), Refuse("privacy.key_weak", "")))
    assert stage(world.state) == "CONFIRM"
    assert [name for name, _ in survivors_of(world.state)] == names(6)[:5]
    assert order_for(world.state, LAST) is None


def test_what_shares_do_not_open_names_the_site() -> None:
    world = stopped_at("UNMASK")
    state = world.state
    assert isinstance(state, CoordinatorUnmasking)
    shared = tuple((at, replace(boxes, commit_b=b"c" * 32) if at == 3 else boxes) for at, boxes in state.shared)
    ended = collect(replace(state, shared=shared), TimeIsUp("UNMASK"))
    assert isinstance(ended, Aborted)
    assert (ended.code, ended.charged) == ("privacy.commitment_mismatched", True)


def test_a_disputed_seed_names_the_pair() -> None:
    world = a_world(6, silent={"MASK": [names(6)[5]]})
    hear = world.hear

    def lie(name: str, message: Any) -> None:
        if isinstance(message, Answers) and name == FIRST:
            message = replace(message, seed_checks=(*message.seed_checks[:-1], b"l" * 16))
        hear(name, message)

    world.hear = lie  # type: ignore[method-assign]
    ended = world.run()
    assert isinstance(ended, Aborted)
    assert ended.code == "privacy.seed_disputed"
    assert order_for(ended, FIRST) == Close("aborted", "privacy.seed_disputed")


def test_late_deadlines_and_words_after_the_end_do_nothing() -> None:
    world = stopped_at("SHARE")
    assert collect(world.state, TimeIsUp("AGREE")) == world.state
    done = a_world(6)
    ended = done.run()
    assert collect(ended, TimeIsUp("UNMASK")) == ended
    close = order_for(ended, FIRST)
    assert close == Close("committed", "")
    assert order_for(ended, "did:key:zstranger") is None
    site = done.sites[FIRST]
    assert site.told(close) is None
    assert isinstance(site.state, Left)
    assert site.told(close) is None
    assert expected_of(ended) == (0, 1, 2, 3, 4, 5)
    assert subjects_of(ended) == 18


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"is":"Left"}', b'{"is":"Popen","args":"x"}', b'{"b":"***"}'])
def test_bytes_that_are_no_state_are_refused(raw: bytes) -> None:
    for read in (site_state, coordinator_state):
        with pytest.raises(PrivacyError, match=r"privacy\.state_malformed: not a state"):
            read(raw)
