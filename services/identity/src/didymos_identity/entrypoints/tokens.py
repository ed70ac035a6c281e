"""The token endpoint: public, because whoever comes here has no token yet. RFC 6749 5, 7523, 8707, 9449 section 5."""

from typing import Any, Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import AUTH_USE_DPOP_NONCE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_UNAUTHENTICATED
from didymos_did import DidError, Proof, verify_assertion
from didymos_did.tokens import TOKEN_SECONDS
from didymos_kit.access import Guard
from didymos_kit.clock import Clock
from didymos_kit.errors import problem_of
from didymos_kit.http import PUBLIC, form, problems
from didymos_kit.http.problems import problem_response
from didymos_kit.ids import Ids
from fastapi import APIRouter, Request, Response

from didymos_identity.application.exchange_token import Issuing, TokenRequest, exchange_token
from didymos_identity.entrypoints.bodies import FORM, TokenAnswer
from didymos_identity.entrypoints.surface import Counts

PATH: Final = "/identity/v1/oauth/token"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BAD_REQUEST: Final = 400
_FIELDS: Final = ("grant_type", "assertion", "resource", "purpose")


class TokenDesk:
    """Takes assertions, over REST and gRPC. The audience of an assertion is this one endpoint for both."""

    def __init__(self, issuing: Issuing, counts: Counts, clock: Clock, ids: Ids) -> None:
        self._issuing, self._counts, self._clock, self._ids = issuing, counts, clock, ids
        self.endpoint = issuing.origin + PATH

    async def give(self, assertion: str, proof: Proof | None, resource: str, purpose: str) -> str:
        """Raises what `exchange_token` raises, and DidError `platform.unauthenticated`."""
        try:
            found = verify_assertion(assertion, self.endpoint, self._clock.now_us() // 1_000_000)
            asked = TokenRequest(found, proof, resource, purpose)
            token = await exchange_token(asked, self._issuing, str(self._ids.uuid7()), self._clock)
        except (DidError, Problem):
            self._counts.refused.inc()
            raise
        self._counts.issued.inc()
        return token


def routes(desk: TokenDesk, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/v1/oauth", tags=["tokens"])

    @router.post(
        "/token",
        dependencies=[PUBLIC],
        openapi_extra=FORM,
        response_model=TokenAnswer,
        responses=problems(PLATFORM_UNAUTHENTICATED, PLATFORM_INVALID_FIELD),
    )
    async def token(request: Request) -> Any:  # noqa: ANN401 - the token, or the challenge of RFC 9449 section 8
        said = await form(request, *_FIELDS)
        for name in ("grant_type", "assertion", "resource"):
            if not said.get(name):
                raise PLATFORM_INVALID_FIELD.problem(pointer=f"/{name}", detail="is missing")
        if said["grant_type"] != GRANT_TYPE:
            raise PLATFORM_INVALID_FIELD.problem(
                pointer="/grant_type", detail=f"only {GRANT_TYPE}", error="unsupported_grant_type"
            )
        try:
            proof = await guard.possession(request.headers.getlist("dpop"), "POST", desk.endpoint)
            given = await desk.give(said["assertion"], proof, said["resource"], said.get("purpose", ""))
        except Exception as error:
            return _refusal(problem_of(error))
        return TokenAnswer(access_token=given, expires_in=TOKEN_SECONDS)

    return router


def _refusal(problem: Problem) -> Response:
    """The problem, with the word that RFC 6749 has for it. An old nonce is 400 here, as RFC 9449 section 8 wants."""
    words = {401: "invalid_grant", 422: "invalid_request", 503: "temporarily_unavailable"}
    word = "use_dpop_nonce" if problem.row is AUTH_USE_DPOP_NONCE else words.get(problem.row.http)
    named = problem if word is None else Problem(problem.row, {"error": word, **problem.values})
    response = problem_response(named)
    if problem.row is AUTH_USE_DPOP_NONCE:
        response.status_code = BAD_REQUEST
    return response
