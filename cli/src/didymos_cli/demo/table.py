"""The figures for people: one honest table, and where the rest is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from didymos_cli.report import Person

COLUMNS: Final = ("person", "site", "last value", "own", "global", "personal", "serves", "EUR")
WORDS: Final = frozenset({"person", "site", "serves"})


def show(said: Mapping[str, Any], people: Sequence[Person], report: Path) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(said, people))
    for gap in said["differences"]:
        name = f"{gap['ours']} minus {gap['other'].replace('_', ' ')}"
        console.print(f"  {name:26} {gap['mean']:+.2f}  [{gap['low']:+.2f}, {gap['high']:+.2f}]")
    readings, money = said["readings"], said["money"]
    counted = ", ".join(f"{count:,} {name}" for name, count in readings.items())
    console.print(f"  readings         {counted}")
    console.print(f"  money            {money['funded'] / 100:,.2f} EUR held, fee {money['fee'] / 100:,.2f}")
    console.print(f"  proved offline   {_pairs(said['proofs'])}")
    console.print(f"  refused          {_pairs(said['refused'])}")
    console.print(f"  {said['seconds']:.0f} s, {said['peak_rss_mb']:,} MB; pictures in {report}")


def _table(said: Mapping[str, Any], people: Sequence[Person]) -> Table:
    table = Table(
        title="30-minute forecast, RMSE in mg/dL on held-out time",
        box=SIMPLE,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in WORDS else "right", no_wrap=True)
    for one in people:
        errors = [f"{error:.2f}" for error in (one.last_value, one.own, one.global_, one.personal)]
        serves = "personal" if one.accepted else "global"
        table.add_row(one.name, one.site, *errors, serves, f"{one.payout_minor / 100:.2f}")
    table.add_section()
    table.add_row("mean", "", *(f"{said['rmse'][name]:.2f}" for name in said["rmse"]), "", "")
    return table


def _pairs(said: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {verdict}" for name, verdict in said.items())
