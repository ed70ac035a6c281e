"""The card of a house: where it is reached and who it is, in a file that `didymos up` writes and clients read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_did import Did, DidError, parse_did

if TYPE_CHECKING:
    from didymos_kit.house import House

SERVICES: Final = (
    "identity", "ingestion", "twin-state", "training-orchestration", "marketplace", "ledger", "steward",
)  # fmt: skip
DEFAULT: Final = Path(".didymos/house.json")


@dataclass(frozen=True, slots=True)
class Card:
    """`org`: who operates the house, the audience of batches; `services`: the DID of each; `grpc`: host:port."""

    origin: str
    grpc: str
    org: Did
    services: Mapping[str, Did]


def card_of(house: "House") -> Card:
    return Card(house.origin, house.where.rpc, house.org, {name: house.keys.did(name) for name in SERVICES})


def write_card(path: Path, card: Card) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(asdict(card), indent=2) + "\n")
    partial.replace(path)


def read_card(path: Path) -> Card:
    """Raises PLATFORM_INVALID_SETTING with the file at fault."""
    try:
        said = json.loads(path.read_text())
        services = {str(name): parse_did(did) for name, did in said["services"].items()}
        return Card(str(said["origin"]).rstrip("/"), str(said["grpc"]), parse_did(said["org"]), services)
    except OSError as error:
        raise PLATFORM_INVALID_SETTING.problem(
            name=str(path), detail=f"{error.strerror}; is `didymos up` running?"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, DidError):
        raise PLATFORM_INVALID_SETTING.problem(name=str(path), detail="this file is no card of a house") from None
