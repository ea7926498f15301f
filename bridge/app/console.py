"""The console, made from what it shows."""

import platform
from datetime import UTC, datetime

from bridge import __version__
from bridge.api.server.services import LineServices
from bridge.app.calls import Core
from bridge.app.foundation import Foundation
from bridge.app.providers import providers_of
from bridge.call.model import LineName
from bridge.errors import LineDisabled
from bridge.http.service_health import ServiceHealth
from bridge.node.console.console import LineHealth, NodeFigures, NodeView, address_of
from bridge.node.console.live_table import LiveTable
from bridge.node.line_book import KnownLine
from bridge.wire.iso8601 import unix_milliseconds

ANSWERED_STEP = 10.0
"""Seconds to which the time of the last answer is shown, so that polls do not change it each time."""


def build_console(base: Foundation, core: Core) -> tuple[NodeView, LiveTable]:
    """Return this node's part of the console, and the table of all nodes."""
    plane, lines, manager = core.plane, core.lines, core.manager
    machine, since = platform.node(), unix_milliseconds(datetime.now(UTC))

    def figures() -> NodeFigures:
        load, ports, calls = plane.load, plane.ports, list(manager.calls())
        draining = manager.admission.draining
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
            calls_limit=base.settings.limits.calls,
        )

    view = NodeView(
        manager,
        node=base.members.own.node,
        figures=figures,
        lines=lambda: [_line(lines, known) for known in lines.line_book.all()],
    )
    return view, LiveTable(view, base.siblings, base.members.find)


def _line(lines: LineServices, known: KnownLine) -> LineHealth:
    provider, health = _provider(lines, known.name)
    return LineHealth(
        known.name,
        provider,
        list(known.numbers),
        "paused" if known.paused else "on" if _is_on(lines, known.name) else "off",
        answered_at=health.answered_at // ANSWERED_STEP * ANSWERED_STEP,
        failed_at=health.failed_at,
        failure=health.failure,
        reported_at=health.reported_at // ANSWERED_STEP * ANSWERED_STEP,
    )


def _provider(lines: LineServices, line: LineName) -> tuple[str, ServiceHealth]:
    """Return a line's way to its parties, and how it answered last: of WhatsApp and a trunk, the one that fails."""
    whatsapp, sip = providers_of(lines).of(line), lines.sip
    health = whatsapp.health(line)
    if not sip.has(line):
        return whatsapp.name, health
    if whatsapp is lines.simulator:
        return "sip", sip.health(line)
    failed = health.failed_at > health.answered_at
    return f"{whatsapp.name}, sip", health if failed else sip.health(line)


def _is_on(lines: LineServices, line: LineName) -> bool:
    try:
        lines.lines.check_on(line)
    except LineDisabled:
        return False
    return True
