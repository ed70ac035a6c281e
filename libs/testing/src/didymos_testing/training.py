"""Agreements, specifications and people for tests of the coordinator."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import grpc
from didymos.market.v1.market_service_pb2 import GetAgreementRequest, GetAgreementResponse
from didymos.market.v1.market_service_pb2_grpc import MarketServicer, add_MarketServicer_to_server
from didymos.market.v1.market_types_pb2 import NEGOTIATION_STATE_FINALIZED, Money
from didymos_did import Ed25519Signer, TwinId, jcs
from didymos_kit.service import Service
from didymos_learning import (
    GLUCOSE_TASK,
    CohortSpec,
    RunSpec,
    StrategySpec,
    demo_spec,
    model_spec,
)

from didymos_testing.did import RESEARCH, a_grant, a_grant_id, a_signer, a_terms
from didymos_testing.house import World
from didymos_testing.site_double import SiteDouble

AGREEMENT = "urn:uuid:01930000-0000-7000-8000-00000000a9ee"
BUYER, PROVIDER = a_signer("institute"), a_signer("provider")


def a_spec(**changes: Any) -> RunSpec:  # noqa: ANN401 - any member of the specification
    """Three masked rounds of a tiny LSTM over five sites, of which four must survive, and ten subjects."""
    demo = demo_spec(b"\x07" * 32)
    spec = replace(
        demo, model=model_spec("lstm", {"units": 2, "skip": 2}, GLUCOSE_TASK),
        local=replace(demo.local, batch=64, clip=1.0), strategy=StrategySpec("fedavg", {}), rounds=3,
        cohort=CohortSpec(5, 4, 10, 100.0), validation=b"",
    )  # fmt: skip
    return replace(spec, **changes)


@dataclass
class MarketBox(MarketServicer):
    """A marketplace that holds final agreements, and what is wrong with them."""

    agreements: dict[str, GetAgreementResponse] = field(default_factory=dict)

    @property
    def service(self) -> Service:
        def register(server: grpc.aio.Server) -> None:
            add_MarketServicer_to_server(self, server)

        return Service("marketplace", servicers=(register,))

    async def GetAgreement(self, request: GetAgreementRequest, _context: object) -> GetAgreementResponse:  # noqa: N802
        from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND

        found = self.agreements.get(request.id)
        if found is None:
            raise PLATFORM_NOT_FOUND.problem(agreement=request.id)
        return found


def an_agreement(**changes: Any) -> GetAgreementResponse:  # noqa: ANN401 - any member of the answer
    terms = {
        "@id": AGREEMENT, "permission": [{"action": "use", "constraint": [
            {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": [str(RESEARCH)]}]}],
        "didymos:settlement": {"rounds": 30},
    }  # fmt: skip
    said: dict[str, Any] = {
        "id": AGREEMENT, "state": NEGOTIATION_STATE_FINALIZED, "provider": PROVIDER.did, "buyer": BUYER.did,
        "terms": jcs(terms), "cap": Money(asset="EUR/2", minor=100), "funded": Money(asset="EUR/2", minor=100),
    }  # fmt: skip
    return GetAgreementResponse(**{**said, **changes})


@dataclass
class People:
    """Owners with a twin each, spread over sites."""

    owners: dict[TwinId, Ed25519Signer]
    sites: Mapping[str, tuple[TwinId, ...]]

    @staticmethod
    def at(sites: int, each: int) -> "People":
        owners, placed = {}, {}
        for site in range(sites):
            own = []
            for number in range(each):
                twin = TwinId(a_signer(f"twin {site}.{number}").did)
                owners[twin] = a_signer(f"owner {site}.{number}")
                own.append(twin)
            placed[f"site {site}"] = tuple(own)
        return People(owners, placed)

    def doubles(self, spec: RunSpec) -> list[SiteDouble]:
        return [SiteDouble(a_signer(name), twins, spec) for name, twins in self.sites.items()]

    async def consent(self, world: World, **changes: Any) -> None:  # noqa: ANN401 - members of the terms
        """Every owner registers and grants the institute training; returns when this house knows."""
        now = world.house.clock.now()
        terms = {"window": (now - timedelta(days=1), now + timedelta(days=30)), **changes}
        for number, (twin, owner) in enumerate(self.owners.items(), start=1):
            await world.house.wait(await world.identity.register(twin, owner.did))
            grant = a_grant(
                id=a_grant_id(number), twin=twin, owner=owner.did, grantee=BUYER.did, terms=a_terms(**terms)
            )
            await world.house.wait(await world.identity.grant(grant))

    def grant(self, world: World, twin: TwinId) -> Any:  # noqa: ANN401 - the grant of this twin
        return world.house.consent.grants(twin)[0]
