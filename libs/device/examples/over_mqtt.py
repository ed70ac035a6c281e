"""A sensor behind an MQTT broker: the same signed batches. The answer of the house, not the broker's, ends the wait.

    python over_mqtt.py                             # prints the DID for the owner to enrol
    python over_mqtt.py --twin did:key:z6Mk... --broker 127.0.0.1:1883

The SDK signs and keeps; paho-mqtt brings. Whoever waits for the broker only may forget a batch that the house refuses.
"""

import argparse
import json
import queue
import time
from pathlib import Path

import numpy as np
from didymos_device import Column, Device, open_key, read_house
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PROFILE, LEVEL = "glucose@1", "glucose/level"
SECONDS = 20.0


def bring(device: Device, client: Client, topic: str, answers: str, heard: "queue.Queue[bytes | bytearray]") -> int:
    """Publish what waits, one after the other; how many readings the house took."""
    taken = 0
    while (batch := device.outbox.first()) is not None:
        said = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # of the library
        said.ResponseTopic = answers
        client.publish(topic, batch.body, qos=1, properties=said)
        answer = json.loads(heard.get(timeout=SECONDS))  # without one the batch waits for the next run
        if "code" in answer and answer["retry"] != "never":
            break  # over its quota: later
        if "code" in answer:
            device.outbox.refused(batch, answer["code"])
        else:
            device.outbox.done(batch)
            taken += answer["accepted"]
    return taken


def main() -> None:
    said = argparse.ArgumentParser()
    said.add_argument("--twin", default="")
    said.add_argument("--broker", default="127.0.0.1:1883")
    said.add_argument("--house", type=Path, default=Path(".didymos/house.json"))
    said.add_argument("--folder", type=Path, default=Path("over_mqtt"))
    asked = said.parse_args()
    key = open_key(asked.folder / "key")
    if not asked.twin:
        print(key.did)
        return
    host, _, port = asked.broker.partition(":")
    answers, heard = f"didymos/v1/answers/{key.did}", queue.Queue[bytes | bytearray]()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.on_message = lambda _client, _data, message: heard.put(message.payload)
    client.connect(host, int(port))
    client.subscribe(answers, qos=1)
    client.loop_start()
    with Device(key, read_house(asked.house), asked.folder, PROFILE) as device:
        times = time.time_ns() // 1000 - np.arange(12, dtype=np.int64)[::-1] * 300_000_000
        device.keep(Column(asked.twin, LEVEL, "mg/dL", times, np.linspace(100.0, 111.0, 12)), backfill=True)
        taken = bring(device, client, f"didymos/v1/batch/{key.did}", answers, heard)
        waiting = device.outbox.waiting()
    client.disconnect()
    client.loop_stop()
    print(f"{taken} readings taken over MQTT, {waiting} batches wait")


main()
