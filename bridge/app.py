"""The composition root: the one place where every object is made and joined to the others."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.api import forward, siblings
from bridge.api.auth import Keys, Tickets
from bridge.api.body import MOST_BYTES
from bridge.api.events import settle, tell
from bridge.api.faces.chirp_parties import APPS, App
from bridge.api.gateway import GATEWAY
from bridge.api.keys import (
    ASSETS,
    DATABASE,
    DIRECTORY,
    EVENTS,
    GUARD,
    HTTP,
    ICE_CONFIGURATION,
    KEYS,
    LINES,
    MANAGER,
    METRICS,
    PLAYBACKS,
    PORTS,
    RATE,
    RECORDINGS,
    SIBLINGS,
    SITE,
    SOUNDS,
    STREAMS,
    TICKETS,
    Site,
)
from bridge.api.middleware import IN_ORDER
from bridge.api.rate import RateLimit
from bridge.api.routes import ROUTES
from bridge.api.simulator import SIMULATOR
from bridge.api.whatsapp import WHATSAPP
from bridge.audio import opus
from bridge.audio.rung import Effort
from bridge.call.machine import CallLimits
from bridge.call.model import LegId, LineName
from bridge.call.notices import CallEvent
from bridge.errors import Unreachable
from bridge.legs.base import Leg
from bridge.legs.dial import DialOrder
from bridge.legs.simulator import SimulatedContact, parse_speech, refuse
from bridge.legs.webrtc import PeerFactory, WebRtcLeg
from bridge.media.archive import Archive
from bridge.media.assets import Assets
from bridge.media.decoders import Decoders
from bridge.media.sounds import Sounds
from bridge.metrics import Metrics
from bridge.net import database as storage
from bridge.net import secret
from bridge.net.database import Database
from bridge.net.directory import FOLDER
from bridge.net.gateway import engine as gateway_engine
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.net.secret import shared_secret
from bridge.net.siblings import Siblings
from bridge.net.turn import IceConfiguration, ice_configuration
from bridge.node.capacity import ManagerLimits
from bridge.node.clock import Clock
from bridge.node.cloud_lines import cloud_provider
from bridge.node.directory import Shared
from bridge.node.engine import Engine
from bridge.node.events import EventLog
from bridge.node.gateway import GatewayProvider
from bridge.node.load import Load
from bridge.node.manager import Manager
from bridge.node.playback import Playbacks
from bridge.node.providers import Providers
from bridge.node.recording import Recordings
from bridge.node.streams import Streams
from bridge.node.tasks import Tasks
from bridge.rtc import libopus
from bridge.rtc.dtls import Certificates
from bridge.rtc.ice import Limits
from bridge.rtc.peer import Peer, PeerConfig
from bridge.rtc.ports import PortPool
from bridge.settings import (
    DEMO_KEY,
    DEMO_LINE,
    DEMO_NUMBER,
    Settings,
    WhatsApp,
    is_loopback,
    networks,
    port_range,
)

log = logging.getLogger(__name__)

WEB_ROOT = Path(__file__).parent.parent / "web"
SPEECH = Path(__file__).parent / "legs" / "simulator_speech.wav"

LAG_PROBE_SECONDS = 0.1
PROBES_PER_PULSE = 10

DOCUMENTATION_ADDRESS = "192.0.2.1"
"""Never reached (RFC 5737); the kernel only says which of our addresses would be used."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of several nodes this one is."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """A built bridge: the web application, and what must be closed before and after it."""

    application: web.Application
    manager: Manager
    background: Tasks

    async def aclose(self) -> None:
        """End all calls and stop the background work; the HTTP side may still answer meanwhile."""
        await self.manager.aclose()
        await self.application[RECORDINGS].aclose()
        await self.background.aclose()

    async def let_go(self) -> None:
        """Let go of what is shared with other nodes; nothing may be asked of the bridge any more."""
        if (directory := self.application.get(DIRECTORY)) is not None:
            await directory.aclose()
        await self.application[DATABASE].aclose()


