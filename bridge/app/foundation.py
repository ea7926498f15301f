"""What the services of a bridge are made from."""

from dataclasses import dataclass

from aiohttp import web

from bridge.app.peers import Peers
from bridge.cluster.directory import SharedDirectory
from bridge.cluster.membership import Membership
from bridge.db.database import Database
from bridge.http.client import Http
from bridge.metrics.registry import Metrics
from bridge.node.call_history import CallHistory
from bridge.node.clock import Clock
from bridge.node.drain import Drain
from bridge.node.line_book import LineBook
from bridge.node.lines import Lines
from bridge.node.load import Load
from bridge.node.manager import Manager
from bridge.providers.simulator.provider import SimulatorProvider
from bridge.rtc.ports import PortPool
from bridge.settings.model import Settings
from bridge.stores.event_log import EventLog
from bridge.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """The objects that every service of a bridge is made from."""

    settings: Settings
    application: web.Application
    """For what must start and end with it."""
    metrics: Metrics
    database: Database
    directory: SharedDirectory | None
    events: EventLog
    lines: Lines
    line_book: LineBook
    manager: Manager
    members: Membership
    drain: Drain
    history: CallHistory
    http: Http
    clock: Clock
    peers: Peers
    ports: PortPool
    simulator: SimulatorProvider
    load: Load
    background: Tasks
    """Work until the calls have ended."""
    local_token: str
    """What programs on this machine send instead of a key (`http.local_token`)."""
    warm_decoder: bool
    """Whether an idle process is kept for the next sound file."""
