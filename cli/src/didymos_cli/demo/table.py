"""The figures for people: one honest table, and where the rest is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from didymos_cli.report import Person


def show(said: Mapping[str, Any], people: Sequence[Person], report: Path) -> None:
    console, table = Console(), Table(title="RMSE of the 30-minute forecast on held-out time, mg/dL")
    for name in ("person", "site", "last value", "own data only", "global", "gated personal", "serves", "paid, EUR"):
        table.add_column(name, justify="left" if name in ("person", "site", "serves") else "right")
    for one in people:
        errors = [f"{error:.2f}" for error in (one.last_value, one.own, one.global_, one.personal)]
        table.add_row(
            one.name, one.site, *errors, "personal" if one.accepted else "global", f"{one.payout_minor / 100:.2f}"
        )
    table.add_section()
    table.add_row("mean", "", *(f"{said['rmse'][name]:.2f}" for name in said["rmse"]), "", "")
    console.print(table)
    for gap in said["differences"]:
        console.print(f"{gap['ours']} minus {gap['other']}: {gap['mean']:+.2f} [{gap['low']:+.2f}, {gap['high']:+.2f}]")
    readings = said["readings"]
    console.print(
        f"readings: {readings['sent']:,} sent, {readings['applied']:,} applied, {readings['refused']:,} refused"
    )
    console.print(f"proofs: {said['proofs']}", f"refused: {said['refused']}", sep="\n")
    console.print(f"{said['seconds']:.0f} s, {said['peak_rss_mb']:,} MB; pictures: {report}")
