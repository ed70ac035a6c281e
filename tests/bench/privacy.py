"""Secure aggregation: CPU of one client and of the server, beside the targets of privacy.md section 12.

Processor time, not wall time: other work on the machine does not show. Each result is checked against the plain sum.
Encoding of the vector is in the client's figure; transport and storage are in neither.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeVar

import numpy as np
from didymos_privacy import (
    Attempt,
    Done,
    From,
    Minima,
    Order,
    Ready,
    Refuse,
    Scale,
    SiteState,
    TimeIsUp,
    add_mask,
    collect,
    derived,
    invite,
    list_of,
    mask,
    order_for,
    stage,
    start,
    step,
    survivors_of,
    vector_view,
)

from tests.bench.measure import Measure, measure

MILLION: Final = 1_000_000
CASES: Final = (  # sites, coordinates, drop-outs, target of client and server in ms
    (10, MILLION, 1, 20.0, 30.0),
    (50, 100_000, 5, 30.0, 60.0),
    (50, 100_000, 0, None, None),
    (50, 100_000, 15, None, None),
    (50, MILLION, 5, 50.0, 300.0),
)
SCALE_CLIP: Final = 1.0
T = TypeVar("T")


@dataclass
class Site:
    """One client; `spent`: seconds of processor time in the protocol."""

    name: str
    update: np.ndarray[Any, np.dtype[np.float32]]
    attempt: Attempt
    state: SiteState | None = None
    raw: bytes = b""
    spent: float = 0.0
    vector: np.ndarray[Any, np.dtype[np.uint32]] = field(default_factory=lambda: np.empty(0, dtype=np.uint32))

    def timed(self, work: Callable[[], T]) -> T:
        begun = time.process_time()
        done = work()
        self.spent += time.process_time() - begun
        return done

    def advert(self) -> Any:
        self.state, said = self.timed(lambda: start(self.attempt, self.name, 1, derived(b"k" * 32, self.name)))
        return said

    def told(self, order: Order) -> Any:
        before = self.state
        if before is None:
            raise AssertionError("a site advertises first")
        self.state, reply = self.timed(lambda: step(before, order))
        return self.timed(self.masked) if isinstance(self.state, Ready) else reply

    def masked(self) -> Any:
        ready = self.state
        if not isinstance(ready, Ready):
            raise TypeError(ready)
        scale = Scale(SCALE_CLIP, 1.0, ready.subjects)
        self.vector = scale.encode(self.update, 1.0, derived(b"r" * 32, self.name))
        done = mask(ready, self.vector)
        if isinstance(done, Refuse):
            raise TypeError(done)
        self.state, said, self.raw = done
        return said


def attempt_of(dim: int) -> Attempt:
    return Attempt("bench", 1, 1, b"p" * 32, b"s" * 32, dim, Minima(3, 3, 1, 1))


def run_round(count: int, size: int, drops: int) -> tuple[float, float]:
    """(client, server) seconds: the median client, and all of the server."""
    attempt = attempt_of(size + 1)
    rng = np.random.default_rng(1)
    update = (rng.standard_normal(size) / size**0.5).astype(np.float32)
    sites = [Site(f"did:key:z{number:03}", update, attempt) for number in range(count)]
    dropped = {site.name for site in sites[:drops]}
    server = 0.0
    state: Any = invite(attempt, [site.name for site in sites])
    while stage(state) != "CLOSE":
        at = stage(state)
        orders = {site.name: order_for(state, site.name) for site in sites}
        for site in sites:
            order = orders[site.name]
            silent = site.name in dropped and at in ("MASK", "CONFIRM", "UNMASK")
            if silent or stage(state) != at or (order is None and at != "ADVERTISE"):
                continue
            said = site.advert() if order is None else site.told(order)
            listed = b"" if order is None or site.state is None else list_of(site.state)
            begun = time.process_time()
            state = collect(state, From(site.name, listed, said))
            server += time.process_time() - begun
        if stage(state) == at:
            state = collect(state, TimeIsUp(at))
    if not isinstance(state, Done):
        raise TypeError(state)
    raws = {site.name: site.raw for site in sites}
    if any(sha256(raws[name]).digest() != digest for name, digest in survivors_of(state)):
        raise AssertionError("another vector")
    begun = time.process_time()
    total = np.zeros(size + 1, dtype=np.uint32)
    for name, _ in survivors_of(state):
        total += vector_view(raws[name], total.size)
    state.opened.strip(total)
    server += time.process_time() - begun
    _checked(total, [site for site in sites if site.name not in dropped])
    return statistics.median(site.spent for site in sites if site.name not in dropped), server


def _checked(total: np.ndarray[Any, np.dtype[np.uint32]], sites: list[Site]) -> None:
    plain = np.zeros_like(total)
    for site in sites:
        plain += site.vector
    if not np.array_equal(total, plain):
        raise AssertionError("not the plain sum")


def kernels() -> list[Measure]:
    """What the round is made of, for a million coordinates."""
    acc = np.zeros(MILLION, dtype=np.uint32)
    x = np.random.default_rng(2).standard_normal(MILLION) / 1000
    scale = Scale(SCALE_CLIP, 1.0, 50)
    masks = _median(lambda: add_mask(acc, b"k" * 32, 1))
    rounding = _median(lambda: scale.encode(x, 1.0, b"s" * 32))
    return [
        measure("mask of 1 M coordinates", masks * 1000, "ms", against="prototype 0.6-0.79 ms"),
        measure("rounding of 1 M coordinates", rounding * 1000, "ms", against="prototype 2.0-3.5 ms"),
    ]


def _median(work: Callable[[], object], repeats: int = 7) -> float:
    work()
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def run() -> list[Measure]:
    lines = kernels()
    for count, size, drops, client_goal, server_goal in CASES:
        repeats = 3 if count * size <= 10 * MILLION else 1
        figures = [run_round(count, size, drops) for _ in range(repeats)]
        name = f"{count} x {size // 1000}k, {drops} drop out"
        for who, at, goal in (("client", 0, client_goal), ("server", 1, server_goal)):
            ms = statistics.median(figure[at] for figure in figures) * 1000
            ratio = None if goal is None else goal / ms
            against = "" if goal is None else f"target {goal:g} ms"
            bar = None if goal is None else 1.0
            lines.append(measure(f"{name}: {who}", ms, "ms CPU", against=against, ratio=ratio, goal=bar))
    return lines
