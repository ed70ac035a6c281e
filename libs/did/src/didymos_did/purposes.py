"""Purposes of use: a frozen part of the Data Privacy Vocabulary 2.1 with its parents."""

from collections.abc import Collection
from typing import Final, NewType

from didymos_did.errors import DidError

Purpose = NewType("Purpose", str)
DPV: Final = "https://w3id.org/dpv#"

_PARENTS: Final[dict[str, tuple[str, ...]]] = {
    "ResearchAndDevelopment": (),
    "AcademicResearch": ("ResearchAndDevelopment",),
    "ScientificResearch": ("ResearchAndDevelopment",),
    "CommercialPurpose": (),
    "NonCommercialPurpose": (),
    "CommercialResearch": ("ResearchAndDevelopment", "CommercialPurpose"),
    "NonCommercialResearch": ("ResearchAndDevelopment", "NonCommercialPurpose"),
    "PublicBenefit": (),
    "ImproveHealthcare": ("PublicBenefit",),
    "ImprovePublicServices": ("PublicBenefit",),
    "ImproveTransportMobility": ("PublicBenefit",),
    "CombatClimateChange": ("PublicBenefit",),
    "ProvideOfficialStatistics": ("PublicBenefit",),
    "ServiceProvision": (),
    "Personalisation": (),
    "ServicePersonalisation": ("Personalisation", "ServiceProvision"),
    "ServiceOptimisation": ("ServiceProvision",),
    "OptimisationForConsumer": ("ServiceOptimisation",),
    "OptimisationForController": ("ServiceOptimisation",),
    "EnforceSecurity": (),
    "LegalCompliance": (),
    "PaymentManagement": (),
}
_NEVER_GRANTED: Final = {"PublicBenefit", "Personalisation", "ServiceOptimisation"}  # too wide: only steps to others
PURPOSES: Final[frozenset[Purpose]] = frozenset(Purpose(DPV + name) for name in _PARENTS.keys() - _NEVER_GRANTED)


def parse_purpose(text: object) -> Purpose:
    """A purpose of the table, by its IRI. Raises DidError `grant.purpose_unknown`."""
    if not isinstance(text, str) or text not in PURPOSES:
        raise DidError("grant.purpose_unknown", "no purpose of the bundled vocabulary", purpose=str(text)[:128])
    return Purpose(text)


def covered(purpose: Purpose, granted: Collection[Purpose]) -> bool:
    """Whether `granted` admits `purpose`: by name, or because it admits every parent of it."""
    if purpose in granted:
        return True
    names = {each.removeprefix(DPV) for each in granted}
    return _covered(purpose.removeprefix(DPV), names)


def _covered(name: str, granted: set[str]) -> bool:
    if name in granted:
        return True
    parents = _PARENTS.get(name, ())
    return bool(parents) and all(_covered(parent, granted) for parent in parents)
