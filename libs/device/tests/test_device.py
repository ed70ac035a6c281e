"""What a device may rely on, against a house that answers as it is told to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from didymos_device import Column, Device, House, OutboxError, Sent, open_key
from didymos_device.house import Answer
from didymos_readings import ReadingError, parse_batch, verify_batch
from didymos_testing.did import a_signer
from hypothesis import given
from hypothesis import strategies as st

KEY, ORG, TWIN = a_signer("device"), a_signer("org").did, a_signer("twin").did
NOON_US = 1_795_867_200_000_000
Scripted: TypeAlias = tuple[int, dict[str, str], dict[str, Any]]
TAKEN: Scripted = (202, {}, {"accepted": 2, "refused": [], "token": "3:4"})
CUT: Scripted = (0, {}, {})


@dataclass
class Told:
    """A house that gives `answers` one after the other, then takes all. `bodies`: what it was sent."""

    answers: list[Scripted]
    origin: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def places(self) -> list[tuple[int, int]]:
        found = [parse_batch(body).header for body in self.bodies]
        return [(header.stream, header.number) for header in found]


@contextmanager
def a_house(*answers: Scripted) -> Iterator[Told]:
    told = Told(list(answers))

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            status, headers, said = told.answers.pop(0) if told.answers else TAKEN
            if not status:  # it was taken, and the answer is lost
                self.close_connection = True
                return
            if status == 202:
                said = {"batch": parse_batch(told.bodies[-1]).digest.hex(), **said}
            body = json.dumps(said).encode()
            self.send_response(status)
            for name, text in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        told.origin = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def a_device(told: Told | None, folder: Path, seconds: int = NOON_US // 1_000_000, **settings: Any) -> Device:
    origin = "http://127.0.0.1:1" if told is None else told.origin
    return Device(KEY, House(origin, ORG), folder, "glucose@1", now_us=lambda: seconds * 1_000_000, **settings)


def levels(*values: float) -> Column:
    times = NOON_US + np.arange(len(values), dtype=np.int64) * 300_000_000
    return Column(TWIN, "glucose/level", "mg/dL", times, np.array(values))


def test_readings_leave_signed_and_in_order(tmp_path: Path) -> None:
    with a_house() as told, a_device(told, tmp_path) as device:
        device.keep(levels(100, 101))
        device.keep(levels(102, 103))
        assert device.send() == Sent(batches=2, accepted=4, token="3:4")
        first, second = (parse_batch(body) for body in told.bodies)
    assert (first.header.number, second.header.number) == (1, 2)
    assert second.header.previous == first.digest
    assert not hasattr(verify_batch(second, KEY.public, ORG), "code")


def test_the_same_bytes_go_again_until_they_are_acknowledged(tmp_path: Path) -> None:
    waits: list[float] = []
    other: Scripted = (202, {}, {"batch": "00", "accepted": 2})  # whoever says so is not the house
    answers: tuple[Scripted, ...] = (
        other,
        (200, {}, {}),
        CUT,
        (503, {"retry-after": "7"}, {"retry": "later"}),
        (502, {}, {}),
        CUT,
    )
    with a_house(*answers) as told, a_device(told, tmp_path) as device:
        device.keep(levels(100, 101))
        sent = device.send(pause=waits.append)
    assert len(set(told.bodies)) == 1
    assert len(told.bodies) == 7
    assert (sent.batches, waits[3]) == (1, 7.0)
    assert all(0 < wait <= 60 for wait in waits)


def test_what_was_kept_outlives_the_process(tmp_path: Path) -> None:
    with a_device(None, tmp_path) as device:
        device.keep(levels(100, 101))
        assert device.send(patience_seconds=0).waiting == 1
        kept = device.outbox.first()
    with a_house() as told, a_device(told, tmp_path, seconds=9_000) as device:
        device.keep(levels(102, 103))
        assert device.send().accepted == 4
    assert kept is not None
    assert told.bodies[0] == kept.body
    assert told.places == [(kept.stream, 1), (kept.stream, 2)]


@pytest.mark.parametrize("ruin", [Path.unlink, lambda path: path.write_bytes(b"no database" * 999)])
def test_a_lost_outbox_begins_a_stream_of_its_own(tmp_path: Path, ruin: Callable[[Path], object]) -> None:
    with a_house() as told:
        for seconds in (1000, 2000):
            with a_device(told, tmp_path, seconds) as device:
                device.keep(levels(100, 101))
                device.send()
            ruin(tmp_path / "outbox.db")
    assert told.places == [(1000, 1), (2000, 1)]


def test_another_key_begins_a_higher_stream_whatever_the_clock_says(tmp_path: Path) -> None:
    with a_device(None, tmp_path, seconds=2000) as device:
        device.keep(levels(100))
    with Device(a_signer("its second key"), House("http://127.0.0.1:1", ORG), tmp_path, "glucose@1", boot=7) as other:
        assert other.outbox.stream[:2] == (2001, 1)


def test_two_processes_never_share_an_outbox(tmp_path: Path) -> None:
    with a_device(None, tmp_path), pytest.raises(OutboxError, match="locked"):
        a_device(None, tmp_path)


def test_a_refused_batch_is_told_kept_and_sent_again_when_asked(tmp_path: Path) -> None:
    refusal: Scripted = (403, {}, {"code": "batch.device_unknown", "retry": "never", "detail": "no twin enrolled it"})
    with a_house(refusal) as told, a_device(told, tmp_path) as device:
        device.keep(levels(100, 101))
        device.keep(levels(102, 103))
        sent = device.send()
        assert [(each.number, each.index, each.code) for each in sent.refused] == [(1, None, "batch.device_unknown")]
        assert (sent.accepted, sent.waiting) == (2, 0)
        device.outbox.retry()
        assert device.send().accepted == 2
        assert told.bodies[0] == told.bodies[2]


def test_a_refused_batch_can_be_given_up(tmp_path: Path) -> None:
    with a_house((400, {}, {"code": "batch.malformed", "retry": "never"})) as told, a_device(told, tmp_path) as device:
        device.keep(levels(100, 101))
        device.send()
        device.outbox.forget()
        device.outbox.retry()
        assert device.send() == Sent()


def test_readings_that_are_refused_one_by_one_are_told(tmp_path: Path) -> None:
    refused = [{"index": 1, "count": 1, "code": "reading.out_of_bounds", "detail": "above 1000"}]
    answer: Scripted = (202, {}, {"accepted": 1, "refused": refused, "token": "3:4"})
    with a_house(answer) as told, a_device(told, tmp_path) as device:
        device.keep(levels(100, 5000))
        (found,) = device.send().refused
    assert (found.number, found.index, found.code) == (1, 1, "reading.out_of_bounds")


def test_a_full_outbox_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    with a_device(None, tmp_path, outbox_bytes=1000) as device:
        device.keep(levels(100, 101))
        number = device.number
        with pytest.raises(OutboxError, match="limit"):
            device.keep(*[levels(*range(1000))])
        with pytest.raises(ReadingError):
            device.keep(levels(1), Column(TWIN, "x", "", np.array([1], np.int64), np.array([1j])))
        assert (device.number, device.outbox.waiting()) == (number, 1)


def test_a_device_without_a_clock_counts_from_its_boot(tmp_path: Path) -> None:
    with a_house() as told, a_device(told, tmp_path, boot=3) as device:
        device.keep_by_uptime(levels(100, 101), uptime_us=9_000_000)
        device.send()
    header = parse_batch(told.bodies[0]).header
    assert (header.stream, header.sent_at_us, header.uptime_us) == (3, 0, 9_000_000)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = open_key(tmp_path / "a" / "key")
    assert open_key(tmp_path / "a" / "key").did == made.did
    assert (tmp_path / "a" / "key").stat().st_mode & 0o777 == 0o600


@given(st.text(max_size=40), st.binary(max_size=80))
def test_whatever_a_house_says_is_a_pause_or_none_and_members_or_none(text: str, body: bytes) -> None:
    answer = Answer(503, {"retry-after": text}, body)
    seconds = answer.pause_seconds()
    assert seconds is None or 0 <= seconds <= 3600
    assert isinstance(answer.said(), dict)


def test_a_pause_may_be_a_date() -> None:
    assert Answer(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"").pause_seconds() == 0.0
    assert Answer(503, {"retry-after": "Wed, 21 Oct 9015 07:28:00 GMT"}, b"").pause_seconds() == 3600.0
