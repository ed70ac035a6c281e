"""Calls that schemathesis makes out of each OpenAPI document, right and wrong ones: every answer is one it describes.

Called as the owner of the twin that there is; half of the calls name it. A failure prints the call as a curl command.
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
import pytest
import pytest_asyncio
import schemathesis
from didymos_cli.up import SERVICES
from didymos_testing.did import OWNER, RESEARCH
from didymos_testing.house import World
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, GenerationMode
from schemathesis import Case as AnyCase
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.furnished import KNOWN, a_furnished_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(300)]
API: Final = Path(__file__).resolve().parents[2] / "docs/api"
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
Case: TypeAlias = AnyCase[Operation]
CALLS: Final = 4  # of each kind, to each operation
OURS: Final = {"user-agent", "accept-encoding", "host"}  # headers that the client says itself
WHOLE: Final = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with a_furnished_world(tmp_path_factory.mktemp("openapi")) as (world, _):
        yield world


def calls(operation: Operation, mode: GenerationMode) -> list[Case]:
    """The same ones each time. None: nothing can be wrong about this operation."""
    made: list[Case] = []

    @settings(max_examples=CALLS, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck), phases=(Phase.generate,))  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Case) -> None:
        made.append(case)

    try:
        collect()
    except Unsatisfiable:
        return []
    for case in made[::2]:
        case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
    return made


def operations(service: str) -> Iterator[Operation]:
    document = json.loads((API / f"{service}.json").read_text())
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


async def answered(client: httpx.AsyncClient, case: Case, base: str) -> httpx.Response:
    """The answer; of a stream that is open, its head."""
    said = case.as_transport_kwargs(base_url=base)
    headers = {name: value for name, value in said["headers"].items() if name.lower() not in OURS}
    data = said.get("data")
    body = {"json": said["json"]} if "json" in said else {"data" if isinstance(data, dict) else "content": data}
    made = client.build_request(said["method"], said["url"], headers=headers, params=said["params"], **body)
    answer = await client.send(made, stream=True)
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        await answer.aread()
    await answer.aclose()
    return answer


@pytest.mark.parametrize("service", SERVICES)
async def test_every_answer_is_one_that_the_document_describes(world: World, service: str) -> None:
    base, wrong, sent = f"{world.house.origin}/{service}", list[str](), 0
    async with world.rest(OWNER, service, RESEARCH) as client:
        for operation in operations(service):
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                for case in calls(operation, mode):
                    answer, sent = await answered(client, case, base), sent + 1
                    try:
                        if answer.is_stream_consumed:
                            case.validate_response(answer, checks=WHOLE)
                        else:
                            assert answer.status_code == 200, (operation.label, answer.status_code)
                    except FailureGroup as failure:
                        wrong.append(f"{operation.label}: {failure}")
    assert sent > len(list(operations(service)))
    assert wrong == [], "\n".join(wrong[:5])