class SimulatorProvider:
    """Reaches numbers through the simulated contacts."""

    def __init__(self, lines: frozenset[LineName], *, speech: bytes, ring_seconds: float) -> None:
        self._lines = lines
        self._speech = speech
        self._ring_seconds = ring_seconds

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is the simulator."""
        return line in self._lines

    async def dial(self, line: LineName, number: str, leg_id: LegId, order: DialOrder) -> Leg:
        """Give a leg that rings the number (`node.manager.Dialer`).

        Raises:
            Unreachable: the number is no contact that can be reached.
        """
        if refuse(number) is not None:
            raise Unreachable(
                "the number cannot be reached; the simulator knows 15550100001 to 009"
            )
        return self._contact(number, leg_id, inbound=False)

    def ring(self, number: str, leg_id: LegId) -> Leg:
        """Give the leg of a contact that rings us."""
        return self._contact(number, leg_id, inbound=True)

    def _contact(self, number: str, leg_id: LegId, *, inbound: bool) -> Leg:
        return SimulatedContact(
            leg_id,
            number,
            inbound=inbound,
            ring_seconds=self._ring_seconds,
            speech=self._speech,
        )


def build(
    settings: Settings, *, patience: Limits | None = None, place: Place | None = None
) -> Bridge:
    """Make every object of a bridge; must be called within the running loop.

    Args:
        settings: what can be set.
        patience: how long ICE, DTLS and a silent peer are waited for; the default is the product's.
        place: which of several nodes this is; None for the only one.

    Raises:
        OpusMissing: there is no libopus.
    """
    lines = _lines(settings)
    metrics = Metrics(version=__version__)
    ports = PortPool(port_range(settings.rtc.ports))
    clock = Clock(asyncio.get_running_loop())
    simulator = SimulatorProvider(
        frozenset(_lines_of(settings, "simulator")) if settings.lines else frozenset(lines),
        speech=parse_speech(SPEECH.read_bytes()),
        ring_seconds=settings.simulator.ring_seconds,
    )
    providers = Providers([simulator])
    limits = settings.limits
    directory = _directory(settings, place) if place else None
    effort = Effort()
    load = Load(effort=effort, metrics=metrics, patience=limits.overload_seconds)
    database = Database(Path(settings.data.dir) / storage.FILE, observer=metrics)
    events = EventLog(
        database,
        node=place.index if place else 0,
        nodes=place.count if place else 1,
        observer=metrics.events,
    )
    listeners: list[Callable[[CallEvent], None]] = [events.publish]
    engine = Engine(
        database,
        providers,
        {LineName(name): line.numbers for name, line in settings.lines.items()},
        publish=partial(_tell_all, listeners),
        siblings=directory.siblings if directory else None,
    )
    peers = _peers(settings, ports, effort=effort, patience=patience or Limits())
    manager = Manager(
        dialer=engine,
        webrtc=lambda leg_id: WebRtcLeg(leg_id, peer=peers.browser, observer=metrics),
        clock=clock,
        metrics=metrics,
        limits=ManagerLimits(limits.calls, limits.calls_per_line, limits.kept_seconds),
        call_limits=CallLimits(limits.ring_seconds, limits.call_seconds, limits.alone_seconds),
        directory=directory,
        overloaded=lambda: load.refusing,
        publish=engine.happened,
    )
    engine.serve(manager)
    application = _application(directory, limits.requests_per_minute)
    application[DATABASE] = database
    application[LINES] = engine.lines
    application.on_startup.append(lambda app: app[LINES].reload())
    application[EVENTS] = events
    _reach_out(application, settings)
    application[MANAGER] = manager
    application[METRICS] = metrics
    _play(application, settings)
    application[RECORDINGS] = _recordings(application, settings)
    listeners.append(application[RECORDINGS].happened)
    application[PORTS] = ports
    application[SIMULATOR] = simulator
    application[TICKETS] = Tickets(shared_secret(Path(settings.data.dir) / secret.FILE))
    application[KEYS] = Keys(
        lines,
        same_origin_only=set() if settings.lines else {DEMO_KEY},
        rate=RateLimit(0 if directory else limits.requests_per_minute),
        tickets=application[TICKETS],
    )
    application[APPS] = _apps(settings)
    application[SITE] = Site(
        loopback=is_loopback(settings.http.host),
        cors_origins=frozenset(settings.http.cors_origins),
        web_root=WEB_ROOT,
    )
    configuration: Callable[[str], IceConfiguration] = partial(_ice_configuration, settings)
    application[ICE_CONFIGURATION] = configuration
    background = Tasks()
    application[GATEWAY] = gateways = _gateways(settings, application[HTTP])
    providers.add(gateways)
    _speak_to_meta(application, settings, providers, peers.whatsapp)
    gateways.start(manager, background, takes_rings=place is None or place.index == 0)
    if directory:
        _take_over(directory, manager)
        background.spawn(engine.lines.follow(), name="follow the lines")
    background.spawn(_pulse(manager, metrics, clock, load), name="pulse")
    tell(application, background, node=events.node, keeping=settings.events)
    return Bridge(application, manager, background)


def _reach_out(application: web.Application, settings: Settings) -> None:
    """Give the application its way to other servers."""
    allow = networks(settings.net.allow)
    application[GUARD] = Guard(allow=allow, require_tls=settings.net.require_tls)
    application[HTTP] = http = Http(application[GUARD])

    async def close(_: web.Application) -> None:
        await http.aclose()

    application.on_cleanup.append(close)


def _speak_to_meta(
    application: web.Application, settings: Settings, providers: Providers, peer: PeerFactory
) -> None:
    """Give the application the lines of Meta's Cloud API."""
    directory = application.get(DIRECTORY)
    metrics = application[METRICS]
    application[WHATSAPP] = cloud = cloud_provider(
        _lines_of(settings, "cloud"),
        http=application[HTTP],
        database=application[DATABASE],
        node=directory.node if directory else 0,
        peer=peer,
        observer=metrics,
        count=metrics.whatsapp.whatsapp_event,
    )
    providers.add(cloud)
    nodes = directory.siblings.count if directory else 1
    application.on_startup.append(lambda _: cloud.recover(nodes=nodes))

    async def close(_: web.Application) -> None:
        await cloud.aclose()

    application.on_shutdown.append(close)


