"""Forecasts: the twin's own model first, the shared one else, the last value where no model can speak."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from didymos.training.v1.training_events_pb2 import ModelRegistered
from didymos.training.v1.training_types_pb2 import MODEL_KIND_GLOBAL, MODEL_KIND_PERSONAL
from didymos.twin.v1.twin_service_pb2 import ForecastRequest
from didymos.twin.v1.twin_service_pb2_grpc import ForecastsStub
from didymos_contracts.topics import MODEL
from didymos_did import Action
from didymos_kit.eventlog import Record, envelope
from didymos_learning import RunSpec, Scale, demo_spec, derive, flat_bytes, flat_view, recent_inputs, series_of
from didymos_privacy import Recipient, model_info, seal_to
from didymos_testing.did import INSTITUTE, RESEARCH, a_terms
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world
from didymos_twin_state.bootstrap import PERSONAL_MODELS

PERIOD_US = 300_000_000
RUN = "run-1"
SPEC = demo_spec(b"s" * 32)


def parameters(spec: RunSpec) -> bytes:
    from didymos_learning.models import initial

    return flat_bytes(initial(spec.model, derive(spec.seed, "model")))


def personal(params: bytes) -> bytes:
    """As a site makes it, with a band of 9 around its mean."""
    from didymos_learning.serving import ServedModel

    flat = flat_view(params, SPEC.model.layout.size)
    return ServedModel(flat, Scale(120.0, 20.0, 3.0, 12.0), 9.0).to_bytes()


async def put(world: TwinWorld, data: bytes) -> bytes:
    digest = sha256(data).digest()
    await world.house.files.put(f"training/objects/{digest.hex()}", data)
    return digest


async def register(world: TwinWorld, params: bytes, twin: str = "", at_ms: int = 1, **card: Any) -> str:
    """A model in the log, with the card that the registry gives it."""
    task, spec = SPEC.model.task, await put(world, SPEC.to_json())
    said = {
        "task": {
            "kind": task.kind, "property": task.prop, "unit": task.unit, "period_s": task.period_s,
            "input": task.input, "horizon": task.horizon,
        },
        "spec": spec.hex(), "metrics": {"rmse_global": 12.0}, **card,
    }  # fmt: skip
    model = f"m-{uuid4().hex[:12]}"
    event = ModelRegistered(
        model_id=model, kind=MODEL_KIND_PERSONAL if twin else MODEL_KIND_GLOBAL, run=RUN, twin=twin,
        task="forecast:features/glucose/level:1800s", params_digest=params, card=json.dumps(said).encode(),
    )  # fmt: skip
    headers = envelope.build(
        envelope.Envelope(uuid4().hex, "didymos://test/training", event.DESCRIPTOR.full_name, world.house.clock.now())
    )
    record = Record(MODEL.name, (twin or event.task).encode(), event.SerializeToString(), headers, at_ms)
    async with world.house.event_log.writer("test.training") as writer:
        await writer.append([record])
    return model


async def a_day(world: TwinWorld, count: int = 120) -> str:
    """Readings of the last hours, five minutes apart."""
    await world.create()
    begin = world.house.clock.now_us() - count * PERIOD_US
    times = [begin + at * PERIOD_US for at in range(count)]
    return await world.send([float(value) for value in 120 + 30 * np.sin(np.arange(count) / 9)], times)


async def forecast(world: TwinWorld, token: str, model: str | None) -> dict[str, Any]:
    """The forecast once `model` makes it (the tail and the gate take a moment); None: the first one."""
    async with world.rest(world.owner) as client, asyncio.timeout(60):
        while True:
            answer = await client.get(
                f"/v1/twins/{world.twin}/forecast", params={"property": GLUCOSE},
                headers={"consistency-token": token},
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if model in (None, found["model"]):
                return found
            await asyncio.sleep(0.05)


async def test_without_a_model_the_last_value_is_given_and_flagged(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        found = await forecast(world, await a_day(world), None)
    assert (found["model"], found["fallback"], found["personal"]) == ("", "no_model", False)
    assert found["low"] < found["mean"] < found["high"]


async def test_a_shared_model_and_then_the_own_one_speak_for_the_twin(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await a_day(world)
        _, consent = await world.grant(INSTITUTE, a_terms(actions=[Action.TRAIN]))
        await world.house.wait(consent)
        params = parameters(SPEC)
        shared = await register(world, await put(world, params))
        first = await forecast(world, token, shared)
        recipient = Recipient(world.house.keys.secret(PERSONAL_MODELS))
        sealed = seal_to(recipient.public, personal(params), model_info(RUN, world.twin))
        own = await register(world, await put(world, sealed), world.twin, interval=[-8.0, 8.0])
        second = await forecast(world, token, own)
        async with world.world.peer(world.owner, "twin-state") as peer:
            said = await ForecastsStub(peer.channel).Forecast(ForecastRequest(twin=world.twin, property=GLUCOSE))
        async with world.rest(world.owner) as client:
            listed = (await client.get(f"/v1/twins/{world.twin}/models")).json()["models"]
    assert (first["personal"], first["fallback"]) == (False, "")
    assert (second["personal"], second["fallback"]) == (True, "")
    assert second["high"] - second["mean"] == 9.0
    assert second["at_us"] - 6 * PERIOD_US == first["at_us"] - 6 * PERIOD_US
    assert (said.model_id, said.mean) == (own, second["mean"])
    assert [(each["model"], each["personal"], each["horizon"]) for each in listed] == [
        (own, True, "PT30M"), (shared, False, "PT30M"),
    ]  # fmt: skip


async def test_a_model_that_cannot_be_opened_is_passed_over(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await a_day(world)
        await register(world, await put(world, b"not parameters"))
        async with asyncio.timeout(60):
            found = await forecast(world, token, None)
            while found["fallback"] == "no_model":  # the tail takes a moment
                found = await forecast(world, token, None)
    assert (found["model"], found["fallback"]) == ("", "model_unreadable")


async def test_a_forecast_is_granted_by_its_task(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await a_day(world)
        _, other = await world.grant(INSTITUTE, a_terms(actions=[Action.TRAIN], constraints={}), number=1)
        path, query = f"/v1/twins/{world.twin}/forecast", {"property": GLUCOSE}
        async with world.rest(INSTITUTE, RESEARCH) as client:
            denied = await client.get(path, params=query, headers={"consistency-token": f"{token},{other}"})
            _, derive_token = await world.grant(INSTITUTE, a_terms(actions=[Action.DERIVE], constraints={}), number=2)
            allowed = await client.get(path, params=query, headers={"consistency-token": derive_token})
            nothing = await client.get(path, params={"property": "insulin/bolus"})
    assert allowed.status_code == 200
    assert problem_codes([denied, nothing]) == [(404, "platform.not_found")] * 2


async def test_a_forecast_says_how_strange_the_newest_reading_is_and_what_would_follow_others(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await a_day(world, 400)
        model = await register(world, await put(world, parameters(SPEC)))
        found = await forecast(world, token, model)
        path = f"/v1/twins/{world.twin}/what-if"
        async with world.rest(world.owner) as client:
            answer = await client.post(path, json={"property": GLUCOSE, "values": [130.0, 131.5]})
            refused = [
                await client.post(path, json={"property": GLUCOSE, "values": values})
                for values in ([900.0], [120.0] * 10)
            ]
    said = answer.json()
    assert answer.status_code == 200, answer.text
    assert (said["model"], said["mean"]) == (model, 131.5)  # untrained: as it is
    assert 0.0 < said["support"] <= 1.0
    assert said["note"].startswith("associational")
    assert 0.0 < found["anomaly"]["chance"] <= 1.0
    assert (found["anomaly"]["alarm"], found["withdrawn"]) == (False, "")
    assert problem_codes(refused) == [(422, "training.assumption_out_of_range")] * 2


async def test_without_a_model_nothing_can_be_assumed(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await a_day(world)
        async with world.rest(world.owner) as client:
            answer = await client.post(
                f"/v1/twins/{world.twin}/what-if", json={"property": GLUCOSE, "values": [130.0]},
                headers={"consistency-token": token},
            )  # fmt: skip
    assert problem_codes([answer]) == [(409, "forecast.no_model")]


async def test_an_own_model_that_lost_its_gain_is_withdrawn_unasked_until_another_is_accepted(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        begin = world.house.clock.now_us() - 900 * PERIOD_US
        await world.create()
        random = np.random.default_rng(0)
        values = 120.0 + np.cumsum(random.normal(0, 1.5, 900))
        times = [begin + at * PERIOD_US for at in range(900)]
        token = await world.send([float(value) for value in values], times)
        _, consent = await world.grant(INSTITUTE, a_terms(actions=[Action.TRAIN]))
        await world.house.wait(consent)
        params = parameters(SPEC)
        wrong = flat_view(params, SPEC.model.layout.size).copy()
        SPEC.model.layout.view(wrong, SPEC.model.layout.slot("head.bias"))[0] = 3.0
        shared = await register(world, await put(world, params))
        await forecast(world, token, shared)
        async with world.rest(world.owner) as client, client.stream("GET", f"/v1/twins/{world.twin}/events") as answer:
            lines = answer.aiter_lines()
            own = await registered(world, flat_bytes(wrong), (begin + 400 * PERIOD_US) // 1000)
            said = await told(lines, "withdrawn")
            count = world.house.metrics.sample("didymos_twin_models_withdrawn_total")
            found = await forecast(world, token, shared)
            better = await registered(world, params)
            back = await forecast(world, token, better)
            await world.send([125.0], [world.house.clock.now_us()])
            pushed = await told(lines, "forecast")
            while pushed["model"] != better or pushed["at_us"] <= back["at_us"]:
                pushed = await told(lines, "forecast")
    assert said == {
        "twin": world.twin,
        "model": own,
        "task": "forecast:features/glucose/level:1800s",
        "reason": "drift",
    }
    assert (found["withdrawn"], found["model"], found["personal"]) == (own, shared, False)
    assert (back["withdrawn"], back["personal"], count) == ("", True, 1.0)
    assert (pushed["mean"], pushed["personal"]) == (125.0, True)  # untrained: as it is


async def registered(world: TwinWorld, params: bytes, at_ms: int = 1) -> str:
    """A model of the twin's own, sealed as its site seals it."""
    recipient = Recipient(world.house.keys.secret(PERSONAL_MODELS))
    sealed = seal_to(recipient.public, personal(params), model_info(RUN, world.twin))
    return await register(world, await put(world, sealed), world.twin, at_ms=at_ms)


