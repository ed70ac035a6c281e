"""What every process knows of identity and consent, from its own tails of their topics."""

from didymos_kit.tails.consent import ConsentTail
from didymos_kit.tails.consent_events import consent_changed, grant_from_consent
from didymos_kit.tails.identity import Enrolment, IdentityTail

__all__ = ["ConsentTail", "Enrolment", "IdentityTail", "consent_changed", "grant_from_consent"]
