"""The MQTT gateway between a real broker and the running service."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_contracts.errors import Problem
from didymos_contracts.topics import READINGS
from didymos_ingestion.adapters.mqtt import Broker, Message, broker_of, connected
from didymos_ingestion.bootstrap import bootstrap
from didymos_ingestion.domain.quota import SHED_BYTES, Load
from didymos_ingestion.domain.vouched import Vouched
from didymos_ingestion.entrypoints.gateway import Gateway, Verdict, judged
from didymos_ingestion.entrypoints.intake import Intake, Meters
from didymos_ingestion.settings import IngestionSettings, MqttSettings
from didymos_kit.eventlog import Stored
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from didymos_readings import Assurance, DeviceStream, Envelope, encode_batch, encode_batch_json
from didymos_testing.did import OWNER, a_signer
from didymos_testing.house import World, a_house, served
from didymos_testing.ingestion import (
    DEVICE,
    OTHER_DEVICE,
    TWIN,
    AnEnrolment,
    IntakeWorld,
    a_signed_batch,
    an_enrolment_credential,
)
from didymos_testing.mqtt_broker import MqttBroker, MqttSender, a_broker
from didymos_testing.readings import a_column
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

TOPIC = f"didymos/v1/batch/{DEVICE.did}"
ANSWERS = "didymos/v1/answers/tests"
LEVEL = {"n": "glucose/level", "u": "kg/m3", "v": 1.02, "t": 0}


def settings(broker: MqttBroker, share: str = "didymos", **changes: Any) -> IngestionSettings:
    vouched = {"ward/7/glucose": DEVICE.did, "open/{device}/senml": ""}
    mqtt = MqttSettings(url=SecretStr(broker.url), client="gateway", share=share, vouched=vouched)
    return IngestionSettings(**{"mqtt": mqtt, **changes})


@asynccontextmanager
async def a_world(folder: Path, broker: MqttBroker, **changes: Any) -> AsyncIterator[World]:
    """With DEVICE enrolled, and known to be."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(a_house(folder / "house"))
        service = await stack.enter_async_context(bootstrap(settings(broker, **changes), house))
        world = await stack.enter_async_context(served(house, service))
        await world.identity.register(TWIN, OWNER.did)
        now = house.clock.now_us()
        await house.wait(await world.identity.enrol(an_enrolment_credential(DEVICE.did, TWIN, OWNER.did, now)))
        async with asyncio.timeout(20):
            while house.metrics.sample("didymos_ingestion_mqtt_connected") != 1:  # noqa: ASYNC110 - a gauge sets no event
                await asyncio.sleep(0.01)
        yield world


def a_batch(world: World, values: Sequence[float] = (100.0, 101.0), number: int = 1) -> Envelope:
    stream, now = DeviceStream(DEVICE, world.house.org, "glucose@1", number=number), world.house.clock.now_us()
    return stream.batch([a_column(np.array(values), twin=TWIN, last_us=now)], now)


async def accepted(world: World) -> list[Any]:
    found: list[Stored] = []
    async with world.house.event_log.tail(READINGS.name, found.append) as tail:
        await tail.ready()
    return [parcel for each in found for parcel in ReadingsAccepted.FromString(each.value or b"").parcels]


def counted(world: World, outcome: str) -> float:
    return world.house.metrics.sample("didymos_ingestion_mqtt_messages_total", outcome=outcome) or 0.0


async def test_a_signed_batch_is_in_the_log_when_its_sender_is_answered(tmp_path: Path) -> None:
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker) as world:
        batch = a_batch(world)
        async with MqttSender(broker, ANSWERS) as sender:
            await sender.publish(TOPIC, encode_batch(batch), CorrelationData=b"7")
            said = await sender.answer()
            assert getattr(said.properties, "CorrelationData", b"") == b"7"
            taken = json.loads(said.payload)
            assert (taken["batch"], taken["accepted"], taken["refused"]) == (batch.digest.hex(), 2, [])
            mirror = a_batch(world, number=2)
            media = "application/vnd.didymos.batch+json"
            await sender.publish(TOPIC, encode_batch_json(mirror), media)
            assert json.loads((await sender.answer()).payload)["accepted"] == 2
        found = await accepted(world)
    assert [(parcel.number, int(parcel.assurance)) for parcel in found] == [(1, 1), (2, 1)]


async def test_unsigned_readings_come_in_on_topics_that_are_vouched_for(tmp_path: Path) -> None:
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker) as world:
        async with MqttSender(broker, ANSWERS) as sender:
            for topic in ("ward/7/glucose", f"open/{DEVICE.did}/senml"):
                await sender.publish(topic, json.dumps([{**LEVEL, "v": 1.02 + len(topic) / 1e6}]).encode())
                assert json.loads((await sender.answer()).payload)["accepted"] == 1
        found = await accepted(world)
    assert {(parcel.device, int(parcel.assurance)) for parcel in found} == {(DEVICE.did, int(Assurance.GATEWAY))}


