"""Training takes no more of a core than it may."""

import time

from didymos_site.adapters.learner import Pace


def busy() -> tuple[float, float]:
    """(when it began, seconds of a core that it took)."""
    begun, spent = time.monotonic(), time.thread_time()
    while time.thread_time() - spent < 0.01:
        pass
    return begun, time.thread_time() - spent


def test_work_rests_as_long_as_its_share_says() -> None:
    pace = Pace(0.2)
    _, spent = pace.run(busy)
    ended = time.monotonic()
    begun, _ = pace.run(busy)
    assert begun - ended >= 0.9 * 4 * spent
