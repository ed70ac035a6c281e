"""What the outcomes of one task say, as text: rows, differences, deciles or clients, the gate, the leak test."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from didymos_learning import Interval, bootstrap

Client: TypeAlias = Mapping[str, Any]
SEED: Final = bytes(32)
HARM: Final = 1.01  # an accepted model that is more than 1 % worse than the global one
ROWS: Final = ("floor", "own only", "global", "central", "best candidate", "gated")
CHANCE: Final = 0.97  # of the floor's error: shuffled labels may not do better


def printed(name: str, what: str, floor: str, clients: Sequence[Client]) -> str:
    """The table of one task; means over clients, 95 % percentile bootstrap over clients."""
    lines = [f"\n{name}: {what}; {len(clients)} clients, {sum(c['windows'] for c in clients):,} windows tested"]
    lines += [f"  {_named(row, floor):28} {_over(clients, _error(row))}" + _f1(clients, row) for row in ROWS]
    for better, worse in (
        ("global", "floor"),
        ("gated", "own only"),
        ("best candidate", "global"),
        ("gated", "global"),
    ):
        gain = _over(clients, lambda c, a=worse, b=better: c["errors"][a] - c["errors"][b])  # type: ignore[misc]
        lines.append(f"  {_named(worse, floor)} - {better:14} {gain}")
    lines += [_gate(clients), _leak(clients)]
    return "\n".join([*lines, *_groups(clients)])


def _named(row: str, floor: str) -> str:
    return floor if row == "floor" else row


def _error(row: str) -> Callable[[Client], float]:
    return lambda client: float(client["errors"][row])


def _over(clients: Sequence[Client], of: Callable[[Client], float]) -> Interval:
    return bootstrap([of(client) for client in clients], SEED)


def harmed(client: Client) -> bool:
    errors = client["errors"]
    return bool(client["verdict"] == "accepted" and errors["gated"] > HARM * errors["global"])


def _gate(clients: Sequence[Client]) -> str:
    accepted = [client for client in clients if client["verdict"] == "accepted"]
    short = sum(client["verdict"] == "insufficient" for client in clients)
    worse = [client["subject"] for client in accepted if harmed(client)]
    tuned = sum(client["errors"]["best candidate"] > HARM * client["errors"]["global"] for client in clients)
    return (
        f"  gate: accepted {len(accepted)} of {len(clients)}, insufficient {short}, harmed {len(worse)} {worse}; "
        f"without the gate {tuned} would be"
    )


def _leak(clients: Sequence[Client]) -> str:
    leak, floor = (float(np.mean([c["errors"][row] for c in clients])) for row in ("leak", "floor"))
    verdict = "at chance" if leak >= CHANCE * floor else "BETTER THAN CHANCE"
    return f"  leak test: trained on shuffled labels {leak:.2f}, floor {floor:.2f}: {verdict}"


def _f1(clients: Sequence[Client], row: str) -> str:
    """Of classes, the mean over classes of F1 of all windows together."""
    if row not in clients[0]["confusion"]:
        return ""
    counts = np.sum([client["confusion"][row] for client in clients], axis=0)
    hit, asked, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return f"   macro F1 {float(np.mean(2 * hit / np.maximum(asked + said, 1))):.3f}"


def _groups(clients: Sequence[Client]) -> list[str]:
    """Ten groups by the global model's error on gate data, the best first; each client under 20."""
    ordered = sorted(clients, key=lambda client: float(client["gate"]))
    lines = ["  " + " ".join(f"{row[:9]:>9}" for row in ("client" if len(ordered) < 20 else "decile", "n", *ROWS))]
    lines[0] += "   global - gated, 95 %; accepted, harmed"
    if len(ordered) < 20:
        groups = [(client["subject"][:9], [client], list(client["gain"])) for client in ordered]
    else:
        parts = np.array_split(np.arange(len(ordered)), 10)
        tens = [[ordered[at] for at in part] for part in parts]
        groups = [(str(at), ten, [_gain(c) for c in ten]) for at, ten in enumerate(tens, start=1)]
    for name, group, gains in groups:
        means = [float(np.mean([c["errors"][row] for c in group])) for row in ROWS]
        accepted = sum(c["verdict"] == "accepted" for c in group)
        change = f"{bootstrap(gains, SEED)}; {accepted}, {sum(map(harmed, group))}"
        lines.append(
            "  " + " ".join([f"{name:>9}", f"{len(group):>9}", *(f"{m:9.2f}" for m in means)]) + f"   {change}"
        )
    worst = max(
        np.mean([c["errors"]["gated"] for c in g]) / np.mean([c["errors"]["global"] for c in g]) for _, g, _ in groups
    )
    return [*lines, f"  worst group, gated against global: {100 * (worst - 1):+.2f} %"]


def _gain(client: Client) -> float:
    return float(client["errors"]["global"] - client["errors"]["gated"])
