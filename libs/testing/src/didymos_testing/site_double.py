"""A site for tests of the coordinator: real wire, real masks, updates that are drawn instead of trained."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import numpy as np
from didymos.training.v1 import training_service_pb2 as messages
from didymos.training.v1 import training_types_pb2 as pb
from didymos.training.v1.training_service_pb2_grpc import RoundsStub
from didymos_did import Did, Ed25519Signer, TwinId, jcs, sign_detached, sign_site_enrolment, verify_detached
from didymos_did.keys import KeyId, Signed
from didymos_learning import (
    RunSpec,
    flat_bytes,
    flat_view,
)
from didymos_learning.error_histogram import BOUND, shares, width
from didymos_privacy import (
    ORDER,
    SIGNAL,
    Advert,
    Agree,
    Answers,
    Attempt,
    Boxes,
    Close,
    Confirm,
    Confirmed,
    Masked,
    Minima,
    Order,
    Ready,
    Refuse,
    Scale,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SiteState,
    SurvivorList,
    Unmask,
    list_of,
    mask,
    sign_message,
    start,
    step,
)

from didymos_testing.house import World

PIECE = 256 * 1024


def an_update(spec: RunSpec, round_: int, params: bytes, twin: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What training would give: (d,), shorter than the clip, a function of round, parameters and twin."""
    seed = sha256(f"{round_}|{twin}".encode() + params).digest()
    drawn = np.random.default_rng(int.from_bytes(seed[:8], "big")).standard_normal(spec.model.layout.size)
    return (0.5 * drawn / np.linalg.norm(drawn)).astype(np.float32)


