"""charts/didymos/files/topics.yaml from the catalogue, with who reads what; `make chart-generate` writes it.

Owners come from the catalogue. Readers come from the code: a service reads each topic whose row it imports and that
belongs to another, or that it names in a group of its own; what kit's house tails is read by every process.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from didymos_contracts import topics
from didymos_contracts.topics import CONSENT, HEARTBEAT, IDENTITY, TOPICS, TopicRow
from didymos_kit.eventlog.kafka import settings_of

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "charts/didymos/files/topics.yaml"
TAILED: Final = frozenset({IDENTITY.name, CONSENT.name, HEARTBEAT.name})  # libs/kit house.py
HEAD: Final = "# From the topic catalogue by tools/chart_topics.py. `*` stands for every service.\n"
TEMPLATE: Final = "template-service"
MODULE: Final = "didymos_contracts.topics"


def rows_by_constant() -> dict[str, TopicRow]:
    return {name: row for name, row in vars(topics).items() if isinstance(row, TopicRow)}


def imported(path: Path) -> Iterator[str]:
    """Names that a module takes from the catalogue."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == MODULE:
            yield from (alias.name for alias in node.names)


def readers(root: Path = ROOT) -> dict[str, list[str]]:
    """Topic to the services that read it."""
    rows, found = rows_by_constant(), {str(row.name): set[str]() for row in TOPICS}
    for service in sorted((root / "services").iterdir()):
        if service.name == TEMPLATE or not (service / "src").is_dir():
            continue
        for path in sorted((service / "src").rglob("*.py")):
            consumes = path.parent.name == "entrypoints"  # an owner reads its own topic there
            for row in (rows[name] for name in imported(path) if name in rows):
                if row.owner != service.name or consumes:
                    found[row.name].add(service.name)
    return {name: ["*"] if name in TAILED else sorted(names) for name, names in found.items()}


def document() -> dict[str, Any]:
    read_by = readers()
    return {
        "topics": [
            {
                "name": str(row.name),
                "owner": "*" if row.owner == "any" else row.owner,
                "readers": read_by[row.name],
                "partitions": row.partitions,
                "settings": {k: v for k, v in settings_of(row, 1).items() if k != "min.insync.replicas"},
            }
            for row in TOPICS
        ]
    }


def text() -> str:
    return HEAD + yaml.safe_dump(document(), sort_keys=False, width=120)
