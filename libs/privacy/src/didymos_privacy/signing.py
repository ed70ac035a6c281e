"""Signatures of the messages: `didymos/sa-<step>/v1` over the body as it travels. identity.md, detached signatures."""

from typing import Final

from didymos_did import Signed, Signer, sign_detached, verify_detached

from didymos_privacy.errors import PrivacyError
from didymos_privacy.messages import Advert, Agree, Answers, Boxes, Confirm, Masked, SiteMessage

ORDER: Final = "order"
SIGNAL: Final = "site-signal"
_STEPS: Final[dict[type, str]] = {
    Advert: "sa-advertise",
    Agree: "sa-agree",
    Boxes: "sa-share",
    Masked: "sa-mask",
    Confirm: "sa-confirm",
    Answers: "sa-unmask",
}


def tag_of(message: SiteMessage | type) -> str:
    """What a signature of this message is for; refusals and all that is no step are plain signals."""
    return _STEPS.get(message if isinstance(message, type) else type(message), SIGNAL)


def sign_message(message: SiteMessage | type, body: bytes, signer: Signer) -> Signed:
    """`body`: the encoded SignalBody that holds `message`."""
    return sign_detached(tag_of(message), body, signer)


def verify_message(message: SiteMessage | type, signed: Signed, site: str) -> None:
    """Raises PrivacyError `privacy.advert_invalid`, unless the key of the DID `site` signed this body for this step."""
    if signed.did != site or not verify_detached(tag_of(message), signed):
        raise PrivacyError("privacy.advert_invalid", "the site named did not sign this for this step")
