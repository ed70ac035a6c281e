"""Sites on folders of their own, answering a coordinator in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from didymos.training.v1 import training_types_pb2 as pb
from didymos_did import Did
from didymos_learning import Flat, RunSpec
from didymos_site.adapters.consent import WatchedConsent
from didymos_site.adapters.folder import STORE, Folder
from didymos_site.adapters.learner import FolderLearner
from didymos_site.adapters.protobuf import OrderRefused, Trust, parse_order
from didymos_site.adapters.store import SqliteStore
from didymos_site.adapters.voice import SignedVoice
from didymos_site.application.answer_order import answer_order
from didymos_site.application.ports import Ports
from didymos_site.domain.hours import Hours, Limits
from didymos_testing.clock import FixedClock
from didymos_testing.site import (
    COORDINATOR,
    ORGANISATION,
    Coordinator,
    Person,
    Post,
    a_beat,
    a_person,
    a_site_folder,
    a_spec,
    told_grant,
)


@dataclass
class Running:
    """A site as its process holds it. `again()` is what is left after kill -9: the folder."""

    path: Path
    post: Post
    people: list[Person]
    clock: FixedClock = field(default_factory=FixedClock)
    limits: Limits = field(default_factory=lambda: Limits(Hours.parse(""), 0, UTC))

    def __post_init__(self) -> None:
        folder = Folder(self.path)
        self.consent = WatchedConsent(folder.subjects(), folder.grants, self.clock, patience_seconds=0.01)
        for person in self.people:
            self.consent.told(told_grant(person.grant))
        self.consent.told(a_beat())
        self.store, self.learner = SqliteStore(self.path / STORE), FolderLearner(self.path)
        self.voice = SignedVoice(folder.signer(), folder.enrolment())
        self.trust = Trust(COORDINATOR.did, frozenset({ORGANISATION.did}), self.clock.now)
        self.ports = Ports(
            self.store, self.post, self.learner, self.consent, self.voice, self.clock, folder.subjects(), b"x" * 32,
            self.limits,
        )  # fmt: skip

    @property
    def did(self) -> Did:
        return self.voice.site

    async def answer(self, order: pb.Order) -> bytes | None:
        try:
            parsed, digest = parse_order(order, self.trust)
        except OrderRefused as refused:
            return self.voice.refuse(refused.header, refused.problem.row.code, "")
        return await answer_order(parsed, digest, self.ports)

    def again(self) -> "Running":
        self.shut()
        return Running(self.path, self.post, self.people, self.clock, self.limits)

    def shut(self) -> None:
        self.learner.shut()
        self.store.shut()


@dataclass
class World:
    coordinator: Coordinator
    sites: dict[Did, Running]

    @property
    def first(self) -> Running:
        return self.sites[min(self.sites)]

    async def answer(self, site: Did, order: pb.Order) -> bytes | None:
        return await self.sites[site].answer(order)

    def restart(self, site: Did) -> None:
        self.sites[site] = self.sites[site].again()


MakeWorld = Callable[..., World]


@pytest.fixture
def a_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """`a_world(sites=6, each=2)`: six sites of two subjects; `spec`, `count` (readings each), `placement`, `terms`."""
    made: list[World] = []

    def make(sites: int = 6, each: int = 2, spec: RunSpec | None = None, count: int = 300, **changes: object) -> World:
        placement = str(changes.pop("placement", "platform"))
        post, running = Post(), {}
        for number in range(sites):
            people = [a_person(number * each + at + 1, **changes) for at in range(each)]
            path = tmp_path / f"site-{number}"
            site = a_site_folder(path, people, count=count, placement=placement)
            running[site] = Running(path, post, people)
        chosen = spec or a_spec()
        twins = {site: [person.twin for person in one.people] for site, one in running.items()}
        made.append(World(Coordinator(post, chosen, initial(chosen), twins), running))
        return made[-1]

    yield make
    for world in made:
        for one in world.sites.values():
            one.shut()


def initial(spec: RunSpec) -> Flat:
    rng = np.random.default_rng(5)
    return rng.normal(0, 0.1, spec.model.layout.size).astype(np.float32)
