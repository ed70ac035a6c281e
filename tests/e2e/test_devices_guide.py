"""Every command of the guide for devices runs, against a real broker and a house in another process."""

import shutil
from pathlib import Path

import pytest
from didymos_testing.house import free_port

from tests.e2e.test_guides import ROOT, commands, on_free_ports, play


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    shutil.which("mosquitto_rr") is None or not Path("/usr/sbin/mosquitto").exists(),
    reason="mosquitto and mosquitto-clients are not installed",
)
def test_a_device_reaches_its_twin_by_the_sdk_and_by_mqtt(tmp_path: Path) -> None:
    port = str(free_port())
    script = on_free_ports(commands("devices")).replace("1883", port)
    said = play(script, tmp_path, {"DIDYMOS": str(ROOT)})
    assert "96 readings taken, 0 refused, 0 batches wait" in said
    assert "12 readings taken over MQTT, 0 batches wait" in said
    assert said.count('"accepted":1') == 1
    assert "reading.unit_incommensurable" in said
    assert "111.0" in said.replace("110.99999999999999", "111.0")
    assert "123.0" in said
