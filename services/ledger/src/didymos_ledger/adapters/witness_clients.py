"""`WitnessClient`: a witness in this process, or one by its URL."""

from collections.abc import Mapping, Sequence
from typing import Final

import httpx
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_provenance import NoteKey, NoteSigner

from didymos_ledger.adapters.log_writer import Clock
from didymos_ledger.adapters.witness_db import WitnessDb
from didymos_ledger.application.ports import WitnessAnswer
from didymos_ledger.application.witness import MAX_REQUEST_BYTES, add_checkpoint

ANSWER_BYTES: Final = MAX_REQUEST_BYTES


class Witness:
    """A witness with its key and its state. Also what `POST /witness/add-checkpoint` asks."""

    def __init__(
        self, signer: NoteSigner, logs: Mapping[str, Sequence[NoteKey]], states: WitnessDb, clock: Clock
    ) -> None:
        self._signer, self._logs, self._clock = signer, logs, clock
        self.states = states

    @property
    def name(self) -> str:
        return self._signer.key.name

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        return await add_checkpoint(request, self._logs, self._signer, self.states, self._clock())


class HttpWitness:
    """C2SP tlog-witness at `url`. The deadline is the caller's."""

    def __init__(self, name: str, url: str, client: httpx.AsyncClient) -> None:
        self._name, self._url, self._client = name, url.rstrip("/"), client

    @property
    def name(self) -> str:
        return self._name

    async def add_checkpoint(self, request: bytes) -> WitnessAnswer:
        try:
            answer = await self._client.post(f"{self._url}/add-checkpoint", content=request)
        except httpx.HTTPError as error:
            raise PLATFORM_UNAVAILABLE.problem(dependency="witness", witness=self._name) from error
        return WitnessAnswer(answer.status_code, answer.content[:ANSWER_BYTES])
