# ruff: noqa: S101 - starts and watches a process; test code
"""A real MQTT broker of a test's own: mosquitto on loopback, with a session store that outlives it."""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from didymos_testing.house import free_port

PATHS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
START_SECONDS: Final = 20.0


@dataclass
class MqttBroker:
    folder: Path
    port: int
    more: str = ""  # lines of its configuration
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        program = shutil.which("mosquitto", path=PATHS)
        if program is None:
            pytest.skip("mosquitto is not installed (apt-get install mosquitto mosquitto-clients)")
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n{self.more or 'allow_anonymous true'}\npersistence true\n"
            f"persistence_location {self.folder}/\nmax_queued_messages 100000\n"
            + ("user root\n" if os.geteuid() == 0 else "")
        )
        self.process = await asyncio.create_subprocess_exec(program, "-c", config, stdout=DEVNULL, stderr=DEVNULL)
        async with asyncio.timeout(START_SECONDS):
            while not await self._listens():
                assert self.process.returncode is None
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def a_broker(folder: Path, more: str = "") -> AsyncIterator[MqttBroker]:
    """Skips the test, with the reason, where there is no mosquitto. `more`: configuration instead of "let all in"."""
    broker = MqttBroker(folder, free_port(), more)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


class MqttSender:
    """A client that publishes, and hears what is answered to it."""

    def __init__(self, broker: MqttBroker, answers: str) -> None:
        self._broker, self._topic = broker, answers
        self.heard: asyncio.Queue[MQTTMessage] = asyncio.Queue()

    async def __aenter__(self) -> "MqttSender":
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)

        def on_connect(client: Client, *_said: Any) -> None:  # noqa: ANN401 - whatever paho says
            client.subscribe(self._topic, qos=1)

        def on_subscribe(*_said: Any) -> None:  # noqa: ANN401 - whatever paho says
            loop.call_soon_threadsafe(ready.set)

        def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
            loop.call_soon_threadsafe(self.heard.put_nowait, message)

        self._client.on_connect, self._client.on_subscribe = on_connect, on_subscribe
        self._client.on_message = on_message
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._broker.port)
        self._client.loop_start()
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def publish(self, topic: str, payload: bytes, media: str = "", qos: int = 1, **said: object) -> None:
        """Until the broker has it. `said`: more properties, by their names in paho."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # of the library
        given: Mapping[str, object] = {
            "ResponseTopic": self._topic,
            **({"ContentType": media} if media else {}),
            **said,
        }
        for name, value in given.items():
            setattr(properties, name, value)
        sent = self._client.publish(topic, payload, qos=qos, properties=properties)
        await asyncio.to_thread(sent.wait_for_publish, START_SECONDS)

    async def answer(self) -> MQTTMessage:
        async with asyncio.timeout(START_SECONDS):
            return await self.heard.get()
