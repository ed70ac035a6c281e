"""Who may write which note."""

from didymos_did import TwinId
from didymos_template_service.domain.note import LONGEST, Note, Refused, write
from didymos_testing.did import NOON, OWNER, STRANGER, TWIN

MINE = TwinId(TWIN.did)


def test_an_owner_writes_a_note() -> None:
    assert write(MINE, "sensor moved to the left arm", OWNER.did, OWNER.did, NOON) == Note(
        MINE, "sensor moved to the left arm", NOON
    )


def test_nobody_else_does_and_nobody_writes_about_a_twin_without_an_owner() -> None:
    assert write(MINE, "x", STRANGER.did, OWNER.did, NOON) is Refused.NOT_THE_OWNER
    assert write(MINE, "x", OWNER.did, None, NOON) is Refused.NOT_THE_OWNER


def test_a_note_is_short() -> None:
    assert write(MINE, "x" * (LONGEST + 1), OWNER.did, OWNER.did, NOON) is Refused.TOO_LONG
