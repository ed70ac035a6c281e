"""A buyer's view of training: make a run, follow it, read what came of it, fetch its models."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, TypeVar

from didymos_cli.client import Client as Calls
from didymos_cli.client import Seen, http_client
from didymos_contracts.errors.training import TRAINING_DIGEST_MISMATCHED
from didymos_did import ProofKey, Purpose, Signer
from didymos_learning import Flat, Layout, RunSpec

from didymos_client.stream import changes

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")
ROOT: Final = "/training-orchestration/v1"
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class Client:
    """Calls the house at `origin` as `signer`. Use it in one thread at a time, and `close` it, or as a context.

    Its network runs in a thread of its own, so that it also works where an event loop already runs, as in notebooks.
    Every refusal is a `didymos_contracts.errors.Problem`; ConnectionError when nobody listens.
    """

    def __init__(self, origin: str, signer: Signer) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="didymos-client", daemon=True)
        self._thread.start()
        self._http = http_client()
        self._calls = Calls(origin.rstrip("/"), signer, self._http, Seen(), ProofKey(token_bytes(32)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections and the thread; a second time does nothing."""
        if self._thread.is_alive():
            self._done(self._http.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def create_run(
        self, spec: RunSpec, agreement: str = "", *, purpose: Purpose | None = None,
        clients: Literal["sites", "simulated"] = "sites",
    ) -> "Run":  # fmt: skip
        """A draft under a final agreement of which the caller is the buyer; `simulated` clients need none."""
        body = {
            "agreement": agreement,
            "spec": json.loads(spec.to_json()),
            "clients": clients,
            "purpose": str(purpose or ""),
        }
        return Run(self, str(self.post("/runs", body)["run"]))

    def run(self, name: str) -> "Run":
        return Run(self, name)

    def runs(self) -> "list[Run]":
        """The caller's newest runs, at most 50."""
        return [Run(self, str(each["run"])) for each in self.get("/runs")["runs"]]

    def strategies(self) -> list[Json]:
        found: list[Json] = self.get("/strategies")["strategies"]
        return found

    def get(self, path: str, **params: str | int) -> Json:
        """What `path` of training-orchestration answers."""
        found: Json = self._done(self._calls.call("GET", ROOT + path, params=params)).json()
        return found

    def post(self, path: str, body: object = None) -> Json:
        found: Json = self._done(self._calls.post(ROOT + path, body))
        return found

    def fetch(self, path: str, **params: str) -> bytes:
        return self._done(self._calls.call("GET", ROOT + path, params=params)).content

    def stream(self, path: str) -> Iterator[Json]:
        """The events of `path`, as they come, until the server says that there will be no more."""
        events = changes(self._calls, ROOT + path)
        try:
            while (event := self._done(_next(events))) is not None:
                yield event
        finally:
            with suppress(RuntimeError):
                self._done(_closed(events))

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _next(events: AsyncIterator[Json]) -> Json | None:
    return await anext(events, None)


async def _closed(events: AsyncIterator[Json]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the caller, by name. Each call asks the house anew."""

    client: Client
    name: str

    def show(self) -> Json:
        return self.client.get(f"/runs/{self.name}")

    def start(self) -> Json:
        return self.client.post(f"/runs/{self.name}/start")

    def pause(self) -> Json:
        return self.client.post(f"/runs/{self.name}/pause")

    def resume(self) -> Json:
        return self.client.post(f"/runs/{self.name}/resume")

    def cancel(self) -> Json:
        return self.client.post(f"/runs/{self.name}/cancel")

    def follow(self) -> Iterator[Json]:
        """Each change of the run, the present state first, until it ended."""
        for shown in self.client.stream(f"/runs/{self.name}/events"):
            yield shown
            if shown.get("state") in ENDED:
                return

    def wait(self) -> Json:
        """The run once it ended."""
        shown: Json = {}
        for shown in self.follow():  # noqa: B007 - the last one counts
            pass
        return shown or self.show()

    def rounds(self) -> list[Json]:
        found: list[Json] = self.client.get(f"/runs/{self.name}/rounds")["rounds"]
        return found

    def evaluation(self) -> Json:
        """Errors of each subject's models, as sites reported them; `together`: those that all told under masks."""
        return self.client.get(f"/runs/{self.name}/evaluation")

    def models(self) -> "list[Model]":
        found = self.client.get("/models", run=self.name)["models"]
        return [Model(self.client, str(each["model"]), each) for each in found]


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model; `shown` as the registry lists it."""

    client: Client
    name: str
    shown: Json

    def card(self) -> Json:
        return self.client.get(f"/models/{self.name}/card")

    def lineage(self) -> Json:
        return self.client.get(f"/models/{self.name}/lineage")

    def export(self, form: Literal["safetensors", "onnx"] = "safetensors") -> bytes:
        """Its parameters, one tensor per slot of its layout; or a graph that any ONNX runtime executes.

        Raises the Problem `training.export_unsupported`, with the reason, for a model that cannot be had so.
        """
        return self.client.fetch(f"/models/{self.name}/export", format=form)

    def params(self, layout: Layout) -> Flat:
        """Its parameters (d,), checked against the digest of the registry. Raises TRAINING_DIGEST_MISMATCHED."""
        from didymos_learning.export import from_safetensors
        from didymos_learning.vector import flat_bytes

        found = from_safetensors(self.export(), layout)
        if sha256(flat_bytes(found)).hexdigest() != self.shown["params_digest"]:
            raise TRAINING_DIGEST_MISMATCHED.problem(object=self.shown["params_digest"])
        return found
