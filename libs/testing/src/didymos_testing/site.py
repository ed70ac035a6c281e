"""Folders of sites with consenting subjects, and a coordinator in memory that tells them real, signed orders.

Nothing here imports `didymos_site`: its tests build the ports on these folders.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from didymos.identity.v1 import identity_service_pb2 as identity
from didymos.training.v1 import training_types_pb2 as pb
from didymos_did import (
    Action,
    Budget,
    Did,
    Ed25519Signer,
    Grant,
    GrantState,
    KeyId,
    Purpose,
    Signed,
    TwinId,
    jcs,
    make_terms,
    parse_grant,
    sign_detached,
    sign_grant,
    sign_site_enrolment,
)
from didymos_kit.tails import consent_changed
from didymos_learning import (
    GLUCOSE_TASK,
    CohortSpec,
    Flat,
    RunSpec,
    StrategySpec,
    demo_spec,
    flat_bytes,
    model_spec,
)
from didymos_learning.error_histogram import BOUND, width
from didymos_privacy import (
    Advert,
    Agree,
    Answers,
    Attempt,
    Boxes,
    Confirm,
    CoordinatorState,
    Done,
    From,
    Masked,
    Order,
    Refuse,
    Scale,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SiteMessage,
    SurvivorList,
    TimeIsUp,
    Unmask,
    collect,
    expected_digest,
    invite,
    order_for,
    stage,
    subjects_of,
    survivors_of,
    vector_view,
    verify_message,
)

from didymos_testing.clock import NOON
from didymos_testing.did import GLUCOSE_TASK as GRANT_TASK
from didymos_testing.did import RESEARCH, a_grant_id, a_signer

ORGANISATION, COORDINATOR, BUYER = (a_signer(name) for name in ("clinic", "coordinator", "institute"))
AGREEMENT = "urn:uuid:01930000-0000-7000-8000-0000000000aa"


def a_spec(**changes: Any) -> RunSpec:  # noqa: ANN401 - any member of the specification
    """A small forecaster, one epoch, four masked rounds over at least five sites."""
    known = demo_spec(b"s" * 32)
    said: dict[str, Any] = {
        "model": model_spec("lstm", {"units": 4, "skip": 4}, GLUCOSE_TASK),
        "local": replace(known.local, epochs=1, batch=128, lr=1e-2, lr_end=1e-2, clip=2.0),
        "strategy": StrategySpec("fedavg", {}), "rounds": 4, "cohort": CohortSpec(5, 4, 10, 1024.0),
        "personal": replace(known.personal, fine_tune=(1, 2), ditto=(), head_ridge=(0.1,), own_epochs=2),
    }  # fmt: skip
    return replace(known, **{**said, **changes})


def readings(name: str, count: int) -> list[float]:
    """A day of glucose after the other, one decimal each; the same for the same name."""
    rng = np.random.default_rng(int.from_bytes(sha256(name.encode()).digest()[:8], "big"))
    wave = 130 + 30 * np.sin(np.arange(count) * 2 * np.pi / 288 + rng.uniform(0, 6))
    noise = rng.normal(0, 3, count).cumsum() * 0.3
    return [float(round(value, 1)) for value in np.clip(wave + noise - np.linspace(0, noise[-1], count), 41, 399)]


@dataclass(frozen=True, slots=True)
class Person:
    """A subject of a test, with all keys: its wallet."""

    name: str
    grant: Grant
    credential: bytes

    @property
    def twin(self) -> TwinId:
        return self.grant.twin


def a_person(number: int, **changes: Any) -> Person:  # noqa: ANN401 - of the terms
    """An owner who lets BUYER train a glucose forecaster for research."""
    name = f"person {number}"
    owner, twin = a_signer(f"owner {name}"), TwinId(a_signer(f"twin {name}").did)
    said: dict[str, Any] = {
        "actions": [Action.TRAIN], "paths": ["features/glucose/**"], "purposes": [RESEARCH],
        "window": (NOON - timedelta(days=1), NOON + timedelta(days=30)), "task": GRANT_TASK,
        "constraints": {"min-cohort": 10, "secure-aggregation": True}, "budget": Budget(rounds=30, exact_rounds=30),
    }  # fmt: skip
    terms = make_terms(**{**said, **changes})
    credential = jcs(sign_grant(a_grant_id(number), BUYER.did, twin, terms, owner, NOON))
    return Person(name, parse_grant(credential), credential)


def a_site_folder(
    path: Path, people: Sequence[Person], *, count: int = 300, placement: str = "platform",
    organisation: Ed25519Signer = ORGANISATION, at: datetime = NOON,
) -> Did:  # fmt: skip
    """A folder as `README.md` of the site describes it, enrolled around `at`; the site's DID."""
    (path / "grants").mkdir(parents=True)
    seed = sha256(f"site {path.name}".encode()).digest()
    (path / "site.key").write_text(seed.hex())
    site = Ed25519Signer(seed).did
    window = (at - timedelta(days=1), at + timedelta(days=30))
    (path / "enrolment.json").write_bytes(jcs(sign_site_enrolment(site, window, organisation)))
    subjects = []
    for person in people:
        file = f"{person.name.replace(' ', '-')}.csv"
        rows = [f"{at},{person.name},{_time(at)},{value}" for at, value in enumerate(readings(person.name, count))]
        (path / file).write_text("\n".join(["row,id,time,gl", *rows]) + "\n")
        (path / "grants" / f"{person.name}.json").write_bytes(person.credential)
        subjects.append({"twin": person.twin, "owner": person.grant.owner, "series": file, "placement": placement})
    (path / "site.json").write_text(json.dumps({"subjects": subjects}))
    return site


