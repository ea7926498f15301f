"""Every object of a bridge, made and joined to the others."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.api import forward
from bridge.api.body import MAX_BYTES
from bridge.api.events import settle
from bridge.api.large_bodies import bound_large_bodies
from bridge.api.middleware import IN_ORDER, protect
from bridge.api.routes import ROUTES
from bridge.api.services import SERVICES, Services
from bridge.api.siblings import node_application
from bridge.api.use import note_use
from bridge.app.foundation import Foundation
from bridge.app.lines import (
    MadeLines,
    build_lines,
    decisions_of,
    line_count,
    with_test_lines,
)
from bridge.app.peers import make_peers
from bridge.app.services import build_http, build_services
from bridge.audio.encoder_level import EncoderBudget
from bridge.call.limits import CallLimits
from bridge.legs.simulator import parse_speech
from bridge.metrics.registry import Metrics
from bridge.net import database as storage
from bridge.net.database import Database
from bridge.net.directory import FOLDER
from bridge.net.listener import MAX_DESCRIPTORS
from bridge.net.siblings import Siblings
from bridge.node.capacity import ManagerLimits
from bridge.node.clock import Clock
from bridge.node.directory import SharedDirectory
from bridge.node.events import EventLog
from bridge.node.inbound_policy import InboundPolicy
from bridge.node.load import Load
from bridge.node.manager import Manager
from bridge.node.pulse import pulse
from bridge.providers.base import Providers
from bridge.providers.simulator.provider import SPEECH, SimulatorProvider
from bridge.rtc.config import Timeouts
from bridge.rtc.ports import PortPool
from bridge.settings.model import Settings, port_range
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
    """For requests of the other nodes; None for the only node."""
    services: Services
    background: Tasks

    @property
    def manager(self) -> Manager:
        """The calls."""
        return self.services.manager

    async def aclose(self) -> None:
        """End all calls and stop the background work; the HTTP side may still answer meanwhile."""
        await self.manager.aclose()
        await self.services.recordings.aclose()
        await self.background.aclose()

    async def release(self) -> None:
        """Close what is shared with other nodes; the bridge must not be used any more."""
        if self.services.directory is not None:
            await self.services.directory.aclose()
        await self.services.database.aclose()


def build(
    settings: Settings,
    *,
    timeouts: Timeouts | None = None,
    position: NodePosition | None = None,
    descriptors: int = MAX_DESCRIPTORS,
) -> Bridge:
    """Make every object of a bridge; must be called within the running loop.

    Args:
        settings: of the bridge.
        timeouts: Of ICE, DTLS and silent peers; the defaults if None.
        position: which of several nodes this is; None for the only one.
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
    directory = _directory(settings, position) if position else None
    encoder_budget = EncoderBudget()
    load = Load(
        encoder_budget=encoder_budget, metrics=metrics, overload_seconds=limits.overload_seconds
    )
    database = Database(Path(settings.data.dir) / storage.FILE, on_failure=metrics.database_failed)
    lines, book = build_lines(settings, database, directory, made_lines)
    events = EventLog(
        database,
        node=position.index if position else 0,
        nodes=position.count if position else 1,
        metrics=metrics.events,
        subscribes=lines.subscribes_to_calls,
    )
    peers = make_peers(
        settings, ports, encoder_budget=encoder_budget, timeouts=timeouts or Timeouts()
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
        check_on=lines.check_on,
        number_of=made_lines.number_of,
        overloaded=lambda: load.refusing,
    )
    manager.publisher.subscribe(events.append)
    policy = InboundPolicy(manager, lines, book, decisions_of(settings))
    application = _application(several=directory is not None)
    application.on_startup.append(lambda _: lines.reload())
    application.on_startup.append(lambda _: book.reload())
    base = Foundation(
        settings=settings,
        application=application,
        metrics=metrics,
        database=database,
        directory=directory,
        events=events,
        lines=lines,
        line_book=book,
        manager=manager,
        http=build_http(application, settings, metrics),
        peers=peers,
        ports=ports,
        simulator=simulator,
    )
    background = Tasks()
    services = build_services(base, made_lines.policies, background, descriptors=descriptors)
    application[SERVICES] = services
    providers.add(services.gateways)
    providers.add(services.cloud)
    manager.publisher.subscribe(
        services.recordings.on_event, services.agents.on_event, services.digits.on_event
    )
    background.spawn(services.connections.run(), name="slow readers")
    services.gateways.start(manager, background, first=position is None or position.index == 0)
    if directory:
        _recover(directory, manager)
        background.spawn(policy.follow(), name="follow the lines")
    background.spawn(pulse(manager, metrics, clock, load), name="pulse")
    return Bridge(
        application, node_application(application) if directory else None, services, background
    )


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


def _directory(settings: Settings, position: NodePosition) -> SharedDirectory:
    limits = settings.limits
    folder = Path(settings.data.dir) / FOLDER
    return SharedDirectory(
        folder,
        Siblings(folder, own=position.index, count=position.count),
        quota=_manager_limits(settings).quota,
        kept_seconds=limits.kept_seconds,
        ended_per_line=limits.ended_per_line,
    )


def _application(*, several: bool) -> web.Application:
    forwarding = (forward.limit_rate, forward.forward_to_owner) if several else ()
    application = web.Application(
        middlewares=(*IN_ORDER, bound_large_bodies, settle, *forwarding, note_use),
        client_max_size=MAX_BYTES,
    )
    application.add_routes(ROUTES)
    application.on_response_prepare.append(protect)
    return application


def _recover(directory: SharedDirectory, manager: Manager) -> None:
    """Account for the calls of this node's previous process, if it had one."""
    kept, cut_off = directory.recover()
    for record in kept:
        manager.remember(record)
    for record in cut_off:
        manager.count_lost(record)
