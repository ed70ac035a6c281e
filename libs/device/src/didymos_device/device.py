"""A device: readings are signed, then stored, then sent until the house has them. data-path.md 3."""

import random
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from didymos_did import Signer
from didymos_readings import Column, DeviceStream, Envelope, encode_batch, parse_batch

from didymos_device.house import Answer, House, Line
from didymos_device.outbox import Batch, Outbox

PATH: Final = "/ingestion/v1/batches"
MEDIA: Final = "application/vnd.didymos.batch"
TIMEOUT_SECONDS: Final = 30.0
LONGEST_BACKOFF: Final = 60.0
OUTBOX_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Refused:
    """What the house does not take, and why. `index`: the first of `count` readings; None: the whole batch."""

    stream: int
    number: int
    index: int | None
    count: int
    code: str
    detail: str


@dataclass(slots=True)
class Sent:
    """What came of one `send`. `token`: who reads with it sees these readings; `waiting`: batches left to send."""

    batches: int = 0
    accepted: int = 0
    refused: list[Refused] = field(default_factory=list)
    token: str = ""
    waiting: int = 0


class Device(AbstractContextManager["Device"]):
    """`keep` what was measured, `send` when there is a network. Both survive kill -9 between any two lines.

    One thread keeps, and one may send meanwhile. `folder` holds the outbox. `profile`: id@version of what the readings
    mean, as the owner enrolled the device.
    """

    def __init__(
        self, signer: Signer, house: House, folder: Path, profile: str, *, boot: int | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000, outbox_bytes: int = OUTBOX_BYTES,
    ) -> None:  # fmt: skip
        """`boot` numbers the stream that begins when the outbox is new or lost; without it the clock does, in seconds.

        A device without a clock gives a number that only grows. Raises OutboxError if another process has the outbox.
        """
        self._signer, self._house, self._profile, self._now_us = signer, house, profile, now_us
        stream = now_us() // 1_000_000 if boot is None else boot
        self.outbox = Outbox(folder / "outbox.db", signer.kid, stream, outbox_bytes)
        self._line = Line(house.origin, TIMEOUT_SECONDS)

    @property
    def number(self) -> int:
        """The number of the next batch: how many were ever kept in this stream, plus one."""
        return self.outbox.stream.number

    def keep(self, *columns: Column, backfill: bool = False) -> int:
        """Sign and store; how many batches it took. `backfill`: late on purpose, so lateness costs no quality.

        Raises ReadingError for columns that no batch can hold, OutboxError when the outbox is full: nothing is kept.
        """
        return self._put(self._stream().batches(columns, self._now_us(), backfill=backfill))

    def keep_by_uptime(self, *columns: Column, uptime_us: int) -> int:
        """The same without a clock: the times of the columns and `uptime_us`, which is now, count from the boot."""
        return self._put([self._stream().batch_without_clock(columns, uptime_us)])

    def send(self, patience_seconds: float = float("inf"), pause: Callable[[float], object] = time.sleep) -> Sent:
        """Send what waits, oldest first, the same bytes until the house names them as taken, or refuses them for good.

        Waits as long as the house says, else longer each time, in all at most `patience_seconds`; what is left then
        waits for the next call.
        """
        sent, failures = Sent(), 0
        while (batch := self.outbox.first()) is not None:
            answer = self._line.call("POST", PATH, {"content-type": MEDIA}, batch.body)
            if answer.status == 202 and answer.said().get("batch") == parse_batch(batch.body).digest.hex():
                self._acknowledged(batch, answer, sent)
                failures = 0
            elif answer.said().get("retry") == "never":
                self._refused(batch, answer, sent)
            else:
                told, failures = answer.pause_seconds(), failures + 1
                seconds = min(LONGEST_BACKOFF, 2.0**failures) * random.uniform(0.25, 0.5) if told is None else told
                patience_seconds -= seconds
                if patience_seconds < 0:
                    break
                pause(seconds)
        sent.waiting = self.outbox.waiting()
        return sent

    def __exit__(self, *_error: object) -> None:
        self._line.close()
        self.outbox.close()

    def _stream(self) -> DeviceStream:
        at = self.outbox.stream
        return DeviceStream(self._signer, self._house.org, self._profile, at.stream, at.number, at.previous)

    def _put(self, envelopes: Iterable[Envelope]) -> int:
        made = list(envelopes)
        if made:
            kept = [Batch(each.header.stream, each.header.number, encode_batch(each)) for each in made]
            self.outbox.put(kept, made[-1].digest)
        return len(made)

    def _acknowledged(self, batch: Batch, answer: Answer, sent: Sent) -> None:
        said = answer.said()
        self.outbox.done(batch)
        sent.batches, sent.accepted = sent.batches + 1, sent.accepted + int(said.get("accepted", 0))
        sent.token = str(said.get("token", "")) or sent.token
        for each in said.get("refused", ()):
            where = (batch.stream, batch.number, int(each["index"]), int(each["count"]))
            sent.refused.append(Refused(*where, str(each["code"]), str(each["detail"])))

    def _refused(self, batch: Batch, answer: Answer, sent: Sent) -> None:
        said = answer.said()
        code, detail = str(said.get("code", "")), str(said.get("detail", said.get("title", "")))
        self.outbox.refused(batch, code)
        sent.refused.append(Refused(batch.stream, batch.number, None, 0, code, detail))