def _time(at: int) -> str:
    return (NOON - timedelta(days=20) + timedelta(seconds=300 * at)).strftime("%Y-%m-%d %H:%M:%S")


def a_beat(staleness_ms: int = 0) -> identity.WatchResponse:
    return identity.WatchResponse(staleness_ms=staleness_ms)


def told_grant(grant: Grant, state: GrantState = GrantState.ACTIVE, revision: int = 1) -> identity.WatchResponse:
    """What `Grants.Watch` says of this grant."""
    changed = consent_changed(replace(grant, state=state, revision=revision), NOON)
    return identity.WatchResponse(changed=changed, staleness_ms=0)


@dataclass
class Post:
    """Objects at the coordinator, and a record of every byte that a site sent."""

    objects: dict[bytes, bytes] = field(default_factory=dict)
    sent: bytearray = field(default_factory=bytearray)

    def put(self, data: bytes) -> bytes:
        digest = sha256(data).digest()
        self.objects[digest] = data
        return digest

    async def fetch(self, digest: bytes) -> bytes:
        return self.objects[digest]

    async def deliver(self, data: bytes) -> None:
        self.sent += data
        self.put(data)


@dataclass(frozen=True, slots=True)
class Body:
    """What a site said, verified."""

    site: Did
    body: pb.SignalBody
    raw: bytes

    @property
    def refusal(self) -> str:
        return self.body.refusal.code


Answer = Callable[[Did, pb.Order], Any]  # an awaitable of bytes or None


