"""The organisations a verifier knows: who may sign for one, and which logs are its. The second trust file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from didymos_did.errors import DidError
from didymos_did.keys import Did, parse_did

from didymos_provenance.errors import ProvenanceError
from didymos_provenance.strict import Json, canonical, parse_strict

TYPE: Final = "didymos-orgs/1"
_INVALID: Final = "ledger.policy_invalid"


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation: its DID signs its records, `origins` are the logs it keeps, `name` is for people."""

    did: Did
    name: str
    origins: tuple[str, ...]


def parse_orgs(raw: bytes) -> Mapping[Did, Organisation]:
    """`{"type":"didymos-orgs/1","orgs":[{"did","name","origins":[..]}]}`. Raises `ledger.policy_invalid`."""
    match parse_strict(raw, _INVALID):
        case {"type": "didymos-orgs/1", "orgs": list(rows), **others} if not others:
            found = [_parse_row(row) for row in rows]
        case _:
            raise ProvenanceError(_INVALID, at="orgs")
    origins = [origin for one in found for origin in one.origins]
    if len({one.did for one in found}) != len(found) or len(set(origins)) != len(origins):
        raise ProvenanceError(_INVALID, at="orgs", why="a DID or a log stands twice")
    return {one.did: one for one in found}


def write_orgs(orgs: Mapping[Did, Organisation]) -> bytes:
    """The file for `parse_orgs`."""
    rows: list[Json] = [{"did": str(one.did), "name": one.name, "origins": list(one.origins)} for one in orgs.values()]
    return canonical({"type": TYPE, "orgs": rows}, _INVALID) + b"\n"


def _parse_row(said: Json) -> Organisation:
    match said:
        case {"did": str(did), "name": str(name), "origins": list(origins), **others} if not others:
            logs = [origin for origin in origins if isinstance(origin, str)]
            if len(logs) == len(origins):
                return Organisation(_did(did), name, tuple(logs))
    raise ProvenanceError(_INVALID, at="orgs")


def _did(text: str) -> Did:
    try:
        return parse_did(text)
    except DidError as error:
        raise ProvenanceError(_INVALID, at="orgs", did=text[:80], why=error.detail) from error