def _play(application: web.Application, settings: Settings) -> None:
    """Give the application what it plays, and how."""
    data = Path(settings.data.dir)
    decoders = Decoders()
    application[SOUNDS] = Sounds(
        root=Path(settings.media.root) if settings.media.root else data / "files",
        spool=data / "spool",
        http=application[HTTP],
        urls=settings.media.urls,
    )
    application[ASSETS] = Assets(application[DATABASE], data / "assets", decoders)
    application[STREAMS] = Streams(
        application[MANAGER],
        http=application[HTTP],
        guard=application[GUARD],
        losses=application[METRICS].sockets,
    )
    application[PLAYBACKS] = Playbacks(application[MANAGER], decoders)

    async def close(_: web.Application) -> None:
        await decoders.aclose()

    application.on_cleanup.append(close)


def _recordings(application: web.Application, settings: Settings) -> Recordings:
    data = Path(settings.data.dir)
    lines, events = application[LINES], application[EVENTS]
    return Recordings(
        application[MANAGER],
        Archive(application[DATABASE], data, kept_days=settings.recording.kept_days),
        root=Path(settings.media.root) if settings.media.root else data / "files",
        publish=events.publish,
        automatic=lambda line: lines.config(line).record,
        node=events.node,
    )


def _tell_all(listeners: list[Callable[[CallEvent], None]], event: CallEvent) -> None:
    for listen in listeners:
        listen(event)


def default_address() -> str:
    """Give the address of the default route, else loopback; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((DOCUMENTATION_ADDRESS, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _directory(settings: Settings, place: Place) -> Shared:
    limits = settings.limits
    folder = Path(settings.data.dir) / FOLDER
    return Shared(
        folder,
        Siblings(folder, own=place.index, count=place.count),
        calls=limits.calls,
        calls_per_line=limits.calls_per_line,
        kept_seconds=limits.kept_seconds,
    )


def _application(directory: Shared | None, requests_per_minute: int) -> web.Application:
    if directory is None:
        alone = web.Application(middlewares=(*IN_ORDER, settle), client_max_size=MOST_BYTES)
        alone.add_routes(ROUTES)
        return alone
    application = web.Application(
        middlewares=(*IN_ORDER, settle, forward.spend, forward.pass_on),
        client_max_size=MOST_BYTES,
    )
    application.add_routes((*ROUTES, *siblings.ROUTES))
    application[DIRECTORY] = directory
    application[SIBLINGS] = directory.siblings
    application[RATE] = RateLimit(requests_per_minute)
    return application


def _take_over(directory: Shared, manager: Manager) -> None:
    """Answer for the calls of this node's forerunner, if it had one."""
    kept, cut_off = directory.take_over()
    for record in kept:
        manager.remember(record)
    for record in cut_off:
        manager.count_lost(record)


