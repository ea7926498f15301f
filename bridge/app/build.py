"""Every object of a bridge, made and joined to the others."""

from functools import partial
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.api import forward
from bridge.api.media.recording_files import LINK_SECONDS, path_of
from bridge.api.operations.drain import close_connection
from bridge.api.routes import resources
from bridge.api.server import services
from bridge.api.server.middleware import IN_ORDER, note_use, protect
from bridge.api.server.reads import MAX_BYTES
from bridge.api.server.sibling_gate import SiblingGate
from bridge.api.server.tickets import Tickets
from bridge.api.siblings import node_application
from bridge.app.access import build_access, build_site, build_tickets
from bridge.app.bridge import Bridge
from bridge.app.calls import (
    Core,
    build_agents,
    build_announcement,
    build_browsers,
    build_inbound_policy,
    build_manager,
)
from bridge.app.cluster import build_directory, build_placement
from bridge.app.console import build_console
from bridge.app.databases import build_database, engine_of
from bridge.app.foundation import Foundation, build_http
from bridge.app.handover import build_handovers, provider_keys, report_recovered
from bridge.app.lifecycle import Workers, add, connect, parts_of
from bridge.app.lines import MadeLines, hold_music_of, with_test_lines
from bridge.app.machine_takeover import build_machine_takeovers
from bridge.app.media import build_decoders, build_media
from bridge.app.peers import build_media_plane
from bridge.app.providers import build_line_services
from bridge.app.records import build_records, build_voicemail_calls, build_voicemail_transcripts
from bridge.app.sip import build_sip
from bridge.app.telemetry import build_telemetry, count_lost
from bridge.cluster.host import machine_id
from bridge.cluster.leases import Leased
from bridge.cluster.membership import Membership, SingleNode
from bridge.cluster.recovery import Recovery
from bridge.http.listener import MAX_DESCRIPTORS
from bridge.metrics.media_thread import PathFigures
from bridge.metrics.registry import Metrics
from bridge.node.call_history import CallHistory
from bridge.node.calls.agent import Agents
from bridge.node.calls.connection_tests import ConnectionTests
from bridge.node.calls.digits import Digits
from bridge.node.calls.holds import Holds
from bridge.node.calls.transfers import Transfers
from bridge.node.drain import Drain
from bridge.node.lines import Lines
from bridge.rtc.config import Timeouts
from bridge.settings.model import Settings
from bridge.stores.event_log import EventLog
from bridge.stores.secret import identity, shared_secret
from bridge.tasks import Tasks
from bridge.webhooks.delivery import Webhooks


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
    base, gate = _foundation(settings, members)
    secret = shared_secret(engine_of(settings.data, migrated=True), Path(settings.data.dir))
    tickets = build_tickets(settings, secret)
    core = _core(base, tickets, timeouts or Timeouts())
    agents, phrases = build_agents(base, core)
    decoders = build_decoders(settings)
    media = build_media(base, core, agents, decoders)
    records, jobs = build_records(base, core, media.playbacks)
    control = _control(base, core, media, records, agents)
    handovers = build_handovers(base, core, control, media, records)
    takeovers = build_machine_takeovers(
        base,
        core,
        control,
        records,
        provider_keys=partial(provider_keys, core.manager),
        recovered=partial(report_recovered, base.metrics, core.manager, {}),
    )
    bridge = Bridge(
        application=_application(several=base.members.several),
        node_application=node_application() if base.members.several else None,
        control=control,
        media=media,
        records=records,
        lines=core.lines,
        events=core.events,
        node=_node(base, core),
        cluster=services.ClusterServices(
            base.directory, base.members, build_placement(base, core), gate, handovers.client
        ),
        access=build_access(base, core.lines.line_book, tickets, token, descriptors),
        site=build_site(settings, identity(secret)),
        background=Tasks(),
        packet_path=core.plane.peers.packet_path,
        handovers=handovers,
        takeovers=takeovers,
    )
    workers = Workers(
        base=base,
        core=core,
        announcement=build_announcement(settings, core.manager, media.playbacks),
        decoders=decoders,
        jobs=jobs,
        phrases=phrases,
        policy=build_inbound_policy(settings, core, bridge.control.voicemail_calls),
        voicemail_transcripts=build_voicemail_transcripts(settings, records),
    )
    connect(bridge, workers)
    add(parts_of(bridge, workers, warm_decoder=warm_decoder), bridge)
    return bridge


