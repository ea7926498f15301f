"""Every object of a bridge, made and joined to the others."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.api import forward
from bridge.api.auth import Keys, Tickets
from bridge.api.body import MAX_BYTES
from bridge.api.events import settle, tell
from bridge.api.faces.chirp.parties import APPS
from bridge.api.keys import (
    BROWSERS,
    CONNECTIONS,
    DATABASE,
    DIRECTORY,
    EVENTS,
    ICE_CONFIGURATION,
    KEYS,
    LINE_BOOK,
    LINES,
    MANAGER,
    METRICS,
    PORTS,
    RATE,
    RECORDINGS,
    SIBLINGS,
    SITE,
    TICKETS,
    UNAUTHENTICATED,
    Site,
)
from bridge.api.large_bodies import LARGE, LargeBodies, bound_large_bodies
from bridge.api.middleware import IN_ORDER, protect
from bridge.api.proxies import Proxies
from bridge.api.rate import RateLimit
from bridge.api.routes import ROUTES
from bridge.api.scopes import Scopes
from bridge.api.siblings import node_application
from bridge.api.simulator import SIMULATOR
from bridge.api.unauthenticated import UnauthenticatedLimit
from bridge.api.use import note_use
from bridge.app.agents import build_agents
from bridge.app.lines import (
    MadeLines,
    line_count,
    make_engine,
    webhook_keys_of,
    with_test_lines,
)
from bridge.app.pages import find_pages
from bridge.app.peers import make_peers
from bridge.app.recordings import recordings
from bridge.app.services import (
    build_cloud_provider,
    build_digit_collection,
    build_http,
    build_playback,
    gateway_lines,
)
from bridge.audio.encoder_level import EncoderBudget
from bridge.call.limits import CallLimits
from bridge.call.notices import CallEvent
from bridge.call.shares import Shares
from bridge.legs.simulator import parse_speech
from bridge.legs.webrtc import PeerFactory, WebRtcLeg
from bridge.metrics.registry import Metrics
from bridge.net import database as storage
from bridge.net import secret
from bridge.net.connections import Connections
from bridge.net.database import Database
from bridge.net.directory import FOLDER
from bridge.net.secret import shared_secret
from bridge.net.siblings import Siblings
from bridge.net.turn import IceConfiguration, ice_configuration
from bridge.node.browsers import Browsers
from bridge.node.capacity import ManagerLimits
from bridge.node.clock import Clock
from bridge.node.directory import Shared
from bridge.node.events import EventLog
from bridge.node.inbound_policy import InboundPolicy
from bridge.node.listener import MAX_DESCRIPTORS
from bridge.node.load import Load
from bridge.node.manager import Manager
from bridge.node.pulse import pulse
from bridge.providers.base import Providers
from bridge.providers.simulator.provider import SPEECH, SimulatorProvider
from bridge.rtc.ice import Timeouts
from bridge.rtc.ports import PortPool
from bridge.settings.model import DEMO_AI_KEY, DEMO_KEY, Settings, is_loopback, port_range
from bridge.settings.net import networks
from bridge.tasks import Tasks


@dataclass(frozen=True, slots=True)
class NodePosition:
    """Which of several nodes this one is."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Bridge:
    """A built bridge: the web applications, and what must be closed before and after them."""

    application: web.Application
    node_application: web.Application | None
    """What the other nodes ask; None for the only node."""
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


def build(
    settings: Settings,
    *,
    patience: Timeouts | None = None,
    place: NodePosition | None = None,
    descriptors: int = MAX_DESCRIPTORS,
) -> Bridge:
    """Make every object of a bridge; must be called within the running loop.

    Args:
        settings: what can be set.
        patience: how long ICE, DTLS and a silent peer are waited for; the default is the product's.
        place: which of several nodes this is; None for the only one.
        descriptors: how many files the process may have open.

    Raises:
        OpusMissing: there is no libopus.
    """
    settings = with_test_lines(settings)
    metrics, clock = Metrics(version=__version__), Clock(asyncio.get_running_loop())
    ports = PortPool(port_range(settings.rtc.ports))
    made_lines = MadeLines(settings)
    simulator = SimulatorProvider(
        made_lines.simulated,
        speech=parse_speech(SPEECH.read_bytes()),
        ring_seconds=settings.simulator.ring_seconds,
    )
    providers = Providers([simulator])
    limits = settings.limits
    directory = _directory(settings, place) if place else None
    encoder_budget = EncoderBudget()
    load = Load(encoder_budget=encoder_budget, metrics=metrics, patience=limits.overload_seconds)
    database = Database(Path(settings.data.dir) / storage.FILE, observer=metrics)
    listeners: list[Callable[[CallEvent], None]] = []
    engine = make_engine(
        settings, database, directory, made_lines, publish=partial(_tell_all, listeners)
    )
    events = EventLog(
        database,
        node=place.index if place else 0,
        nodes=place.count if place else 1,
        observer=metrics.events,
        told_of_calls=engine.lines.told_of_calls,
    )
    peers = make_peers(
        settings, ports, encoder_budget=encoder_budget, patience=patience or Timeouts()
    )
    manager = Manager(
        dialer=providers,
        clock=clock,
        metrics=metrics,
        limits=_manager_limits(settings),
        call_limits=CallLimits(
            limits.ring_seconds,
            limits.call_seconds,
            limits.alone_seconds,
            exclusive=settings.recording.exclusive,
        ),
        directory=directory,
        check_on=engine.lines.check_on,
        number_of=made_lines.number_of,
        overloaded=lambda: load.refusing,
        publish=engine.happened,
    )
    engine.serve(manager)
    application = _application(directory, limits.requests_per_minute)
    application[DATABASE] = database
    _build_lines(application, engine)
    application[EVENTS], application[APPS] = events, made_lines.apps
    application[METRICS] = metrics
    _carry_calls(application, manager, peers.browser, settings)
    build_http(application, settings)
    build_playback(application, settings)
    application[RECORDINGS] = recordings(application, settings)
    listeners += [
        events.publish,
        application[RECORDINGS].happened,
        build_agents(application, settings).happened,
        build_digit_collection(application).happened,
    ]
    application[PORTS], application[SIMULATOR] = ports, simulator
    background = Tasks()
    background.spawn(_build_auth(application, settings, descriptors).run(), name="slow readers")
    gateways = gateway_lines(application, settings)
    providers.add(gateways)
    build_cloud_provider(application, settings, providers, peers.whatsapp)
    gateways.start(manager, background, first=place is None or place.index == 0)
    if directory:
        _take_over(directory, manager)
        background.spawn(engine.follow(), name="follow the lines")
    background.spawn(pulse(manager, metrics, clock, load), name="pulse")
    tell(application, background, node=events.node, keeping=settings.events)
    return Bridge(
        application, node_application(application) if directory else None, manager, background
    )


