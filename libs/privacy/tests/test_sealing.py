"""A personal model opens for the service it was sealed to, as the model of its twin and run only."""

import pytest
from didymos_privacy import PrivacyError, Recipient, model_info, seal_to


def test_a_model_opens_for_its_recipient_twin_and_run_only() -> None:
    recipient, info = Recipient(b"r" * 32), model_info("run-1", "did:key:zTwin")
    sealed = seal_to(recipient.public, b"parameters", info)
    assert recipient.open(sealed, info) == b"parameters"
    assert len(sealed) == len(b"parameters") + 1136
    others = [
        (Recipient(b"s" * 32), sealed, info),
        (recipient, sealed[:-1], info),
        (recipient, b"", info),
        (recipient, sealed, model_info("run-2", "did:key:zTwin")),
        (recipient, sealed, model_info("run-1", "did:key:zOther")),
    ]
    for key, raw, bound in others:
        with pytest.raises(PrivacyError, match=r"privacy\.box_invalid"):
            key.open(raw, bound)


@pytest.mark.parametrize("public", [b"", bytes(1216), b"\xff" * 1216])
def test_nothing_is_sealed_to_what_is_no_key(public: bytes) -> None:
    with pytest.raises(PrivacyError, match=r"privacy\.key_weak"):
        seal_to(public, b"parameters", b"")