async def told(lines: AsyncIterator[str], event: str) -> dict[str, Any]:
    """The next event of this name on a stream."""
    name = ""
    async with asyncio.timeout(60):
        async for line in lines:
            kind, _, rest = line.partition(": ")
            name = rest if kind == "event" else name
            if kind == "data" and name == event:
                found: dict[str, Any] = json.loads(rest)
                return found
    raise AssertionError("the stream ended")


async def test_a_forecast_follows_each_reading_and_is_what_torch_says_of_the_window(tmp_path: Path) -> None:
    from didymos_learning.engine import Engine

    async with twin_world(tmp_path) as world:
        token = await a_day(world, 40)
        _, consent = await world.grant(INSTITUTE, a_terms(actions=[Action.TRAIN]))
        await world.house.wait(consent)
        random = np.random.default_rng(5)
        flat = flat_view(parameters(SPEC), SPEC.model.layout.size) + random.normal(0, 0.2, SPEC.model.layout.size)
        own = await registered(world, flat_bytes(flat.astype(np.float32)))
        first = await forecast(world, token, own)
        async with world.rest(world.owner) as client, client.stream("GET", f"/v1/twins/{world.twin}/events") as answer:
            lines = answer.aiter_lines()
            at_us = first["at_us"] - 5 * PERIOD_US
            await world.send([171.0], [at_us])
            pushed = await told(lines, "forecast")
            while pushed["at_us"] != at_us + 6 * PERIOD_US:
                pushed = await told(lines, "forecast")
            history = await client.get(
                f"/v1/twins/{world.twin}/history",
                params={"property": GLUCOSE, "from": 0, "to": at_us + 1, "limit": 100},
            )
        async with world.rest(INSTITUTE, RESEARCH) as client:
            hidden = await client.get(f"/v1/twins/{world.twin}/events")
    read = history.json()
    series = series_of(np.array(read["t"], np.int64), np.array(read["v"]))
    inputs = recent_inputs(series, SPEC.model.task, Scale(120.0, 20.0, 3.0, 12.0))
    assert inputs is not None
    alone = 171.0 + float(Engine(SPEC.model).change(flat.astype(np.float32), inputs)[0]) * 12.0
    assert pushed["mean"] == pytest.approx(alone, rel=1e-6)
    assert pushed["model"] == own
    assert hidden.status_code == 404
