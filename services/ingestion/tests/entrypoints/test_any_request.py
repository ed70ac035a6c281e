"""Whatever is posted, the answer is 202 or a problem of its sender: never a 500, and nothing written by halves."""

import asyncio

from didymos_ingestion.domain.quota import Load
from didymos_ingestion.entrypoints.intake import Intake, Meters
from didymos_ingestion.entrypoints.rest import MEDIA, batch_routes
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import encode_batch, encode_batch_json
from didymos_testing.did import a_signer
from didymos_testing.ingestion import IntakeWorld, a_signed_batch
from didymos_testing.kit import Issuer, a_client
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = (encode_batch(a_signed_batch()), encode_batch_json(a_signed_batch()), b'[{"n": "glucose/level", "v": 1}]')
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "consistency-token",
            "didymos-stream",
            "didymos-number",
            "authorization",
            "dpop",
            "traceparent",
            "accept",
            "signature-input",
            "signature",
            "content-digest",
            "ce-specversion",
            "ce-id",
        ]
    ),
    TEXT | st.sampled_from(["-1", "99999999999999999999999", "1e3", "3:1", "i0:1", "DPoP x"]),
    max_size=4,
)


async def posted(media: str, body: bytes, headers: dict[str, str], query: str) -> tuple[int, str, IntakeWorld]:
    world = IntakeWorld()
    intake = Intake(world.ports, world.clock, a_signer("ingestion service"), Load(), Meters(Metrics()))

    async def wait(_token: str | None) -> None:
        """The tails of this test hold everything."""

    async with a_client(batch_routes(intake, wait), issuer=Issuer(), name="ingestion") as client:
        answer = await client.post(
            f"/v1/batches{query}", content=body, headers={**headers, "content-type": media}
        )  # fmt: skip
    return answer.status_code, answer.headers["content-type"], world


@given(
    st.sampled_from(MEDIA) | TEXT,
    st.sampled_from(GOOD) | st.binary(max_size=80),
    HEADERS,
    st.sampled_from(["", "?a=1", "?profile=generic@1"]),
)
@settings(max_examples=200, deadline=None)
def test_any_request(media: str, body: bytes, headers: dict[str, str], query: str) -> None:
    status, kind, world = asyncio.run(posted(media, body, headers, query))
    assert (status == 202 and kind == "application/json") or (
        400 <= status < 500 and kind == "application/problem+json"
    )
    assert bool(world.writer.records) == (status == 202)


def test_the_good_ones_are_taken() -> None:
    for media, body in zip(MEDIA[:2], GOOD[:2], strict=True):
        status, _, world = asyncio.run(posted(media, body, {}, ""))
        assert (status, len(world.writer.records)) == (202, 1)
