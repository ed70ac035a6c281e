"""The one place that builds adapters of a site."""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_did import Did, DidError, parse_did
from didymos_kit.clock import Clock, SystemClock
from didymos_kit.ids import OrderedIds
from didymos_kit.rpc import Peer, Target
from didymos_kit.rpc.tokens import ExchangedTokens
from didymos_privacy import derived

from didymos_site.adapters.consent import WatchedConsent
from didymos_site.adapters.folder import STORE, Folder
from didymos_site.adapters.learner import FolderLearner
from didymos_site.adapters.objects import PeerObjects
from didymos_site.adapters.protobuf import Trust
from didymos_site.adapters.store import SqliteStore
from didymos_site.adapters.voice import SignedVoice
from didymos_site.application.ports import Ports
from didymos_site.application.show_site import budget, refusals, status
from didymos_site.domain.hours import Hours, Limits
from didymos_site.entrypoints.attend import Patience, Site
from didymos_site.settings import SiteSettings


@asynccontextmanager
async def bootstrap(settings: SiteSettings, clock: Clock | None = None) -> AsyncIterator[Site]:
    """Raises PLATFORM_INVALID_SETTING, PLATFORM_FOLDER_LOCKED, TRAINING_SITE_NOT_ENROLLED."""
    clock = clock or SystemClock()
    ids, folder = OrderedIds(clock), Folder(settings.folder)
    trust = Trust(
        _did(settings.coordinator_did, "COORDINATOR_DID"),
        frozenset(_did(name, "ORGANISATIONS") for name in settings.organisations),
        clock.now,
    )
    limits = _limits(settings)
    signer, subjects = folder.signer(), folder.subjects()
    voice = SignedVoice(signer, folder.enrolment())
    consent = WatchedConsent(subjects, folder.grants, clock)
    where = Target(settings.identity or settings.coordinator, settings.origin, "identity")
    target = Target(settings.coordinator, settings.origin, "training-orchestration")
    patience = Patience(settings.first_pause_seconds, settings.most_pause_seconds, settings.beat_seconds)
    with folder.held(), ExitStack() as opened:
        store, learner = SqliteStore(settings.folder / STORE), FolderLearner(settings.folder, settings.cpu_share)
        opened.callback(store.shut)
        opened.callback(learner.shut)
        async with Peer(where, clock, ids) as exchange:
            tokens = ExchangedTokens(signer, exchange, settings.origin, clock, ids)
            async with Peer(where, clock, ids, tokens) as identity, Peer(target, clock, ids, tokens) as coordinator:
                secret = derived(folder.secret(), "didymos/site-secret/v1")
                objects = PeerObjects(coordinator, signer.did)
                ports = Ports(store, objects, learner, consent, voice, clock, subjects, secret, limits)
                yield Site(coordinator, identity, consent, voice, ports, trust, patience)


def _did(text: str, name: str) -> Did:
    try:
        return parse_did(text)
    except DidError as error:
        full = f"{SiteSettings.env_prefix}{name}"
        raise PLATFORM_INVALID_SETTING.problem(name=full, detail=f"a DID is pinned here: {error.detail}") from error


def _limits(settings: SiteSettings) -> Limits:
    prefix = SiteSettings.env_prefix
    try:
        hours = Hours.parse(settings.hours)
    except ValueError as error:
        raise PLATFORM_INVALID_SETTING.problem(name=f"{prefix}HOURS", detail=str(error)) from error
    try:
        zone = ZoneInfo(settings.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise PLATFORM_INVALID_SETTING.problem(name=f"{prefix}ZONE", detail="a zone like Europe/Berlin") from error
    return Limits(hours, settings.rounds_a_day, zone)


async def run(settings: SiteSettings) -> None:
    """A site until it is cancelled."""
    async with bootstrap(settings) as site:
        await site.run()


def enrol(settings: SiteSettings) -> str:
    """Makes the key of the site if there is none; the DID for which the organisation signs the enrolment."""
    return str(Folder(settings.folder).signer().did)


def show(command: str, settings: SiteSettings) -> str:
    """What `status`, `budget` and `log` print: JSON. Raises PLATFORM_INVALID_SETTING, TRAINING_SITE_NOT_ENROLLED."""
    folder = Folder(settings.folder)
    folder.subjects()  # a folder that is none is told before a store is made in it
    store = SqliteStore(settings.folder / STORE)
    try:
        said: object
        match command:
            case "budget":
                said = budget(folder, store)
            case "log":
                said = refusals(store)
            case _:
                said = status(folder.signer().did, folder, store)
    finally:
        store.shut()
    return json.dumps(said, indent=1)
