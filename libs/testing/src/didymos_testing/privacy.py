"""A round of secure aggregation in memory: sites, a coordinator, and whoever stands between them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from didymos_privacy import (
    U32,
    Advert,
    Agreed,
    Answered,
    Attempt,
    Confirm,
    CoordinatorState,
    Done,
    From,
    Left,
    Masked,
    Minima,
    Order,
    Ready,
    Refuse,
    Sent,
    SetupBoxes,
    SiteState,
    TimeIsUp,
    collect,
    coordinator_state,
    coordinator_state_bytes,
    invite,
    list_of,
    mask,
    order_for,
    site_state,
    site_state_bytes,
    stage,
    start,
    step,
    survivors_of,
    vector_view,
)

SMALL = Minima(expected=2, surviving=2, subjects=1, honest=1)
DIM = 37


def an_attempt(**changes: Any) -> Attempt:  # noqa: ANN401 - any member of the attempt
    said: dict[str, Any] = {
        "run": "run-1", "round": 3, "attempt": 1, "params": b"p" * 32, "spec": b"s" * 32, "dim": DIM,
    }  # fmt: skip
    return Attempt(**{**said, **changes})


def a_vector(name: str, dim: int = DIM) -> U32:
    """Uniform integers modulo 2^32, the same for the same name."""
    seed = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).integers(0, 2**32, dim, dtype=np.uint32)


def total_of(vectors: Iterable[U32], dim: int = DIM) -> U32:
    total = np.zeros(dim, dtype=np.uint32)
    for vector in vectors:
        total += vector
    return total


@dataclass
class Site:
    """One honest site; its state goes through bytes at every step, as a store would have it."""

    name: str
    attempt: Attempt
    vector: U32
    subjects: int = 3
    sent: bytes = b""
    refused: list[Refuse] = field(default_factory=list)
    state: SiteState | None = None

    def advert(self) -> Advert:
        state, advert = start(self.attempt, self.name, self.subjects, sha256(f"secret {self.name}".encode()).digest())
        self.state = state
        return advert

    def told(self, order: Order) -> Any:  # noqa: ANN401 - a message, or nothing
        if self.state is None:
            raise AssertionError("a site advertises first")
        self.state, reply = step(site_state(site_state_bytes(self.state)), order)
        if isinstance(reply, Refuse):
            self.refused.append(reply)
        if isinstance(order, SetupBoxes) and reply is None and isinstance(self.state, Ready):
            return self.masked()
        return reply

    def masked(self) -> Masked | Refuse:
        if self.state is None:
            raise AssertionError("a site advertises first")
        done = mask(self.state, self.vector)
        if isinstance(done, Refuse):
            self.refused.append(done)
            return done
        self.state, message, self.sent = done
        return message

    @property
    def list(self) -> bytes:
        return list_of(self.state) if self.state is not None else b""

    @property
    def finished(self) -> bool:
        return isinstance(self.state, Sent | Agreed | Answered | Left)


@dataclass
class World:
    """Sites by name, and the coordinator's state. `silent`: stage -> who says nothing from there on."""

    sites: Mapping[str, Site]
    state: CoordinatorState
    silent: Mapping[str, Collection[str]] = field(default_factory=dict)
    tamper: Callable[[str, Order], Order] = lambda _, order: order
    heard: list[tuple[str, Any]] = field(default_factory=list)
    order: Callable[[list[str]], list[str]] = lambda names: names  # who speaks when, within a stage
    repeats: int = 1  # how often each says it

    def quiet(self, name: str) -> bool:
        stages = ("ADVERTISE", "AGREE", "SHARE", "MASK", "CONFIRM", "UNMASK", "CLOSE")
        passed = stages[: stages.index(stage(self.state)) + 1]
        return any(name in self.silent.get(each, ()) for each in passed)

    def hear(self, name: str, message: Any) -> None:  # noqa: ANN401 - a message of a site
        self.heard.append((name, message))
        listed = b"" if isinstance(message, Advert) else self.sites[name].list
        kept = coordinator_state(coordinator_state_bytes(self.state))
        self.state = collect(kept, From(name, listed, message))

    def run(self) -> CoordinatorState:
        """All stages; who is silent makes the deadline pass."""
        adverts = {name: site.advert() for name, site in self.sites.items()}
        for name in self.order([name for name in self.sites if not self.quiet(name)]):
            for _ in range(self.repeats):
                self.hear(name, adverts[name])
        if stage(self.state) == "ADVERTISE":
            self.state = collect(self.state, TimeIsUp("ADVERTISE"))
        while stage(self.state) != "CLOSE":
            at = stage(self.state)
            orders = {name: order_for(self.state, name) for name in self.sites}
            for name in self.order(list(orders)):
                order = orders[name]
                if order is None or self.quiet(name) or stage(self.state) != at:
                    continue
                reply = self.sites[name].told(self.tamper(name, order))
                for _ in range(self.repeats if reply is not None else 0):
                    self.hear(name, reply)
            if stage(self.state) == at:
                self.state = collect(self.state, TimeIsUp(at))
        return self.state

    def opened(self) -> U32:
        """The sum that the coordinator gets."""
        if not isinstance(self.state, Done):
            raise TypeError(self.state)
        total = np.zeros(self.state.attempt.dim, dtype=np.uint32)
        for name, digest in survivors_of(self.state):
            raw = self.sites[name].sent
            if sha256(raw).digest() != digest:
                raise AssertionError("another vector")
            total += vector_view(raw, total.size)
        self.state.opened.strip(total)
        return total

    def plain(self) -> U32:
        """The same sum in clear."""
        names = [name for name, _ in survivors_of(self.state)]
        return total_of((self.sites[name].vector for name in names), next(iter(self.sites.values())).attempt.dim)

    def codes(self) -> set[str]:
        return {refusal.code for site in self.sites.values() for refusal in site.refused}


def names(count: int) -> list[str]:
    return [f"did:key:z{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(count)]


def a_world(count: int = 6, attempt: Attempt | None = None, **changes: Any) -> World:  # noqa: ANN401 - of the world
    made = attempt or an_attempt()
    sites = {name: Site(name, made, a_vector(name, made.dim)) for name in names(count)}
    return World(sites, invite(made, sites), **changes)


def a_confirm(site: Site) -> Confirm:
    """What a site in AGREED confirmed."""
    if not isinstance(site.state, Agreed):
        raise TypeError(site.state)
    return next(reply for _, reply in site.state.past if isinstance(reply, Confirm))