async def test_equal_readings_without_a_time_are_told_apart_and_with_one_they_are_one(tmp_path: Path) -> None:
    at, digests = 1_795_867_200, []
    records = (LEVEL, LEVEL, {**LEVEL, "t": -5}, {**LEVEL, "t": -5}, {**LEVEL, "t": at}, {**LEVEL, "t": at})
    async with (
        a_broker(tmp_path / "broker") as broker,
        a_world(tmp_path, broker),
        MqttSender(broker, ANSWERS) as sender,
    ):
        for record in records:
            await sender.publish("ward/7/glucose", json.dumps([record]).encode())
            digests.append(json.loads((await sender.answer()).payload)["batch"])
    assert len(set(digests)) == 5
    assert digests[4] == digests[5]


@pytest.mark.parametrize(
    ("topic", "payload", "media", "code"),
    [
        (TOPIC, b"\xff", "", "batch.malformed"),
        (TOPIC, b"[]", "application/senml+json", "batch.media_unsupported"),
        (TOPIC, json.dumps([LEVEL]).encode(), "", "batch.malformed"),
        (TOPIC, bytes(1_600_000), "", "batch.too_large"),
        ("ward/7/glucose", b"[]", "image/png", "batch.media_unsupported"),
        ("ward/7/glucose", b"no json", "", "batch.malformed"),
        ("open/nobody/senml", json.dumps([LEVEL]).encode(), "", "batch.device_unknown"),
    ],
)
async def test_what_cannot_be_taken_is_told_to_the_response_topic(
    tmp_path: Path, topic: str, payload: bytes, media: str, code: str
) -> None:
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker) as world:
        async with MqttSender(broker, ANSWERS) as sender:
            await sender.publish(topic, payload, media)
            said = json.loads((await sender.answer()).payload)
        assert (said["code"], said["retry"]) == (code, "never")
        assert counted(world, "refused") == 1
        assert await accepted(world) == []


async def test_no_sender_makes_the_gateway_speak_elsewhere(tmp_path: Path) -> None:
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker) as world:
        async with MqttSender(broker, "didymos/v1/#") as sender:
            await sender.publish(TOPIC, b"\xff", ResponseTopic="didymos/v1/batch/again")
            await sender.publish(TOPIC, b"\xff", ResponseTopic="didymos/v1/answers/me")
            heard = [(await sender.answer()).topic for _ in range(3)]
        assert heard == [TOPIC, TOPIC, "didymos/v1/answers/me"]
        assert counted(world, "refused") == 2


async def test_a_failed_append_is_not_acknowledged_and_the_broker_sends_again(tmp_path: Path) -> None:
    world, metrics, stopping = IntakeWorld().enrol(AnEnrolment()), Metrics(), Stopping()
    world.writer.full = True
    intake = Intake(world.ports, world.clock, a_signer("ingestion"), Load(SHED_BYTES), Meters(metrics))

    def returned() -> float:
        return metrics.sample("didymos_ingestion_mqtt_messages_total", outcome="returned") or 0.0

    async with a_broker(tmp_path / "broker") as broker, MqttSender(broker, ANSWERS) as sender:
        mine = Broker("127.0.0.1", broker.port, tls=False, user="", password="", client="gateway")
        running = asyncio.create_task(Gateway(mine, "didymos", Vouched({}), intake, metrics).run(stopping))
        async with asyncio.timeout(20):
            while metrics.sample("didymos_ingestion_mqtt_connected") != 1:  # noqa: ASYNC110 - a gauge sets no event
                await asyncio.sleep(0.01)
        for number in (1, 2, 3):
            await sender.publish(TOPIC, encode_batch(a_signed_batch(number=number)))
        async with asyncio.timeout(20):
            while returned() < 2:  # noqa: ASYNC110 - nor does a counter
                await asyncio.sleep(0.01)
        assert world.writer.records == []
        world.writer.full = False
        answered = [json.loads((await sender.answer()).payload)["accepted"] for _ in range(3)]
        stopping.set()
        await running
    assert answered == [3, 3, 3]
    assert [parcel.number for event in world.writer.accepted() for parcel in event.parcels] == [1, 2, 3]


async def test_a_device_over_its_quota_is_told_so_and_holds_up_nobody(tmp_path: Path) -> None:
    async with (
        a_broker(tmp_path / "broker") as broker,
        a_world(tmp_path, broker) as world,
        MqttSender(broker, ANSWERS) as sender,
    ):
        now = world.house.clock.now_us()
        slow = an_enrolment_credential(OTHER_DEVICE.did, TWIN, OWNER.did, now, max_rate=1)
        await world.house.wait(await world.identity.enrol(slow))
        stream = DeviceStream(OTHER_DEVICE, world.house.org, "glucose@1")
        for _ in range(2):
            column = a_column(np.arange(100.0, 200.0), twin=TWIN, last_us=now)
            await sender.publish(f"didymos/v1/batch/{OTHER_DEVICE.did}", encode_batch(stream.batch([column], now)))
        await sender.publish(TOPIC, encode_batch(a_batch(world)))
        first, second, third = [json.loads((await sender.answer()).payload) for _ in range(3)]
        assert (first["accepted"], second["code"], second["retry"]) == (100, "quota.exceeded", "later")
        assert third["accepted"] == 2
        assert counted(world, "returned") == 0


