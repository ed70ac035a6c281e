"""What an owner may know and end: what training made of the twin, with proofs of the log; and the erasure itself."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_did import TwinId, sign_erasure
from didymos_provenance import (
    TILE_WIDTH,
    Bundle,
    ProvenanceError,
    TlogProof,
    b64url,
    decode_entries,
    leaf_hash,
    open_checkpoint,
    parse_entry,
    parse_policy,
    parse_proof,
    place_path,
    require_quorum,
    tile_width,
)

from didymos_cli.client import Client, problem_in
from didymos_cli.owner import signed_body
from didymos_cli.owner_steps import Desk, Step

LEDGER: Final = "/ledger"
TRAINING: Final = "/training-orchestration/v1"


@dataclass(frozen=True, slots=True)
class Public:
    """What anybody may read of a house."""

    http: httpx.AsyncClient
    origin: str

    async def read(self, path: str) -> bytes:
        answer = await self.http.get(self.origin + path)
        if answer.status_code != 200:
            raise problem_in(answer)
        return answer.content


def report(proofs: Path | None) -> Step:
    """Which runs, rounds and models used the twin. With `proofs`: each round that did, as the log has it, checked."""

    async def step(desk: Desk) -> object:
        return await tell(desk.client, Public(desk.http, desk.card.origin), desk.twin, proofs)

    return step


async def tell(client: Client, public: Public, twin: TwinId, proofs: Path | None) -> dict[str, Any]:
    """The report that the owner `client` may read; each use says under `proved` what the log says of its round."""
    said: dict[str, Any] = await client.get(f"{TRAINING}/twins/{twin}/erasure-report")
    if proofs is not None:
        policy = await public.read(f"{LEDGER}/v1/policy")
        _keep(proofs / "policy.txt", policy)
        for run in said["runs"]:
            for use in run["rounds"]:
                if use["event"] is not None:
                    use["proved"] = await proved(public, use, policy, proofs / f"{run['run']}-{use['round']}.proof")
    return said


async def proved(public: Public, use: dict[str, Any], policy: bytes, path: Path) -> str:
    """`logged at <time>`, once the entry of the round is found under a checkpoint that log and witnesses of the policy
    signed; else why it is not proved. The proof is kept, with the entry in front of it.
    """
    try:
        proof = parse_proof((await public.read(f"{LEDGER}/v1/proofs/{use['event']}")).decode())
        entry = await _entry(public, proof, policy)
    except Problem as problem:
        return f"not proved: {problem.row.code}"
    except ProvenanceError as error:
        return f"not proved: {error.code}"
    found = parse_entry(entry)
    facts = dict(found.facts)
    if found.kind == "round.closed" and facts.get("params") != b64url(bytes.fromhex(use["params_digest"])):
        return "not proved: the log has other parameters for this round"
    _keep(path, entry + b"\n" + proof.encode().encode())
    return f"logged at {datetime.fromtimestamp(found.at, UTC).isoformat()}, entry {proof.index}"


async def _entry(public: Public, proof: TlogProof, policy: bytes) -> bytes:
    """The entry that the proof is of. Raises ProvenanceError unless it is under the checkpoint, and that is trusted."""
    trusted = parse_policy(policy)
    opened = open_checkpoint(proof.note, trusted)
    require_quorum(opened, trusted)
    number, within = divmod(proof.index, TILE_WIDTH)
    bundle = Bundle(number, tile_width(0, number, opened.checkpoint.size))
    entry = decode_entries(await public.read(f"{LEDGER}/log/0/{place_path(bundle)}"))[within]
    proof.verify(leaf_hash(entry), opened.checkpoint)
    return entry


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def erase(twin: str) -> Step:
    """Destroy the keys of the wallet's twin, which must be named: nobody can undo it."""

    async def step(desk: Desk) -> object:
        if twin != desk.twin:
            raise PLATFORM_INVALID_FIELD.problem(pointer="--twin", detail=f"the twin of this wallet is {desk.twin}")
        signed = sign_erasure(desk.twin, datetime.now(UTC).replace(microsecond=0), desk.client.signer)
        return await desk.client.post(f"/identity/v1/twins/{desk.twin}/erase", signed_body(signed))

    return step
