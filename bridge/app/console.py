"""The operator's console, made from what it shows."""

import platform
from datetime import UTC, datetime

from bridge import __version__
from bridge.app.foundation import Foundation
from bridge.call.model import LineName
from bridge.errors import EngineOff
from bridge.http.service_health import ServiceHealth
from bridge.node.console.console import LineHealth, LostNodes, NodeFigures, NodeView, address_of
from bridge.node.console.live_table import LiveTable
from bridge.node.line_book import KnownLine
from bridge.providers.cloud.provider import CloudProvider
from bridge.providers.gateway.provider import GatewayProvider
from bridge.providers.sip.provider import SipProvider

ANSWERED_STEP = 10.0
"""Seconds to which the time of the last answer is shown, so that polls do not change it each time."""


def build_console(
    base: Foundation, cloud: CloudProvider, gateways: GatewayProvider, sip: SipProvider
) -> tuple[NodeView, LiveTable]:
    """Return this node's part of the console, and the table of all nodes."""
    machine, since = platform.node(), round(datetime.now(UTC).timestamp() * 1000)
    lost = LostNodes()
    base.members.follow_lost(lost.note)
    base.members.follow_lost(lambda _: base.metrics.node.node_lost())

    def figures() -> NodeFigures:
        load, ports, calls = base.load, base.ports, list(base.manager.calls())
        draining = base.manager.admission.draining
        return NodeFigures(
            base.members.own.node,
            "draining" if draining else "refusing" if load.refusing else "ready",
            machine=machine,
            address=address_of(base.members.own),
            version=__version__,
            since=since,
            calls=len(calls),
            legs=sum(len(call.legs()) for call in calls),
            cpu=round(load.cpu, 2),
            lag_ms=round(load.lag * 1000),
            encoder=load.level.name.lower(),
            ports_used=ports.used,
            ports_free=ports.free,
            calls_limit=base.manager.limits.calls,
        )

    def lines() -> list[LineHealth]:
        return [_line(base, cloud, gateways, sip, known) for known in base.line_book.all()]

    view = NodeView(
        base.manager,
        node=base.members.own.node,
        figures=figures,
        lines=lines,
        lost=lost.recent,
    )
    siblings = base.directory.siblings if base.directory else None
    table = LiveTable(view, siblings, base.members.find)
    base.application.on_shutdown.append(lambda _: table.aclose())
    return view, table


def _line(
    base: Foundation,
    cloud: CloudProvider,
    gateways: GatewayProvider,
    sip: SipProvider,
    known: KnownLine,
) -> LineHealth:
    provider, health = _provider(cloud, gateways, sip, known.name)
    return LineHealth(
        known.name,
        provider,
        list(known.numbers),
        "paused" if known.paused else "on" if _is_on(base, known.name) else "off",
        answered_at=health.answered_at // ANSWERED_STEP * ANSWERED_STEP,
        failed_at=health.failed_at,
        failure=health.failure,
        reported_at=health.reported_at // ANSWERED_STEP * ANSWERED_STEP,
    )


def _provider(
    cloud: CloudProvider, gateways: GatewayProvider, sip: SipProvider, line: LineName
) -> tuple[str, ServiceHealth]:
    """Return a line's way to its parties, and how it answered last: of WhatsApp and a trunk, the one that fails."""
    whatsapp = _whatsapp(cloud, gateways, line)
    if not sip.has(line):
        return whatsapp
    name, health = whatsapp
    simulated = name == "simulator"
    shown = health if health.failed_at > health.answered_at else sip.health(line)
    return "sip" if simulated else f"{name}, sip", sip.health(line) if simulated else shown


def _whatsapp(
    cloud: CloudProvider, gateways: GatewayProvider, line: LineName
) -> tuple[str, ServiceHealth]:
    if cloud.has(line):
        return "cloud", cloud.health(line)
    if gateways.has(line):
        return "gateway", gateways.health(line)
    return "simulator", ServiceHealth()


def _is_on(base: Foundation, line: LineName) -> bool:
    try:
        base.lines.check_on(line)
    except EngineOff:
        return False
    return True