async def test_a_broker_that_asks_who_we_are_over_tls_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed")
    key, certificate = a_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    (tmp_path / "users").write_text("gateway:a secret@with marks\n")
    tool = await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", str(tmp_path / "users"))
    assert await tool.wait() == 0
    more = f"certfile {certificate}\nkeyfile {key}\nallow_anonymous false\npassword_file {tmp_path / 'users'}"
    async with a_broker(tmp_path / "broker", more) as broker:
        stopping, metrics = Stopping(), Metrics()
        world = IntakeWorld()
        intake = Intake(world.ports, world.clock, a_signer("ingestion"), Load(SHED_BYTES), Meters(metrics))
        refused = Broker("127.0.0.1", broker.port, tls=True, user="gateway", password="guess", client="gateway")
        with pytest.raises(ConnectionError, match="refuses us"):
            async with connected(refused, ["a"], lambda: None):
                pass
        mine = broker_of(SecretStr(f"mqtts://gateway:a%20secret%40with%20marks@127.0.0.1:{broker.port}"), "gateway")
        running = asyncio.create_task(Gateway(mine, "", Vouched({}), intake, metrics).run(stopping))
        async with asyncio.timeout(20):
            while metrics.sample("didymos_ingestion_mqtt_connected") != 1:  # noqa: ASYNC110 - a gauge sets no event
                await asyncio.sleep(0.01)
        stopping.set()
        await running


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = made.add_extension(address, critical=False).sign(key, SHA256())
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "certificate.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    return folder / "key.pem", folder / "certificate.pem"


@given(st.text(max_size=40) | st.just(TOPIC) | st.just("ward/7"), st.binary(max_size=200), st.text(max_size=40))
async def test_whatever_a_broker_brings_is_answered(topic: str, payload: bytes, media: str) -> None:
    """In process: bytes of any topic and type are judged, and none of them ends the gateway."""
    world = IntakeWorld().enrol(AnEnrolment())
    intake = Intake(world.ports, world.clock, a_signer("ingestion"), Load(SHED_BYTES), Meters(Metrics()))
    said = Message(topic, payload, media, "", b"", 1, 1)
    verdict = await judged(said, Vouched({"ward/7": DEVICE.did, "open/{device}": ""}), intake)
    assert isinstance(verdict, Verdict)
    assert json.loads(verdict.body)["code"] != "platform.internal"


async def test_what_came_while_the_gateway_was_away_waits_for_it(tmp_path: Path) -> None:
    async with a_broker(tmp_path / "broker") as broker:
        async with a_world(tmp_path, broker) as world:
            batch = encode_batch(a_batch(world))
        async with MqttSender(broker, ANSWERS) as sender:
            await sender.publish(TOPIC, batch)
        await broker.stop()
        await broker.start()
        async with a_world(tmp_path, broker) as world, asyncio.timeout(20):
            while not await accepted(world):  # noqa: ASYNC110 - nor does the log
                await asyncio.sleep(0.02)


async def test_a_broker_that_goes_and_comes_back_is_found_again(tmp_path: Path) -> None:
    """Without a share: mosquitto 2.0.11 forgets shared subscriptions when it restarts, until we are back."""
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker, share="") as world:
        await broker.stop()
        await broker.start()
        async with MqttSender(broker, ANSWERS) as sender:
            await sender.publish(TOPIC, encode_batch(a_batch(world)))
            assert json.loads((await sender.answer()).payload)["accepted"] == 2


async def test_the_role_of_the_gateway_answers_nothing_but_the_broker(tmp_path: Path) -> None:
    async with a_broker(tmp_path / "broker") as broker, a_world(tmp_path, broker, role="mqtt") as world:
        assert [service.routers for service in world.process.services if service.name == "ingestion"] == [()]
        async with MqttSender(broker, ANSWERS) as sender:
            await sender.publish(TOPIC, encode_batch(a_batch(world)))
            assert json.loads((await sender.answer()).payload)["accepted"] == 2


@pytest.mark.parametrize(
    "mqtt",
    [
        {"url": "http://127.0.0.1"},
        {"url": "mqtt://127.0.0.1:99999"},
        {"url": "mqtt://h", "vouched": {"a/+": "did:key:z6Mk"}},
        {"url": "mqtt://h", "vouched": {"didymos/v1/batch/x": "did:key:z6Mk"}},
        {"url": "mqtt://h", "vouched": {"a/{device}": "did:key:z6Mk"}},
        {"url": "mqtt://h", "vouched": {"a/x{device}": ""}},
        {"url": "mqtt://h", "vouched": {"a/b": ""}},
    ],
)
async def test_a_setting_that_cannot_hold_ends_the_start(tmp_path: Path, mqtt: dict[str, Any]) -> None:
    async with a_house(tmp_path) as house:
        with pytest.raises(Problem, match=r"platform\.invalid_setting"):
            async with bootstrap(IngestionSettings(mqtt=MqttSettings(**mqtt)), house):
                pass