def _foundation(
    settings: Settings, members: Membership | None
) -> tuple[Foundation, SiblingGate | None]:
    """Return what all subjects stand on, and what admits nodes of other machines."""
    metrics = Metrics(version=__version__, old_names=settings.metrics.old_names)
    members = members or SingleNode(machine=machine_id(Path(settings.data.dir)))
    joined = isinstance(members, Leased)
    database = build_database(settings.data, metrics, migrated=joined)
    directory, gate = build_directory(settings, database, members, metrics)
    tracer, spans = build_telemetry(settings.telemetry, metrics)
    base = Foundation(
        settings=settings,
        metrics=metrics,
        members=members,
        database=database,
        directory=directory,
        http=build_http(settings, metrics),
        tracer=tracer,
        spans=spans,
    )
    return base, gate


def _core(base: Foundation, tickets: Tickets, timeouts: Timeouts) -> Core:
    settings = base.settings
    left = base.members.succession
    ledger = None if left is None else left.ledger
    plane = build_media_plane(settings, base.metrics, timeouts, ledger)
    made = MadeLines(settings)
    sip = build_sip(base, plane.peers)
    lines = build_line_services(base, plane, made, sip)
    events = _events(base, lines.lines, tickets)
    history = CallHistory(
        base.database,
        kept_seconds=max(settings.calls.kept_days * 86_400, settings.limits.kept_seconds),
        count_failure=base.metrics.calls.record_failed,
    )
    manager = build_manager(base, plane, lines, history)
    if left is not None:
        manager.publisher.marks = left.ledger.marks
    recovery = Recovery(
        base.database,
        base.members,
        keep_lost=history.keep_lost,
        events=events.log,
        count_lost=count_lost(base.tracer, manager),
        inherited=() if left is None else left.moves(base.members.own),
        crashed=() if left is None else left.crashed,
    )
    return Core(plane, made, sip, lines, events, history, manager, recovery)


def _events(base: Foundation, lines: Lines, tickets: Tickets) -> services.EventServices:
    metrics, subscribes = base.metrics.events, lines.subscribes_to_calls
    log = EventLog(base.database, members=base.members, metrics=metrics, subscribes=subscribes)
    webhooks = Webhooks(
        base.database,
        base.http,
        node=base.members.own.node,
        counters=metrics,
        link=lambda recording_id, file_format: tickets.link(
            path_of(recording_id, file_format), LINK_SECONDS
        ),
        tracer=base.tracer,
    )
    return services.EventServices(base.database, base.http, log, webhooks)


def _control(
    base: Foundation, core: Core, media: services.Media, records: services.Records, agents: Agents
) -> services.CallControl:
    settings, manager, playbacks = base.settings, core.manager, media.playbacks
    return services.CallControl(
        agents=agents,
        browsers=build_browsers(base, core),
        connection_tests=ConnectionTests(manager, per_line=settings.limits.tests_per_line),
        digits=Digits(playbacks),
        holds=Holds(playbacks, hold_music_of(settings)),
        manager=manager,
        transfers=Transfers(manager, playbacks, core.lines.policies),
        voicemail_calls=build_voicemail_calls(settings, media, records, agents),
    )


def _node(base: Foundation, core: Core) -> services.NodeServices:
    view, table = build_console(base, core)
    members, ports, path = base.members, core.plane.ports, core.plane.peers.packet_path
    return services.NodeServices(
        drain=Drain(
            core.manager,
            usual_seconds=base.settings.limits.drain_seconds,
            others=lambda: any(not one.draining for one in members.others()),
            finish_seconds=members.finish_seconds,
        ),
        live_table=table,
        media_ports=lambda: services.PortUsage(ports.used, ports.free),
        media_thread=PathFigures if path is None else path.figures,
        metrics=base.metrics,
        sip_sockets=core.sip.shared,
        tracer=base.tracer,
        view=view,
    )


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
