"""The demo from begin to end: each line of `_played` is one step of the main job."""

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from didymos_kit import log
from didymos_kit.house_settings import HouseSettings
from didymos_kit.settings import load

from didymos_cli.card import read_card
from didymos_cli.demo import aftermath, memory, outcome, proofs, purchase, refusals, stage
from didymos_cli.demo.cast import Cast, make_cast
from didymos_cli.demo.live import live_on
from didymos_cli.demo.onboarding import Grants, onboard, training_terms
from didymos_cli.demo.readings import Devices, count_applied, send_past, total
from didymos_cli.demo.sites import running_sites, write_site
from didymos_cli.demo.training import spec_of, train
from didymos_cli.report import render, standalone

DATA: Final = Path(__file__).resolve().parents[4] / "data" / "glucose"
VALIDATION: Final = "validation.csv.gz"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo is played: in this process, on servers, or in the house whose card `running` is."""

    folder: Path
    servers: bool = False
    running: Path | None = None

    def opened(
        self, cast: Cast, validation: Path, say: Callable[[str], None]
    ) -> AbstractAsyncContextManager[stage.Stage]:
        if self.running is None:
            return stage.opened(cast, self.folder, validation, say, servers=self.servers)
        return stage.elsewhere(cast, self.folder, read_card(self.running), say)


def run(place: Place, data: Path, seed: int, people: int | None, *, as_json: bool) -> int:
    """Play it all; print the figures; the exit code: 0 if every proof holds and every refusal came.

    A house that runs already is operated by the hospital of the demo: DIDYMOS_SECRET is the secret of both.
    """
    folder = place.folder
    for name in ("house", "sites", "proofs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    cast = make_cast(seed, data / "readings.csv.gz", people)
    if place.running is not None:
        cast = replace(cast, house=load(HouseSettings).keyring())
    with ExitStack() as stack:
        log.configure(stream=stack.enter_context((folder / "house.log").open("w")))
        told = asyncio.run(_until_told(_played(cast, place, data / VALIDATION, _progress())))
    lines = outcome.people_of(told)
    gaps = outcome.differences(lines, cast.secret("bootstrap"))
    said = outcome.figures(told, lines, gaps)
    report = folder / "report.html"
    report.write_text(render(outcome.report_of(told, lines, gaps)), encoding="utf-8")
    (folder / "forecast.svg").write_text(standalone(told.lived.curve), encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        from didymos_cli.demo.table import show

        show(said, lines, report)
    return 0 if _holds(told.proofs, told.refused) else 1


def _holds(proved: Mapping[str, str], refused: Mapping[str, str]) -> bool:
    return all(said == "valid" for said in proved.values()) and refused["changed_byte"] in ("invalid", "unreadable")


def _progress() -> Callable[[str], None]:
    begun = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.1f} s  {line}\n")
        sys.stderr.flush()

    return say


async def _until_told(work: Coroutine[Any, Any, outcome.Told]) -> outcome.Told:
    """What `work` gives. A SIGTERM cancels it, so that sites and house end with it; then it raises SystemExit."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        sys.stderr.write("ended by a signal; sites and house ended with it\n")
        raise SystemExit(128 + signal.SIGTERM) from None


async def _played(cast: Cast, place: Place, validation: Path, say: Callable[[str], None]) -> outcome.Told:
    begun, spec = time.monotonic(), spec_of(cast, validation)
    terms = training_terms(spec.rounds, len(cast.people))
    async with memory.watched() as peak:
        async with place.opened(cast, validation, say) as house:
            say(f"the house answers at {house.card.origin}")
            grants = await onboard(house, terms)
            devices = Devices.of(house)
            async with running_sites(_site_folders(house, grants), house.card, house.card.org) as check:
                past = await send_past(devices)
                bought = await purchase.buy(house, terms, spec.rounds)
                ran = await train(house, bought, spec, check)
            settlement = await proofs.settled(house, bought)
            lived = await live_on(house, devices, grants, ran)
            applied = await count_applied(house)
            say(f"{applied:,} readings lie in the histories of {len(cast.people)} twins, each once")
            bundles = await proofs.save_bundles(house, grants, ran, bought, settlement)
            await aftermath.save_run_page(house, ran)
            own_rounds = await aftermath.save_erasure_report(house)
            refused = {
                "revoked_grant": await refusals.read_after_revocation(house, grants),
                "replayed_request": await refusals.replayed_request(house),
            }
        say("proofs are verified by a process of its own that reaches no house")
        proved = {**await proofs.verify_offline(bundles), "own_rounds": own_rounds}
        refused = {"changed_byte": await proofs.verify_changed(bundles), **refused}
    told: dict[str, Any] = {"seconds": time.monotonic() - begun, "peak_mb": peak.mb}
    return outcome.Told(
        cast, grants, total([past, lived.sent]), applied, ran, settlement, lived, proved, refused, **told
    )


def _site_folders(house: stage.Stage, grants: Mapping[str, Grants]) -> list[Path]:
    """A folder a site, with the data and the grants of its people."""
    given = {twin: signed.train for twin, signed in grants.items()}
    folders = []
    for site in house.cast.sites:
        folder = house.folder / "sites" / site.name
        write_site(folder, site, house.cast.house.organisation, given)
        folders.append(folder)
    return folders


__all__ = ["DATA", "Place", "run"]