def _carry_calls(
    application: web.Application, manager: Manager, peer: PeerFactory, settings: Settings
) -> None:
    application[MANAGER] = manager
    metrics, ports = application[METRICS], len(port_range(settings.rtc.ports))
    application[BROWSERS] = Browsers(
        manager,
        lambda leg_id: WebRtcLeg(leg_id, peer=peer, observer=metrics),
        ports=Shares("media ports", "rtc.ports", ports, lines=line_count(settings)),
    )


def _build_lines(application: web.Application, engine: InboundPolicy) -> None:
    application[LINES], application[LINE_BOOK] = engine.lines, engine.book
    application.on_startup.append(lambda app: app[LINES].reload())
    application.on_startup.append(lambda app: app[LINE_BOOK].reload())


def _build_auth(application: web.Application, settings: Settings, descriptors: int) -> Connections:
    """Say who may ask, from where, and what browsers are told of the network."""
    observer = application[METRICS].http
    proxies = Proxies(networks("http.trusted_proxies", settings.http.trusted_proxies))
    application[UNAUTHENTICATED] = strangers = UnauthenticatedLimit(
        requests=settings.limits.stranger_requests, proxies=proxies, observer=observer
    )
    application[CONNECTIONS] = Connections(
        # Calls need file descriptors too, and a client that is not accepted is told nothing.
        limit=min(settings.limits.connections, descriptors // 2),
        observer=observer,
        trusted=proxies.trusts,
    )
    application[LARGE] = LargeBodies(settings.limits.large_bodies_per_line)
    application[TICKETS] = Tickets(shared_secret(Path(settings.data.dir) / secret.FILE))
    application[KEYS] = Keys(
        application[LINE_BOOK],
        same_origin_only=set() if settings.lines else {DEMO_KEY, DEMO_AI_KEY},
        # Of several nodes, what a key has asked is counted over all (`forward.spend`).
        rate=RateLimit(0 if DIRECTORY in application else settings.limits.requests_per_minute),
        tickets=application[TICKETS],
        strangers=strangers,
        scopes=Scopes(settings.metrics.keys, webhook_keys_of(settings), settings.admin.keys),
    )
    pages = find_pages()
    application[SITE] = Site(
        loopback=is_loopback(settings.http.host),
        hosts=settings.http.hosts,
        cors_origins=frozenset(settings.http.cors_origins),
        web_root=pages.web,
        readme=pages.readme,
        public_url=settings.http.public_url.rstrip("/"),
    )
    configuration: Callable[[str], IceConfiguration] = partial(_ice_configuration, settings)
    application[ICE_CONFIGURATION] = configuration
    return application[CONNECTIONS]


def _tell_all(listeners: list[Callable[[CallEvent], None]], event: CallEvent) -> None:
    for listen in listeners:
        listen(event)


def _manager_limits(settings: Settings) -> ManagerLimits:
    limits = settings.limits
    return ManagerLimits(
        limits.calls,
        limits.calls_per_line,
        limits.kept_seconds,
        ended_per_line=limits.ended_per_line,
        ended_octets_per_line=round(limits.ended_mb_per_line * 1e6),
        lines=line_count(settings),
    )


def _directory(settings: Settings, place: NodePosition) -> Shared:
    limits = settings.limits
    folder = Path(settings.data.dir) / FOLDER
    return Shared(
        folder,
        Siblings(folder, own=place.index, count=place.count),
        shares=_manager_limits(settings).shares,
        kept_seconds=limits.kept_seconds,
        ended_per_line=limits.ended_per_line,
    )


def _application(directory: Shared | None, requests_per_minute: int) -> web.Application:
    forwarding = () if directory is None else (forward.spend, forward.pass_on)
    application = web.Application(
        middlewares=(*IN_ORDER, bound_large_bodies, settle, *forwarding, note_use),
        client_max_size=MAX_BYTES,
    )
    application.add_routes(ROUTES)
    application.on_response_prepare.append(protect)
    if directory is None:
        return application
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
