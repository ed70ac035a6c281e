"""The hospital offers a forecasting run within what owners granted; the institute buys it; both sign; money is held."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from didymos_did import Signer, Terms, instant_text, jcs, sign_document, terms_json
from didymos_did.proofs import parse_instant

from didymos_cli.demo.onboarding import seen_by
from didymos_cli.demo.stage import Stage

ASSET: Final = "EUR/2"
PRICE_MINOR: Final = 100_000
FEE_BASIS_POINTS: Final = 250
MARKET: Final = "/marketplace/v1"


@dataclass(frozen=True, slots=True)
class Bought:
    """A final agreement."""

    agreement: str
    price_minor: int


async def buy(stage: Stage, terms: Terms, rounds: int) -> Bought:
    hospital, institute = stage.client(stage.cast.house.organisation), stage.client(stage.cast.institute)
    seen_by(stage, stage.cast.house.organisation)
    seen_by(stage, stage.cast.institute)
    paid = {"id": f"wire-{stage.cast.seed}", "asset": ASSET, "minor": PRICE_MINOR}
    await hospital.post(f"{MARKET}/accounts/{institute.did}/deposits", paid)
    offer = _offer(stage, terms, rounds)
    published = await hospital.post(
        f"{MARKET}/offers", {"document": signed(offer, hospital.signer, offer["validFrom"])}
    )
    stage.say(f"the hospital's offer is covered by the grants of {published['covering']} owners")
    opened = await institute.post(
        f"{MARKET}/negotiations", {"offer": offer["@id"], "consumer_pid": f"urn:uuid:{uuid4()}"}
    )
    path, drafted = f"{MARKET}/negotiations/{opened['provider_pid']}", opened["agreement"]
    agreed = signed(drafted, hospital.signer, drafted["timestamp"])
    await hospital.post(f"{path}/agreement", {"document": agreed})
    proof = signed(drafted, institute.signer, drafted["timestamp"])["proof"]
    await institute.post(f"{path}/verification", {"proof": proof})
    final = await hospital.post(f"{path}/events", {"state": "FINALIZED"})
    stage.say(f"agreement signed by both; {PRICE_MINOR / 100:,.2f} EUR are held until the run settles")
    return Bought(final["agreement_id"], final["price"]["minor"])


def _offer(stage: Stage, terms: Terms, rounds: int) -> dict[str, Any]:
    return {
        "@id": _urn(stage, "offer"), "@type": "Offer", "assigner": stage.card.org,
        "assignee": stage.cast.institute.did, "target": _urn(stage, "product"), "format": "didymos-train-v1",
        "terms": terms_json(terms), "validFrom": instant_text(terms.valid_from),
        "validUntil": instant_text(terms.valid_until), "price": {"asset": ASSET, "minor": PRICE_MINOR},
        "rounds": rounds, "fee_basis_points": FEE_BASIS_POINTS,
    }  # fmt: skip


def _urn(stage: Stage, label: str) -> str:
    return UUID(bytes=stage.cast.secret(label)[:16], version=4).urn


def signed(document: dict[str, Any], signer: Signer, at: str) -> dict[str, Any]:
    """The document with a proof of `signer`, dated `at`."""
    return sign_document(document, signer, parse_instant(at))


__all__ = ["ASSET", "FEE_BASIS_POINTS", "PRICE_MINOR", "Bought", "buy", "jcs", "signed"]
