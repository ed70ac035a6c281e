"""One connection to an MQTT 5 broker: messages come in order and are acknowledged by hand, in that order. MQTT 5.0 4.6.

The session outlives the connection: what was not acknowledged is sent again to whoever connects under the same name.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import SecretStr

UNACKNOWLEDGED: Final = 64
WAITING: Final = 1024  # messages of QoS 0 are let go beyond: nobody else bounds them
SESSION_SECONDS: Final = 7 * 86_400
KEEP_ALIVE_SECONDS: Final = 30
CONNECT_SECONDS: Final = 10.0
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where it is, and under which name we keep our session there."""

    host: str
    port: int
    tls: bool
    user: str
    password: str
    client: str


def broker_of(url: SecretStr, client: str) -> Broker:
    """Of `mqtt[s]://[user:password@]host[:port]`. Raises PLATFORM_INVALID_SETTING."""
    where = urlsplit(url.get_secret_value())
    try:
        port = where.port
    except ValueError:
        port = 0
    if where.scheme not in PORTS or not where.hostname or port == 0 or where.path.strip("/"):
        detail = "mqtt[s]://[user:password@]host[:port] is expected"
        raise PLATFORM_INVALID_SETTING.problem(name="DIDYMOS_INGESTION__MQTT__URL", detail=detail)
    user, password = unquote(where.username or ""), unquote(where.password or "")
    return Broker(where.hostname, port or PORTS[where.scheme], where.scheme == "mqtts", user, password, client)


@dataclass(frozen=True, slots=True)
class Message:
    """`media`, `answer_to` and `correlation`: properties of MQTT 5, empty where the sender gave none."""

    topic: str
    payload: bytes
    media: str
    answer_to: str
    correlation: bytes
    mid: int
    qos: int


class Line:
    """A connection that is up. One event loop; paho's thread does the reading and writing."""

    def __init__(self, client: Client, came: "asyncio.Queue[Message | None]") -> None:
        self._client, self._came = client, came

    async def next(self) -> Message | None:
        """None once the connection is gone."""
        return await self._came.get()

    def ack(self, message: Message) -> None:
        """Nothing of it is sent again."""
        self._client.ack(message.mid, message.qos)

    def answer(self, message: Message, payload: bytes, media: str) -> None:
        """To the Response Topic that the message names, with its Correlation Data."""
        said = _properties(PacketTypes.PUBLISH)
        said.ContentType = media
        if message.correlation:
            said.CorrelationData = message.correlation
        self._client.publish(message.answer_to, payload, qos=1, properties=said)


class _Arrivals:
    """What paho's thread hears, told to the event loop. `ready` is settled once: subscribed, or why not."""

    def __init__(self, client: Client, topics: Sequence[str], lost: Callable[[], None]) -> None:
        self._loop, self._topics, self._lost = asyncio.get_running_loop(), topics, lost
        self.came: asyncio.Queue[Message | None] = asyncio.Queue()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_message, client.on_disconnect = self._on_message, self._on_disconnect

    def _on_connect(self, client: Client, _d: object, _f: ConnectFlags, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            self._loop.call_soon_threadsafe(self._settle, f"the broker refuses us: {reason}")
        else:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])

    def _on_subscribe(self, _c: Client, _d: object, _mid: int, reasons: list[ReasonCode], _p: object) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._loop.call_soon_threadsafe(self._settle, f"the broker refuses a topic: {refused[0]}" if refused else "")

    def _on_message(self, _c: Client, _d: object, message: MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._take, _message(message))

    def _on_disconnect(self, _c: Client, _d: object, _f: DisconnectFlags, reason: ReasonCode, _p: object) -> None:
        self._loop.call_soon_threadsafe(self._ended, str(reason))

    def _settle(self, error: str) -> None:
        if self.ready.done():
            return
        if error:
            self.ready.set_exception(ConnectionError(error))
        else:
            self.ready.set_result(None)

    def _take(self, message: Message) -> None:
        if message.qos == 0 and self.came.qsize() >= WAITING:
            self._lost()
        else:
            self.came.put_nowait(message)

    def _ended(self, reason: str) -> None:
        self._settle(f"the broker closed the connection: {reason}")
        self.came.put_nowait(None)


@asynccontextmanager
async def connected(broker: Broker, topics: Sequence[str], lost: Callable[[], None]) -> AsyncIterator[Line]:
    """Subscribed to `topics`. `lost` hears of each message of QoS 0 that is let go. Raises OSError, TimeoutError.

    At the end the connection is dropped, and the broker keeps the session with all that was not acknowledged.
    """
    client = Client(
        CallbackAPIVersion.VERSION2, broker.client, protocol=MQTTv5, manual_ack=True, reconnect_on_failure=False
    )
    if broker.tls:
        client.tls_set_context(ssl.create_default_context())
    if broker.user:
        client.username_pw_set(broker.user, broker.password)
    arrivals = _Arrivals(client, topics, lost)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.to_thread(
                client.connect, broker.host, broker.port, KEEP_ALIVE_SECONDS, clean_start=False, properties=_session()
            )
            client.loop_start()
            await arrivals.ready
        yield Line(client, arrivals.came)
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
        if arrivals.ready.done() and not arrivals.ready.cancelled():
            arrivals.ready.exception()  # taken: nobody else will ask


def _session() -> Properties:
    said = _properties(PacketTypes.CONNECT)
    said.SessionExpiryInterval = SESSION_SECONDS
    said.ReceiveMaximum = UNACKNOWLEDGED
    return said


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call] # of the library


def _message(said: MQTTMessage) -> Message:
    properties: Any = said.properties
    return Message(
        said.topic, bytes(said.payload), str(getattr(properties, "ContentType", "")),
        str(getattr(properties, "ResponseTopic", "")), bytes(getattr(properties, "CorrelationData", b"")),
        said.mid, said.qos,
    )  # fmt: skip
