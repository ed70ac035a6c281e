"""Every event of the catalogue as its protobuf class: what stands in `ce_type` and what the bytes parse to."""

from importlib import import_module
from typing import Final

from google.protobuf.message import Message
from google.protobuf.symbol_database import Default

from didymos_contracts.topics import TOPICS

for _area in ("identity", "ingestion", "twin", "training", "market", "ledger"):
    import_module(f"didymos.{_area}.v1.{_area}_events_pb2")


def message_class(full_name: str) -> type[Message]:
    """The class of `didymos.<area>.v1.<Event>`. Raises KeyError for an unknown name."""
    found: type[Message] = Default().GetSymbol(full_name)
    return found


EVENTS: Final[dict[str, type[Message]]] = {name: message_class(name) for row in TOPICS for name in row.events}
"""Full message name to class, for every event that a topic may carry."""