def _ice_configuration(settings: Settings, user: str) -> IceConfiguration:
    now = datetime.now(UTC).timestamp()
    return ice_configuration(settings.rtc.stun_urls, settings.turn, user=user, now_unix=now)


def _lines(settings: Settings) -> dict[LineName, list[str]]:
    if not settings.lines:
        return {LineName(DEMO_LINE): [DEMO_KEY]}
    return {LineName(name): line.keys for name, line in settings.lines.items()}


def _apps(settings: Settings) -> dict[LineName, App]:
    if not settings.lines:
        return {LineName(DEMO_LINE): App((f"+{DEMO_NUMBER}",), official=False)}
    return {
        LineName(name): App(
            tuple(f"+{number.removeprefix('+')}" for number in line.numbers),
            official=line.whatsapp.provider == "cloud",
        )
        for name, line in settings.lines.items()
    }


@dataclass(frozen=True, slots=True)
class _Peers:
    """Makes peers."""

    browser: PeerFactory
    whatsapp: PeerFactory


def _peers(settings: Settings, ports: PortPool, *, effort: Effort, patience: Limits) -> _Peers:
    library = opus.load(libopus.candidates(os.environ.get("OPUS_LIB")))
    log.info("opus.loaded", extra={"version": library.version})
    certificates = Certificates()
    config = PeerConfig(
        bind=tuple(settings.rtc.bind) or (default_address(),),
        external_address=settings.rtc.external_address,
        ports=ports,
        probe_private=settings.rtc.probe_private,
        limits=patience,
        relay=settings.media.relay,
        red=settings.media.red,
        effort=effort,
    )

    def factory(config: PeerConfig) -> PeerFactory:
        def peer(on_digit: Callable[[str], None], on_restart: Callable[[bool], None]) -> Peer:
            return Peer(
                config=config,
                certificates=certificates,
                opus=library,
                on_digit=on_digit,
                on_restart=on_restart,
            )

        return peer

    return _Peers(factory(config), factory(config.for_whatsapp(library)))


def _lines_of(settings: Settings, provider: str) -> dict[LineName, WhatsApp]:
    """The lines whose WhatsApp calls come from a provider, and how it is reached."""
    return {
        LineName(name): line.whatsapp
        for name, line in settings.lines.items()
        if line.whatsapp.provider == provider
    }


def _gateways(settings: Settings, http: Http) -> GatewayProvider:
    return GatewayProvider(
        {
            name: gateway_engine(
                http,
                dialect=whatsapp.dialect,
                url=whatsapp.url,
                token=whatsapp.token,
                session=whatsapp.session,
            )
            for name, whatsapp in _lines_of(settings, "gateway").items()
        }
    )


async def _pulse(manager: Manager, metrics: Metrics, clock: Clock, load: Load) -> None:
    """Measure the loop's lag ten times a second, take the figures of all legs once a second."""
    loop = asyncio.get_running_loop()
    late = skipped = 0
    while True:
        for _ in range(PROBES_PER_PULSE):
            due = loop.time() + LAG_PROBE_SECONDS
            await asyncio.sleep(LAG_PROBE_SECONDS)
            load.probe(max(0.0, loop.time() - due))
        load.look(loop.time())
        try:
            manager.pulse(loop.time())
        except Exception:  # the next pulse must come whatever this one met
            log.exception("pulse.failed")
        metrics.clock_ticks(late=clock.late_ticks - late, skipped=clock.skipped_ticks - skipped)
        late, skipped = clock.late_ticks, clock.skipped_ticks
