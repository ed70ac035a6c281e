"""Who is dialled in, and what each is told: again, and in order."""

from typing import Any

from didymos_testing.did import a_signer
from didymos_training_orchestration.adapters.attendance import KEPT_RUNS, Attendance, Session
from didymos_training_orchestration.adapters.journal import AttemptName
from didymos_training_orchestration.adapters.signals import Heartbeat, Hello, Signal
from didymos_training_orchestration.domain.run import RunId

SITE, RUN = a_signer("site").did, RunId("run")


class Present:
    def __init__(self) -> None:
        self.now = 0.0

    def set(self, value: float) -> None:
        self.now = value

    def inc(self, amount: float = 1) -> None:
        self.now += amount

    def dec(self, amount: float = 1) -> None:
        self.now -= amount


def a_hello(task: str = "") -> Hello:
    return Hello(2, task, (), b"{}")


async def all_of(session: Session) -> list[Any]:
    session.end()
    found = []
    while (order := await session.next()) is not None:
        found.append(order)
    return found


async def test_who_dials_in_again_is_told_how_the_last_round_ended_and_what_to_do_now() -> None:
    attendance = Attendance(Present())
    first = attendance.attend(SITE, a_hello())
    attendance.tell(SITE, RUN, b"open 1")
    attendance.tell(SITE, RUN, b"close 1", closing=True)
    attendance.tell(SITE, RUN, b"open 2")
    assert await all_of(first) == [b"open 1", b"close 1", b"open 2"]
    assert await all_of(attendance.attend(SITE, a_hello())) == [b"close 1", b"open 2"]


async def test_another_stream_of_a_site_takes_the_place_of_the_first() -> None:
    present = Present()
    attendance = Attendance(present)
    first = attendance.attend(SITE, a_hello())
    second = attendance.attend(SITE, a_hello())
    assert await first.next() is None
    attendance.leave(first)
    assert (list(attendance.sites), present.now) == ([SITE], 1)
    attendance.leave(second)
    assert (list(attendance.sites), present.now) == ([], 0)
    assert attendance.knows(SITE)


async def test_of_many_runs_that_are_over_the_last_ones_are_told_again() -> None:
    attendance = Attendance(Present())
    attendance.tell(SITE, RunId("open"), b"open")
    for number in range(KEPT_RUNS + 5):
        attendance.tell(SITE, RunId(str(number)), f"close {number}".encode(), closing=True)
    told = await all_of(attendance.attend(SITE, a_hello()))
    assert len(told) == KEPT_RUNS
    assert b"open" in told


async def test_what_nobody_waits_for_is_counted_and_dropped() -> None:
    attendance = Attendance(Present())
    signal = Signal(SITE, RUN, 1, 1, b"", "heartbeat", Heartbeat(1), b"")
    assert not attendance.heard(signal)
    assert attendance.late == 1
    with attendance.listening(AttemptName(RUN, 1, 1)) as inbox:
        assert attendance.heard(signal)
        assert await inbox.take(1.0) == signal
        assert await inbox.take(0.01) is None
    assert not attendance.heard(signal)


def test_a_site_is_offered_for_its_task_only() -> None:
    attendance = Attendance(Present())
    attendance.attend(SITE, a_hello("ab"))
    assert (list(attendance.offered("ab")), list(attendance.offered("cd"))) == ([SITE], [])


async def test_waiting_for_sites_ends_when_they_are_here_or_the_time_is_up() -> None:
    attendance = Attendance(Present())
    await attendance.gathered([SITE], 0.01)
    attendance.attend(SITE, a_hello())
    await attendance.gathered([SITE], 60.0)
    await attendance.changed(0.01)