def some_shares(spec: RunSpec, round_: int, params: bytes, twin: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What an evaluation would give: the histograms (width,) of errors drawn by round, parameters and twin."""
    seed = sha256(f"errors {round_}|{twin}".encode() + params).digest()
    drawn = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    return shares(drawn.exponential(0.5, 40), drawn.exponential(0.9, 40), spec.evaluation.edges)


@dataclass
class SiteDouble:
    """A site with some twins. Its answers are kept, so a repeated order has the same bytes; it survives coordinators.

    `silent`: steps (advert, agree, boxes, masked, confirm, answers, clear, personal) that it does not answer, in all
    rounds of training or, as `masked 2`, in one; in evaluations what is named as `evaluation masked`.
    `spoil`: changes the clear or masked bytes before they are sent.
    """

    signer: Ed25519Signer
    twins: tuple[TwinId, ...]
    spec: RunSpec
    silent: set[str] = field(default_factory=set)
    spoil: Callable[[bytes], bytes] = lambda raw: raw
    weight: float = 10.0
    model: bytes = b"sealed parameters of a personal model, longer than a digest"
    boast: int = 0  # subjects that it claims beyond those it was told to train on
    gradients: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    closed: list[tuple[int, str]] = field(default_factory=list)
    again: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[bytes] = field(default_factory=list)
    _states: dict[tuple[str, int, int], SiteState] = field(default_factory=dict)
    _masked: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    _opened: dict[tuple[str, int, int], tuple[str, ...]] = field(default_factory=dict)
    _answers: dict[bytes, list[bytes]] = field(default_factory=dict)
    _objects: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def did(self) -> Did:
        return self.signer.did

    def forget_answers(self) -> None:
        """What it was silent about it answers when it is told again; what it said it says again in the same bytes."""
        self._answers = {order: said for order, said in self._answers.items() if said}

    async def attend(self, world: World) -> None:
        """Until cancelled, or refused. Dials in anew when `again` is set."""
        while True:
            dialled = asyncio.create_task(self._dial(world))
            again = asyncio.create_task(self.again.wait())
            try:
                await asyncio.wait((dialled, again), return_when=asyncio.FIRST_COMPLETED)
                if not self.again.is_set():
                    return await dialled
                self.again.clear()
            finally:
                dialled.cancel()
                again.cancel()
                await asyncio.wait((dialled, again))

    async def _dial(self, world: World) -> None:
        async with world.peer(self.signer, "training-orchestration") as peer:
            stub = RoundsStub(peer.channel)
            up: asyncio.Queue[bytes | None] = asyncio.Queue()
            up.put_nowait(self.signed("hello", self._hello(world), None))
            try:
                async with aclosing(stub.Attend(_drained(up))) as orders:  # type: ignore[type-var] # a generator
                    async for order in orders:
                        for raw in await self._obey(order, stub):
                            up.put_nowait(raw)
            finally:
                up.put_nowait(None)

    def _hello(self, world: World) -> pb.SignalBody:
        now = world.house.clock.now()
        window = (now - timedelta(days=1), now + timedelta(days=30))
        credential = jcs(sign_site_enrolment(self.did, window, world.house.keys.organisation))
        hello = pb.Hello(subjects=len(self.twins), enrolment=credential, twins=self.twins)
        return pb.SignalBody(site=self.did, hello=hello)

    def signed(self, name: str, body: pb.SignalBody, message: Any) -> bytes:  # noqa: ANN401 - a message of the masks
        del name
        raw = body.SerializeToString(deterministic=True)
        made = sign_detached(SIGNAL, raw, self.signer) if message is None else sign_message(message, raw, self.signer)
        return pb.SiteSignal(body=raw, kid=made.kid, signature=made.signature).SerializeToString(deterministic=True)

    async def _obey(self, order: pb.Order, stub: Any) -> list[bytes]:  # noqa: ANN401 - a generated stub
        if not verify_detached(ORDER, Signed(order.body, KeyId(order.kid), order.signature)):
            raise AssertionError("an order that nobody signed")
        body = pb.OrderBody.FromString(order.body)
        name = body.WhichOneof("step") or ""
        self.seen.append(f"{name} {body.round}.{body.attempt}")
        if name == "close":
            self.closed.append((body.round, body.close.outcome))
            return []
        if order.body not in self._answers:
            self._answers[order.body] = [raw async for raw in self._answer(name, body, stub)]
        for data in self._objects.values():
            await self._deliver(stub, data)
        return self._answers[order.body]

    async def _answer(self, name: str, body: pb.OrderBody, stub: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
        key = (body.run, body.round, body.attempt)
        said = pb.SignalBody(site=self.did, run=body.run, round=body.round, attempt=body.attempt)
        if name in ("open", "evaluate"):
            params = await self._fetch(stub, body.params)
            self._objects.clear()
            self._opened[key] = tuple(body.open.twins if name == "open" else body.evaluate.twins)
            if name == "open":
                self.gradients.append(body.open.validation_gradient)
            if name == "open" and body.open.masking == "none":
                if not self._mute("clear", body):
                    yield await self._clear(said, body, params, stub)
                return
            size = self.spec.model.layout.size if name == "open" else width(self.spec.evaluation.edges)
            attempt = Attempt(*key, body.params, body.spec, size + 1, Minima())
            secret = sha256(f"{self.did}{key}".encode()).digest()
            self._states[key], advert = start(attempt, self.did, len(self._opened[key]) + self.boast, secret)
            said.advert.CopyFrom(pb.Advert(x25519=advert.x25519, mlkem=advert.mlkem, subjects=advert.subjects))
            if not self._mute("advert", body):
                yield self.signed("advert", said, advert)
        elif name == "personalise":
            if not self._mute("personal", body):
                yield self._personal(said, body)
        else:
            raw = await self._masking(said, body, key, stub)
            if raw is not None:
                yield raw

    async def _clear(self, said: pb.SignalBody, body: pb.OrderBody, params: bytes, stub: Any) -> bytes:  # noqa: ANN401
        total = self.total(body.round, params, tuple(body.open.twins)).astype(np.float32)
        data = self.spoil(flat_bytes(total))
        self._objects[sha256(data).digest()] = data
        await self._deliver(stub, data)
        count = len(body.open.twins)
        said.clear.CopyFrom(pb.ClearSum(vector=sha256(data).digest(), weight=self.weight * count, count=count))
        return self.signed("clear", said, None)

    def total(self, round_: int, params: bytes, twins: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The weighted sum of the updates of these twins (d,)."""
        size = self.spec.model.layout.size
        flat_view(params, size)
        parts = [self.weight * an_update(self.spec, round_, params, twin).astype(np.float64) for twin in twins]
        return np.sum(parts, axis=0) if parts else np.zeros(size)

    def histogram(self, round_: int, params: bytes, twins: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The sum of what these twins give in an evaluation (width,)."""
        parts = [some_shares(self.spec, round_, params, twin).astype(np.float64) for twin in twins]
        return np.sum(parts, axis=0) if parts else np.zeros(width(self.spec.evaluation.edges))

    async def _masking(
        self,
        said: pb.SignalBody,
        body: pb.OrderBody,
        key: tuple[str, int, int],
        stub: Any,  # noqa: ANN401
    ) -> bytes | None:
        state = self._states.get(key)
        if state is None:
            return None
        self._states[key], reply = step(state, order_in(body, state))
        said.list = list_of(self._states[key])
        if isinstance(self._states[key], Ready) and reply is None:
            return await self._mask(said, body, key, stub)
        if reply is None:
            return self._masked.get(key)  # it was told to mask before, and the line broke
        return self._told(said, reply)

    async def _mask(
        self,
        said: pb.SignalBody,
        body: pb.OrderBody,
        key: tuple[str, int, int],
        stub: Any,  # noqa: ANN401
    ) -> bytes | None:
        ready = self._states[key]
        if not isinstance(ready, Ready) or self._mute("masked", body):
            return None
        params = await self._fetch(stub, body.params)
        count = ready.cohort.adverts[ready.place].subjects
        scale = Scale(self.spec.local.clip or 1.0, self.spec.cohort.max_weight, ready.subjects)
        total, weight = self.total(body.round, params, self._opened[key]), self.weight * count
        if body.run.endswith("/evaluation"):
            scale = Scale(BOUND, 1.0, ready.subjects)
            total, weight = self.histogram(body.round, params, self._opened[key]), float(count)
        done = mask(ready, scale.encode(total, weight, self._coins(body.round)))
        if isinstance(done, Refuse):
            raise AssertionError(done.code)  # noqa: TRY004 - a refusal is no wrong type
        self._states[key], masked, raw = done
        data = self.spoil(raw)
        masked = Masked(sha256(data).digest())
        self._objects[masked.vector] = data
        said.masked.vector = masked.vector
        self._masked[key] = self.signed("masked", said, masked)
        await self._deliver(stub, data)
        return self._masked[key]

    def _mute(self, step: str, body: pb.OrderBody | pb.SignalBody) -> bool:
        if body.run.endswith("/evaluation"):
            return f"evaluation {step}" in self.silent
        return step in self.silent or f"{step} {body.round}" in self.silent

    def _coins(self, round_: int) -> bytes:
        """Rounding is private, yet equal in every run of one specification."""
        return sha256(f"coins {self.did} {round_} {self.spec.digest.hex()}".encode()).digest()

    def _told(self, said: pb.SignalBody, reply: Any) -> bytes | None:  # noqa: ANN401 - a message of the masks
        match reply:
            case Agree(ciphertexts):
                said.agree.ciphertexts.extend(ciphertexts)
            case Boxes(boxes, escrow, commit_b, commit_r):
                said.boxes.CopyFrom(pb.Boxes(boxes=boxes, escrows=[escrow], commit_b=[commit_b], commit_r=[commit_r]))
            case Confirm(transcript, survivors):
                said.confirm.CopyFrom(pb.Confirm(transcript=transcript, survivors=survivors))
            case Answers(b_shares, r_shares, checks):
                said.answers.CopyFrom(pb.Answers(b_shares=b_shares, r_shares=r_shares, seed_checks=checks))
            case Refuse(code, detail):
                said.refusal.CopyFrom(pb.Refusal(code=code, detail=detail))
        if self._mute(said.WhichOneof("step") or "", said):
            return None
        return self.signed("", said, reply)

    def _personal(self, said: pb.SignalBody, body: pb.OrderBody) -> bytes:
        del body
        for at, twin in enumerate(self.twins):
            said.personal.subjects.append(pb.SubjectReport(
                twin=twin, accepted=at == 0, reason="" if at == 0 else "no gain", candidate="fine-tune 1", bound=0.1,
                gate_windows=100, test_windows=80, rmse_last_value=15.0, rmse_own=14.0, rmse_global=13.0,
                rmse_personal=12.5, score=1.0 + at, rmse_gate=13.5 + at, input_shift=0.1 + at,
                gain_low=0.2, gain_high=0.8, model=self.model + twin.encode() if at == 0 else b"",
            ))  # fmt: skip
        return self.signed("personal", said, None)

    async def _fetch(self, stub: Any, digest: bytes) -> bytes:  # noqa: ANN401 - a generated stub
        data = b""
        async for piece in stub.Fetch(messages.FetchRequest(object=digest, site=self.did)):
            data += piece.data
        if sha256(data).digest() != digest:
            raise AssertionError("another object")
        return data

    async def _deliver(self, stub: Any, data: bytes) -> None:  # noqa: ANN401 - a generated stub
        self.sent.append(data)
        done = await stub.Deliver(_pieces(data))
        if not done.complete:
            raise AssertionError("an object that is not whole")


def order_in(body: pb.OrderBody, state: Any) -> Order:  # noqa: ANN401 - a state of a site
    """The step of the masks that an order tells a site in `state`."""
    match body.WhichOneof("step"):
        case "setup":
            return _setup(body.setup)
        case "confirm":
            return SurvivorList(tuple(body.confirm.survivors))
        case "unmask":
            bodies = [pb.SignalBody.FromString(signal.body) for signal in body.unmask.confirmations]
            return Unmask(tuple(_confirmed(said, state) for said in bodies))
    return Close(body.close.outcome, body.close.reason)


def _confirmed(said: pb.SignalBody, state: Any) -> Confirmed:  # noqa: ANN401 - a state of a site
    return Confirmed(state.cohort.place(said.site), Confirm(said.confirm.transcript, tuple(said.confirm.survivors)))


def _setup(setup: pb.Setup) -> Order:
    match setup.WhichOneof("stage"):
        case "list":
            bodies = [pb.SignalBody.FromString(signal.body) for signal in setup.list.adverts]
            return SetupList(tuple(
                Advert(said.site, said.advert.x25519, said.advert.mlkem, said.advert.subjects) for said in bodies
            ))  # fmt: skip
        case "ciphertexts":
            return SetupCiphertexts(tuple(setup.ciphertexts.ciphertexts))
    return SetupBoxes(tuple(setup.boxes.boxes), tuple(setup.boxes.expected))


async def _drained(up: asyncio.Queue[bytes | None]) -> AsyncIterator[pb.SiteSignal]:
    while (raw := await up.get()) is not None:
        yield pb.SiteSignal.FromString(raw)


async def _pieces(data: bytes) -> AsyncIterator[pb.Piece]:
    digest = sha256(data).digest()
    for at in range(0, len(data), PIECE):
        yield pb.Piece(object=digest, offset=at, data=data[at : at + PIECE], size=len(data))