@dataclass
class Coordinator:
    """Tells orders, hears signals; the state machine of `didymos_privacy` decides."""

    post: Post
    spec: RunSpec
    params: Flat
    twins: Mapping[Did, Sequence[TwinId]]
    run: str = "run-1"
    signer: Ed25519Signer = COORDINATOR
    gradient: bytes = b""
    adverts: dict[Did, pb.SiteSignal] = field(default_factory=dict)
    confirms: dict[Did, pb.SiteSignal] = field(default_factory=dict)
    heard: list[Body] = field(default_factory=list)
    tamper: Callable[[Did, pb.OrderBody], None] = lambda _site, _body: None
    evaluates: bool = False  # then its rounds ask for errors, not for training

    @property
    def cohort(self) -> int:
        return sum(map(len, self.twins.values()))

    def header(self, round_: int, attempt: int = 1) -> pb.OrderBody:
        return pb.OrderBody(
            run=f"{self.run}/evaluation" if self.evaluates else self.run, round=round_, attempt=attempt, deadline_us=1,
            spec=self.post.put(self.spec.to_json()),
            params=self.post.put(flat_bytes(self.params)), layout=self.spec.model.layout.digest, agreement=AGREEMENT,
        )  # fmt: skip

    def signed(self, site: Did, body: pb.OrderBody) -> pb.Order:
        self.tamper(site, body)
        made = sign_detached("order", body.SerializeToString(deterministic=True), self.signer)
        return pb.Order(body=made.body, kid=made.kid, signature=made.signature)

    @property
    def size(self) -> int:
        """Of the vector, without its weight."""
        return width(self.spec.evaluation.edges) if self.evaluates else self.spec.model.layout.size

    def opening(self, site: Did, round_: int, attempt: int = 1, purpose: Purpose = RESEARCH) -> pb.Order:
        body = self.header(round_, attempt)
        if self.evaluates:
            body.evaluate.grantee, body.evaluate.purpose, body.evaluate.cohort = BUYER.did, purpose, self.cohort
            body.evaluate.twins.extend(self.twins[site])
            return self.signed(site, body)
        body.open.masking, body.open.grantee, body.open.purpose = self.spec.masking, BUYER.did, purpose
        body.open.twins.extend(self.twins[site])
        body.open.cohort, body.open.validation_gradient = self.cohort, self.gradient
        return self.signed(site, body)

    def close(self, site: Did, round_: int, outcome: str = "committed", attempt: int = 1) -> pb.Order:
        body = self.header(round_, attempt)
        body.close.outcome = outcome
        return self.signed(site, body)

    def personalise(self, site: Did, round_: int, recipient: bytes = b"") -> pb.Order:
        body = self.header(round_)
        body.personalise.recipient = recipient
        return self.signed(site, body)

    def step(self, site: Did, told: Order, state: CoordinatorState) -> pb.Order:
        body = self.header(state.attempt.round, state.attempt.attempt)
        body.expected = expected_digest(state)
        match told:
            case SetupList(adverts):
                body.setup.list.adverts.extend(self.adverts[Did(advert.site)] for advert in adverts)
            case SetupCiphertexts(ciphertexts):
                body.setup.ciphertexts.ciphertexts.extend(ciphertexts)
            case SetupBoxes(boxes, expected):
                body.setup.boxes.boxes.extend(boxes)
                body.setup.boxes.expected.extend(expected)
            case SurvivorList(survivors):
                body.confirm.survivors.extend(survivors)
            case Unmask():
                body.unmask.confirmations.extend(signal for _, signal in sorted(self.confirms.items()))
        return self.signed(site, body)

    def hear(self, raw: bytes) -> Body:
        """Parses and verifies what a site sent, and keeps all of its bytes for the search."""
        self.post.sent += raw
        signal = pb.SiteSignal.FromString(raw)
        body = pb.SignalBody.FromString(signal.body)
        signed = Signed(signal.body, KeyId(signal.kid), signal.signature)
        verify_message(_kind(body), signed, body.site)
        site = Did(body.site)
        if body.WhichOneof("step") == "advert":
            self.adverts[site] = signal
        if body.WhichOneof("step") == "confirm":
            self.confirms[site] = signal
        self.heard.append(Body(site, body, raw))
        return self.heard[-1]

    async def round(
        self, answer: Answer, round_: int, attempt: int = 1, silent: Mapping[str, Sequence[Did]] | None = None
    ) -> CoordinatorState:
        """One attempt over all sites. `silent`: stage -> sites that are not told anything from there on."""
        self.adverts, self.confirms = {}, {}
        run = self.header(round_, attempt).run
        named = Attempt(run, round_, attempt, self._digest(), self.spec.digest, self.size + 1)
        state: CoordinatorState = invite(named, self.twins)
        gone: set[Did] = set()
        while stage(state) != "CLOSE":
            at = stage(state)
            gone |= set((silent or {}).get(at, ()))
            for site in sorted(set(self.twins) - gone):
                told = order_for(state, site)
                if at == "ADVERTISE":
                    raw = await answer(site, self.opening(site, round_, attempt))
                elif told is not None and stage(state) == at:
                    raw = await answer(site, self.step(site, told, state))
                else:
                    continue
                said = self.hear(raw)
                state = collect(state, From(site, said.body.list, message_of(said.body)))
            if stage(state) == at:
                state = collect(state, TimeIsUp(at))
        return state

    def _digest(self) -> bytes:
        return sha256(flat_bytes(self.params)).digest()

    def total(self, state: CoordinatorState) -> tuple[Any, float]:
        """(sum of weighted updates (d,) or of histograms, sum of weights or count) that the coordinator gets."""
        if not isinstance(state, Done) or self.spec.local.clip is None:
            raise TypeError(state)
        summed = np.zeros(state.attempt.dim, dtype=np.uint32)
        for _, digest in survivors_of(state):
            summed += vector_view(self.post.objects[digest], summed.size)
        state.opened.strip(summed)
        scale = Scale(self.spec.local.clip, self.spec.cohort.max_weight, subjects_of(state))
        if self.evaluates:
            scale = Scale(BOUND, 1.0, subjects_of(state))
        return scale.decode(summed)


def _kind(body: pb.SignalBody) -> type:
    return {
        "advert": Advert, "agree": Agree, "boxes": Boxes, "masked": Masked, "confirm": Confirm, "answers": Answers,
    }.get(body.WhichOneof("step") or "", Refuse)  # fmt: skip


def message_of(body: pb.SignalBody) -> SiteMessage:
    """A step of secure aggregation, or a refusal."""
    match body.WhichOneof("step"):
        case "advert":
            return Advert(body.site, body.advert.x25519, body.advert.mlkem, body.advert.subjects)
        case "agree":
            return Agree(tuple(body.agree.ciphertexts))
        case "boxes":
            said = body.boxes
            return Boxes(tuple(said.boxes), said.escrows[0], said.commit_b[0], said.commit_r[0])
        case "masked":
            return Masked(body.masked.vector)
        case "confirm":
            return Confirm(body.confirm.transcript, tuple(body.confirm.survivors))
        case "answers":
            told = body.answers
            return Answers(tuple(told.b_shares), tuple(told.r_shares), tuple(told.seed_checks))
        case "refusal":
            return Refuse(body.refusal.code, body.refusal.detail)
    raise ValueError(f"no step of a masked round: {body.WhichOneof('step')}")
