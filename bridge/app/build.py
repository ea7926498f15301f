"""Every object of a bridge, made and joined to the others."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.api import forward
from bridge.api.operations.drain import close_connection
from bridge.api.routes import resources
from bridge.api.server.middleware import IN_ORDER, note_use, protect
from bridge.api.server.reads import MAX_BYTES
from bridge.api.server.services import SERVICES, Services
from bridge.api.server.sibling_gate import SiblingGate
from bridge.api.siblings import node_application
from bridge.app.cluster import build_siblings
from bridge.app.databases import build_database, engine_of
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
from bridge.app.voicemail import transcribe_voicemails
from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.ringback import TONES
from bridge.call.limits import CallLimits
from bridge.call.model import EndReason
from bridge.call.policy import kinds_on
from bridge.call.quota import Quota
from bridge.cluster.directory import SharedDirectory
from bridge.cluster.host import machine_id
from bridge.cluster.membership import Alone, Membership, is_first
from bridge.cluster.recovery import Recovery
from bridge.db.database import Database
from bridge.http import local_token
from bridge.http.listener import MAX_DESCRIPTORS
from bridge.legs.simulator import parse_speech
from bridge.metrics.registry import Metrics
from bridge.node.call_history import CallHistory
from bridge.node.calls.inbound_policy import InboundPolicy
from bridge.node.calls.machine_detection import MachineDetectors
from bridge.node.clock import Clock
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.dial_rules import DialRules
from bridge.node.drain import Drain
from bridge.node.load import Load
from bridge.node.manager import Manager
from bridge.node.pulse import pulse
from bridge.providers.base import Providers
from bridge.providers.simulator.provider import SPEECH, SimulatorProvider
from bridge.rtc.config import Timeouts
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.ports import PortPool
from bridge.settings.model import Settings, port_range
from bridge.stores.event_log import EventLog
from bridge.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Bridge:
    """A built bridge: the web applications, and what must be closed before and after them."""

    application: web.Application
    node_application: web.Application | None
    """For requests of the other nodes; None for the only node."""
    services: Services
    background: Tasks
    packet_path: PacketPath | None

    @property
    def drain(self) -> Drain:
        """The end of this node, once it begins."""
        return self.services.drain

    @property
    def manager(self) -> Manager:
        """The calls."""
        return self.services.manager

    async def aclose(
        self, *, flush_seconds: float = 0.0, reason: EndReason = EndReason.DRAINED
    ) -> None:
        """End all calls and stop the background work; the HTTP side may still answer meanwhile.

        Webhooks that are due are waited for, at most `flush_seconds`.
        """
        await self.drain.aclose()
        await self.manager.aclose(reason)
        await self.services.recordings.aclose()
        await self.services.voicemail_calls.aclose()
        if flush_seconds:
            await self.services.webhooks.flush(flush_seconds)
        await self.background.aclose()
        if self.packet_path is not None:
            self.packet_path.close()

    async def release(self) -> None:
        """Close what is shared with other nodes; the bridge must not be used any more."""
        if self.services.directory is not None:
            await self.services.directory.aclose()
        await self.services.database.aclose()


def build(
    settings: Settings,
    *,
    timeouts: Timeouts | None = None,
    members: Membership | None = None,
    descriptors: int = MAX_DESCRIPTORS,
    warm_decoder: bool = True,
    token: str = "",
) -> Bridge:
    """Make every object of a node; must be called within the running loop.

    `members` are the nodes of the bridge; None for a bridge of one. `descriptors` is how many files the
    process may have open. With `warm_decoder` an idle process is kept for the next sound file. `token` is what
    programs on this machine send; by default that of the nodes of this data folder.

    Raises:
        OpusMissing: there is no libopus.
    """
    settings = with_test_lines(settings)
    metrics = Metrics(version=__version__)
    clock = Clock(asyncio.get_running_loop(), partial(metrics.steps.took, "clock"))
    ports, made_lines = PortPool(port_range(settings.rtc.ports)), MadeLines(settings)
    simulator = SimulatorProvider(
        made_lines.simulated,
        speech=parse_speech(SPEECH.read_bytes()),
        ring_seconds=settings.simulator.ring_seconds,
    )
    providers = Providers([simulator])
    limits = settings.limits
    members = members or Alone(machine=machine_id(Path(settings.data.dir)))
    encoder_budget = EncoderBudget()
    load = Load(
        encoder_budget=encoder_budget, metrics=metrics, overload_seconds=limits.overload_seconds
    )
    database = build_database(settings.data, metrics)
    directory, gate = _directory(settings, database, members, metrics)
    lines, book = build_lines(settings, database, directory, made_lines)
    history = CallHistory(
        database,
        kept_seconds=max(settings.calls.kept_days * 86_400, limits.kept_seconds),
        count_failure=metrics.calls.record_failed,
    )
    events = EventLog(
        database,
        members=members,
        metrics=metrics.events,
        subscribes=lines.subscribes_to_calls,
    )
    peers = make_peers(
        settings,
        ports,
        metrics,
        encoder_budget=encoder_budget,
        timeouts=timeouts or Timeouts(),
    )
    manager = Manager(
        dialer=providers,
        clock=clock,
        metrics=metrics,
        limits=limits,
        quota=_call_quota(settings),
        call_limits=CallLimits(
            limits.ring_seconds,
            limits.call_seconds,
            limits.alone_seconds,
            exclusive=settings.recording.exclusive,
            rings_back=kinds_on(settings.calls.ringback),
            ring_tone=TONES[settings.calls.ringback_tone],
        ),
        directory=directory,
        check_on=lines.check_on,
        number_of=made_lines.number_of,
        overloaded=lambda: load.refusal,
        database_lost=lambda: database.refuses,
        dial_rules=DialRules(made_lines.policies, directory=directory),
        diagnoses=DiagnosisLog(
            metrics.problems, turn=settings.turn.mode != "none", lag=lambda: load.lag
        ),
        history=history,
    )
    manager.publisher.subscribe(events.append)
    application = _application(several=directory is not None)
    application.on_startup.extend([lambda _: lines.reload(), lambda _: book.reload()])
    background = Tasks()
    Recovery(
        database,
        members,
        keep_lost=history.keep_lost,
        events=events,
        count_lost=manager.count_lost,
        tasks=background,
    )
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
        members=members,
        drain=Drain(
            manager,
            usual_seconds=limits.drain_seconds,
            others=lambda: any(not one.draining for one in members.others()),
            finish_seconds=members.finish_seconds,
        ),
        history=history,
        http=build_http(application, settings, metrics),
        clock=clock,
        peers=peers,
        ports=ports,
        simulator=simulator,
        load=load,
        background=background,
        local_token=token or local_token.find(Path(settings.data.dir)),
        warm_decoder=warm_decoder,
    )
    services = build_services(
        base,
        made_lines.policies,
        descriptors=descriptors,
        gate=gate,
    )
    application[SERVICES] = services
    policy = InboundPolicy(
        manager,
        lines,
        book,
        decisions_of(settings),
        send_to_voicemail=services.voicemail_calls.send,
    )
    providers.add(services.gateways)
    providers.add(services.cloud)
    for telephones in (services.sip, services.telephones):
        providers.add_telephones(telephones)
    manager.publisher.subscribe(
        services.recordings.on_event,
        services.agents.on_event,
        services.inbound_streams.on_event,
        services.digits.on_event,
        services.streams.on_event,
        services.transcripts.on_event,
        MachineDetectors(manager, count=metrics.calls.machine_detected).on_event,
        services.voicemail_calls.on_event,
    )
    transcribe_voicemails(base, services.voicemails, services.transcripts)
    background.spawn(services.voicemails.run(), name="voicemails")
    background.spawn(services.connections.run(), name="slow readers")
    background.spawn(history.run(partial(is_first, members)), name="call records")
    services.gateways.start(manager, background, first=partial(is_first, members))
    if directory:
        application.on_startup.append(lambda _: _recover(directory, manager))
        background.spawn(policy.follow(), name="follow the lines")
    background.spawn(pulse(manager, metrics, clock, load), name="pulse")
    return Bridge(
        application,
        node_application(application) if directory else None,
        services,
        background,
        peers.packet_path,
    )


def _call_quota(settings: Settings) -> Quota:
    return Quota(
        "calls",
        "limits.calls",
        settings.limits.calls,
        settings.limits.calls_per_line,
        line_count(settings),
        line_setting="limits.calls_per_line",
    )


def _directory(
    settings: Settings, database: Database, members: Membership, metrics: Metrics
) -> tuple[SharedDirectory | None, SiblingGate | None]:
    """Return what a node of several knows of the others, and what admits those of other machines."""
    if not members.several:
        return None, None
    limits = settings.limits
    siblings, gate = build_siblings(settings, members, metrics)
    counters = database
    if limits.requests_per_minute:
        # Requests do not wait until their count is on disk.
        counters = Database(engine_of(settings.data, durable=False))
    directory = SharedDirectory(
        database,
        siblings,
        counters=counters,
        boot=members.own.boot,
        quota=_call_quota(settings),
        limits=limits,
    )
    return directory, gate


def _application(*, several: bool) -> web.Application:
    outermost = (forward.receive,) if several else ()
    forwarding = (forward.limit_rate, forward.forward_to_owner) if several else ()
    application = web.Application(
        middlewares=(*outermost, *IN_ORDER, *forwarding, note_use), client_max_size=MAX_BYTES
    )
    for resource in resources():
        application.router.register_resource(resource)
    application.on_response_prepare.extend((protect, close_connection))
    return application


async def _recover(directory: SharedDirectory, manager: Manager) -> None:
    """Remember the ended calls of earlier processes with this node's number."""
    for record in await directory.ended():
        manager.remember(record)
